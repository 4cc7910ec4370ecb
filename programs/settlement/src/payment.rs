//! The nine accounts that every payment of a trade takes, and how one ends.

use core::mem::MaybeUninit;

use pinocchio::AccountView;

use crate::accounts::{agree, key, must_be, write, Input};
use crate::chain::close;
use crate::events::Event;
use crate::layout::{copy, Key};
use crate::money::{add, fee_of, take};
use crate::ruling::{bonds, Loser};
use crate::state::{Escrow, Line, Participant, Trade, Unpaid};
use crate::token::{is_fit, is_thawed, pay_out};
use crate::{Done, Failure};

pub const COSIGNED: u8 = 0;
pub const FINALIZED: u8 = 1;
pub const RESOLVED: u8 = 2;
pub const TIMED_OUT: u8 = 3;

/// Make `$payment` of the accounts that begin at `$first`.
#[macro_export]
macro_rules! payment {
    ($payment:ident, $input:expr, $call:ident, $first:literal) => {
        const { assert!($crate::shape::has_payment(&$crate::shape::kinds::$call, $first)) };
        let mut place = core::mem::MaybeUninit::uninit();
        $crate::payment::Payment::take(&mut place, $input, $first)?;
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
    /// Put into `place` the payment accounts that begin at `first`; event authority and program are the last two.
    #[inline(never)]
    pub fn take(place: &mut MaybeUninit<Self>, input: &'a Input<'a>, first: usize) -> Done {
        let (accounts, count) = (input.accounts.as_ptr(), input.accounts.len());
        // SAFETY: `payment!` asserts that the instruction has them from there on and of these kinds, which `shape::check`
        // has seen; no two that are changed are one.
        let payment = unsafe {
            let own = accounts.add(first);
            place.write(Payment {
                input,
                battery: &mut *((*own).data_ptr() as *mut Participant),
                buyer: &mut *((*own.add(1)).data_ptr() as *mut Participant),
                escrow: &mut *((*own.add(2)).data_ptr() as *mut Escrow),
                line: &mut *((*own.add(4)).data_ptr() as *mut Line),
                unpaid: &mut *((*own.add(7)).data_ptr() as *mut Unpaid),
                escrow_account: &*own.add(2),
                vault: &*own.add(3),
                line_account: &*own.add(4),
                trade_account: &*own.add(5),
                payee: &*own.add(6),
                event_authority: &*accounts.add(count - 2),
                program: &*accounts.add(count - 1),
            })
        };
        payment.check()
    }

    #[inline(always)]
    fn check(&self) -> Done {
        let (line, escrow) = (&self.line, key(self.escrow_account));
        agree(&line.battery_wallet, &self.battery.wallet)?;
        agree(&line.buyer_wallet, &self.buyer.wallet)?;
        agree(&line.escrow, escrow)?;
        must_be(self.vault, &self.escrow.vault)?;
        must_be(self.payee, &line.payee)?;
        agree(&self.unpaid.wallet, &line.battery_wallet)?;
        agree(&self.unpaid.escrow, escrow)?;
        Ok(())
    }

    /// Return the trade of this Line. The caller makes no second reference to it.
    #[inline(always)]
    pub fn trade(&self) -> Result<&'a mut Trade, Failure> {
        let trade: &mut Trade = write(self.trade_account, self.input.program_id)?;
        agree(&trade.line, key(self.line_account))?;
        Ok(trade)
    }

    /// Return the trade of this Line that ends, whose rent goes to `rent_payer`.
    #[inline(always)]
    pub fn ending(&self, rent_payer: &AccountView) -> Result<&'a mut Trade, Failure> {
        let trade = self.trade()?;
        must_be(rent_payer, &trade.rent_payer)?;
        Ok(trade)
    }

    /// Take money off the Line and the escrow's sum of Lines.
    #[inline(always)]
    pub fn leave_line(&mut self, amount: u64) -> Done {
        take(&mut self.line.amount, amount)?;
        take(&mut self.escrow.allotted, amount)?;
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
        add(&mut self.unpaid.amount, amount)?;
        add(&mut self.escrow.unpaid, amount)?;
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
        let event = event!(Settled {
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
        });
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
        take(&mut self.line.locked, reserve)?;
        self.line.open_trades = self.line.open_trades.checked_sub(1).ok_or(Failure::BadState)?;
        self.leave_line(payout.wrapping_add(fee).wrapping_sub(already))?;
        let bonds = bonds(verdict.loser, trade.bond, trade.held);
        let staked = trade.bond.checked_add(trade.held).ok_or(Failure::Overflow)?;
        let escrow = &mut *self.escrow;
        add(&mut escrow.fees_due, fee)?;
        take(&mut escrow.bonds, staked)?;
        add(&mut escrow.available, bonds.available)?;
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
