//! The nine accounts that every payment of a trade takes, and how one ends.

use core::mem::MaybeUninit;

use pinocchio::AccountView;

use crate::accounts::{differs, distinct, is, key, read, write, Input};
use crate::chain::close;
use crate::events::{Event, Settled};
use crate::layout::{copy, same, Key};
use crate::money::fee_of;
use crate::ruling::{bonds, Loser};
use crate::state::{Escrow, Line, Participant, Trade, Unpaid};
use crate::token::{check_program, is_fit, is_thawed, pay_out};
use crate::{Done, Failure};

pub const COSIGNED: u8 = 0;
pub const FINALIZED: u8 = 1;
pub const RESOLVED: u8 = 2;
pub const TIMED_OUT: u8 = 3;

/// Make `$payment` of the accounts that begin at `$first`.
#[macro_export]
macro_rules! payment {
    ($payment:ident, $input:expr, $first:expr, $rent_payer:expr) => {
        let mut place = core::mem::MaybeUninit::uninit();
        $crate::payment::Payment::take(&mut place, $input, $first, $rent_payer)?;
        // SAFETY: `take` has written it, or we would not be here.
        let $payment: &mut $crate::payment::Payment = unsafe { place.assume_init_mut() };
    };
}

/// The accounts of a payment, each checked to be what the others name.
pub struct Payment<'a> {
    pub input: &'a Input<'a>,
    pub battery: &'a mut Participant,
    pub buyer: &'a mut Participant,
    pub escrow: &'a mut Escrow,
    pub line: &'a mut Line,
    pub unpaid: &'a mut Unpaid,
    pub escrow_account: &'a AccountView,
    pub vault: &'a AccountView,
    pub line_account: &'a AccountView,
    pub trade_account: &'a AccountView,
    pub payee: &'a AccountView,
    pub event_authority: &'a AccountView,
    pub program: &'a AccountView,
}

impl<'a> Payment<'a> {
    /// Put into `place` the payment accounts that begin at `first`; the event authority and the program are the last two.
    #[inline(never)]
    pub fn take(
        place: &mut MaybeUninit<Self>,
        input: &'a Input<'a>,
        first: usize,
        rent_payer: Option<&AccountView>,
    ) -> Done {
        let accounts = input.accounts;
        need!(accounts.len() >= first + 11, BadAccount);
        let own = &accounts[first..first + 9];
        distinct(&own[..8])?;
        if let Some(payer) = rent_payer {
            differs(payer, &own[..8])?;
        }
        check_program(&own[8])?;
        let id = input.program_id;
        let payment = place.write(Payment {
            input,
            battery: write(&own[0], id)?,
            buyer: write(&own[1], id)?,
            escrow: write(&own[2], id)?,
            line: write(&own[4], id)?,
            unpaid: write(&own[7], id)?,
            escrow_account: &own[2],
            vault: &own[3],
            line_account: &own[4],
            trade_account: &own[5],
            payee: &own[6],
            event_authority: &accounts[accounts.len() - 2],
            program: &accounts[accounts.len() - 1],
        });
        payment.check()
    }

    #[inline(always)]
    fn check(&self) -> Done {
        let (line, escrow) = (&self.line, key(self.escrow_account));
        let fits = same(&line.battery_wallet, &self.battery.wallet)
            && same(&line.buyer_wallet, &self.buyer.wallet)
            && same(&line.escrow, escrow)
            && is(self.vault, &self.escrow.vault)
            && is(self.payee, &line.payee)
            && same(&self.unpaid.wallet, &line.battery_wallet)
            && same(&self.unpaid.escrow, escrow);
        need!(fits, BadAccount);
        Ok(())
    }

    /// Return the trade of this Line. The caller makes no second reference to it.
    #[inline(always)]
    pub fn trade(&self) -> Result<&'a mut Trade, Failure> {
        let trade: &mut Trade = write(self.trade_account, self.input.program_id)?;
        need!(same(&trade.line, key(self.line_account)), BadAccount);
        Ok(trade)
    }

    /// Return the trade of this Line that ends, whose rent goes to `rent_payer`.
    #[inline(always)]
    pub fn ending(&self, rent_payer: &AccountView) -> Result<&'a mut Trade, Failure> {
        let trade = self.trade()?;
        need!(is(rent_payer, &trade.rent_payer), BadAccount);
        Ok(trade)
    }

    /// Take money off the Line and the escrow's sum of Lines.
    #[inline(always)]
    pub fn leave_line(&mut self, amount: u64) -> Done {
        self.line.amount = self.line.amount.checked_sub(amount).ok_or(Failure::NotEnough)?;
        self.escrow.allotted = self.escrow.allotted.checked_sub(amount).ok_or(Failure::NotEnough)?;
        Ok(())
    }

    /// Pay the battery out of the vault, or where its token account cannot take it, keep it for `collect`.
    ///
    /// `unpaid` gets what was kept.
    #[inline(never)]
    pub fn pay(&mut self, amount: u64, unpaid: &mut u64) -> Done {
        *unpaid = 0;
        if amount == 0 {
            return Ok(());
        }
        self.line.paid = self.line.paid.wrapping_add(amount);
        if is_fit(self.payee, &self.line.mint, &self.line.battery_wallet) && is_thawed(self.vault) {
            pay_out(self.escrow, self.escrow_account, self.vault, self.payee, amount);
            return Ok(());
        }
        self.unpaid.amount = self.unpaid.amount.checked_add(amount).ok_or(Failure::Overflow)?;
        self.escrow.unpaid = self.escrow.unpaid.checked_add(amount).ok_or(Failure::Overflow)?;
        *unpaid = amount;
        Ok(())
    }

    /// Pay, count and tell a trade that ended.
    #[inline(never)]
    pub fn conclude(&mut self, ended: &Ended) -> Done {
        let mut unpaid = 0;
        self.pay(ended.due, &mut unpaid)?;
        for side in [&mut *self.battery, &mut *self.buyer] {
            side.trades_settled = side.trades_settled.wrapping_add(1);
            side.trades_claimed = side.trades_claimed.wrapping_add(ended.was_claimed as u64);
            side.trades_disputed = side.trades_disputed.wrapping_add((ended.how >= RESOLVED) as u64);
            side.contracted_wh = side.contracted_wh.wrapping_add(ended.energy_wh as u64);
            side.delivered_wh = side.delivered_wh.wrapping_add(ended.delivered_wh);
        }
        match ended.loser {
            Loser::Battery => self.battery.disputes_lost = self.battery.disputes_lost.wrapping_add(1),
            Loser::Buyer => self.buyer.disputes_lost = self.buyer.disputes_lost.wrapping_add(1),
            Loser::Nobody => (),
        }
        self.line.trades_settled = self.line.trades_settled.wrapping_add(1);
        let event = Settled {
            tag: Settled::TAG,
            kind: Settled::KIND,
            trade_id: copy(ended.trade_id),
            line: copy(key(self.line_account)),
            contract_no: ended.contract_no,
            battery_wallet: copy(&self.line.battery_wallet),
            buyer_wallet: copy(&self.line.buyer_wallet),
            delivered_wh: ended.delivered_wh,
            reserved: ended.reserved,
            payout: ended.payout,
            fee: ended.fee,
            returned: ended.reserved.wrapping_sub(ended.payout).wrapping_sub(ended.fee),
            bond_to_battery: ended.bond_to_battery,
            bond_to_buyer: ended.bond_to_buyer,
            unpaid,
            battery_sequence: self.battery.next(),
            buyer_sequence: self.buyer.next(),
            how: ended.how,
        };
        event.emit(self.input, self.event_authority, self.program)
    }

    /// End a claimed or disputed trade and hand on the bonds; the rent goes to `rent_payer`, which was checked.
    #[inline(never)]
    pub fn finish(&mut self, trade: &mut Trade, verdict: Verdict, rent_payer: &AccountView) -> Done {
        let already = trade.paid.checked_add(trade.held).ok_or(Failure::Overflow)?;
        let price = trade.price(verdict.delivered_wh);
        let payout = if price > already { price } else { already };
        let fee = fee_of(payout, trade.fee_bps);
        let reserve = trade.reserved.wrapping_sub(already);
        self.line.locked = self.line.locked.checked_sub(reserve).ok_or(Failure::NotEnough)?;
        self.line.open_trades = self.line.open_trades.checked_sub(1).ok_or(Failure::BadState)?;
        self.leave_line(payout.wrapping_add(fee).wrapping_sub(already))?;
        let bonds = bonds(verdict.loser, trade.bond, trade.held);
        let staked = trade.bond.checked_add(trade.held).ok_or(Failure::Overflow)?;
        let escrow = &mut *self.escrow;
        escrow.fees_due = escrow.fees_due.checked_add(fee).ok_or(Failure::Overflow)?;
        escrow.bonds = escrow.bonds.checked_sub(staked).ok_or(Failure::NotEnough)?;
        escrow.available = escrow.available.checked_add(bonds.available).ok_or(Failure::Overflow)?;
        let due = (payout - already).checked_add(bonds.held_back).ok_or(Failure::Overflow)?;
        let due = due.checked_add(bonds.to_battery).ok_or(Failure::Overflow)?;
        self.conclude(&Ended {
            trade_id: &trade.trade_id,
            contract_no: trade.contract_no,
            energy_wh: trade.energy_wh,
            delivered_wh: verdict.delivered_wh,
            reserved: trade.reserved,
            payout,
            fee,
            due,
            bond_to_battery: bonds.to_battery,
            bond_to_buyer: bonds.to_buyer,
            how: verdict.how,
            was_claimed: true,
            loser: verdict.loser,
        })?;
        close(self.trade_account, rent_payer)
    }
}

/// What a trade that is open comes to.
pub struct Verdict {
    pub delivered_wh: u64,
    pub how: u8,
    pub loser: Loser,
}

/// A trade that ended, money in base units.
pub struct Ended<'a> {
    pub trade_id: &'a Key,
    pub contract_no: u64,
    pub energy_wh: u32,
    pub delivered_wh: u64,
    pub reserved: u64,
    pub payout: u64,
    pub fee: u64,
    /// Of the payout and the bonds, what the battery has not got yet.
    pub due: u64,
    pub bond_to_battery: u64,
    pub bond_to_buyer: u64,
    pub how: u8,
    pub was_claimed: bool,
    pub loser: Loser,
}

/// Return the Config that this is.
#[inline(always)]
pub fn config<'a>(input: &Input<'a>, at: usize) -> Result<&'a crate::state::Config, Failure> {
    read(&input.accounts[at], input.program_id)
}
