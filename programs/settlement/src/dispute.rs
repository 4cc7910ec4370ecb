//! A claimed trade: undisputed it is paid after its window; disputed it is ruled on, times out, or is agreed on later.

use crate::accounts::{is, must_be, Input};
use crate::agreed::cosigned;
use crate::chain::now;
use crate::consent::receipt;
use crate::events::Event;
use crate::layout::copy;
use crate::money::{add, take};
use crate::payment::{Verdict, FINALIZED, RESOLVED, TIMED_OUT};
use crate::ruling::{loser, middle, stakes, Loser};
use crate::state::{CLAIMED, DISPUTED};
use crate::terms::Delivery;
use crate::{Done, Failure};

const ARGUMENTS: usize = 8;
const CONSENT_SLOTS: usize = 9;

/// An interim receipt signed by both: what it says is beyond dispute, and paid at once where it was disputed.
#[inline(never)]
pub fn attest(input: &Input) -> Done {
    crate::payment!(payment, input, ATTEST, 0);
    let trade = payment.trade()?;
    // SAFETY: a packed structure inside data whose length was compared.
    let delivery = unsafe { input.arguments::<Delivery>(ARGUMENTS) };
    delivery.check()?;
    let digest = receipt(&trade.trade_id, 0, delivery.bytes());
    cosigned(input, CONSENT_SLOTS, payment.battery, payment.buyer, &digest)?;

    let attested_wh = delivery.at_most(trade.claimed_wh);
    need!(attested_wh > trade.attested_wh && attested_wh > trade.safe_wh, BadAmount);
    if trade.state == DISPUTED {
        let paid = trade.price(attested_wh).wrapping_sub(trade.price(trade.safe_wh));
        take(&mut payment.line.locked, paid)?;
        payment.leave_line(paid)?;
        add(&mut trade.paid, paid)?;
        trade.safe_wh = attested_wh;
        payment.pay(paid, &mut 0)?;
    }
    trade.attested_wh = attested_wh;
    let event = event!(Attested {
        trade_id: copy(&trade.trade_id),
        line: copy(&trade.line),
        contract_no: trade.contract_no,
        safe_wh: attested_wh,
        paid: trade.paid,
        battery_sequence: payment.battery.next(),
        buyer_sequence: payment.buyer.next(),
    });
    event.emit(input, payment.event_authority, payment.program)
}

/// Pay a claim that nobody disputed.
#[inline(never)]
pub fn finalize(input: &Input) -> Done {
    let accounts = accounts!(input, FINALIZE);
    let [.., rent_payer, _, _] = accounts;
    crate::payment!(payment, input, FINALIZE, 0);
    let trade = payment.ending(rent_payer)?;
    need!(trade.state == CLAIMED, BadState);
    need!(now()? >= trade.disputable_until, TooEarly);
    let verdict = Verdict { delivered_wh: trade.claimed_wh, how: FINALIZED, loser: Loser::Nobody };
    payment.finish(trade, verdict, rent_payer)
}

/// Say that less was delivered than is claimed.
#[inline(never)]
pub fn dispute(input: &Input) -> Done {
    let accounts = accounts!(input, DISPUTE);
    let config = seen!(input, DISPUTE, 1, Config);
    crate::payment!(payment, input, DISPUTE, 2);
    must_be(&accounts[0], &payment.buyer.wallet)?;
    let trade = payment.trade()?;
    // SAFETY: the data has this length.
    let buyer_wh = unsafe { input.number(ARGUMENTS) };
    let now = now()?;
    need!(trade.state == CLAIMED, BadState);
    need!(now < trade.disputable_until, Expired);
    need!(buyer_wh < trade.claimed_wh && trade.attested_wh < trade.claimed_wh, BadAmount);
    let safe_wh = if buyer_wh > trade.attested_wh { buyer_wh } else { trade.attested_wh };
    let safe = trade.price(safe_wh);
    let stakes = stakes(config.min_bond, trade.price(trade.claimed_wh).wrapping_sub(safe), safe);
    let escrow = &mut *payment.escrow;
    take(&mut escrow.available, stakes.bond)?;
    let staked = stakes.bond.checked_add(stakes.held).ok_or(Failure::Overflow)?;
    add(&mut escrow.bonds, staked)?;
    take(&mut payment.line.locked, safe)?;
    payment.leave_line(safe)?;
    let paid = safe - stakes.held;
    trade.state = DISPUTED;
    trade.buyer_wh = buyer_wh;
    trade.safe_wh = safe_wh;
    trade.paid = paid;
    trade.bond = stakes.bond;
    trade.held = stakes.held;
    trade.times_out_at = now.wrapping_add(config.timeout_s as i64);
    payment.pay(paid, &mut 0)?;
    let event = event!(Disputed {
        trade_id: copy(&trade.trade_id),
        line: copy(&trade.line),
        contract_no: trade.contract_no,
        claimed_wh: trade.claimed_wh,
        buyer_wh,
        safe_wh,
        paid,
        bond: stakes.bond,
        held: stakes.held,
        times_out_at: trade.times_out_at,
        battery_sequence: payment.battery.next(),
        buyer_sequence: payment.buyer.next(),
    });
    event.emit(input, payment.event_authority, payment.program)
}

/// Rule on a dispute.
#[inline(never)]
pub fn resolve(input: &Input) -> Done {
    let accounts = accounts!(input, RESOLVE);
    let [resolver, .., rent_payer, _, _] = accounts;
    crate::payment!(payment, input, RESOLVE, 1);
    let trade = payment.ending(rent_payer)?;
    need!(is(resolver, &trade.resolver), NotResolver);
    need!(trade.state == DISPUTED, BadState);
    // SAFETY: the data has this length.
    let delivered_wh = unsafe { input.number(ARGUMENTS) };
    need!(delivered_wh >= trade.safe_wh && delivered_wh <= trade.claimed_wh, BadAmount);
    let loser = loser(trade.claimed_wh, trade.buyer_wh, delivered_wh.wrapping_mul(2));
    payment.finish(trade, Verdict { delivered_wh, how: RESOLVED, loser }, rent_payer)
}

/// End a dispute that nobody ruled on.
#[inline(never)]
pub fn timeout(input: &Input) -> Done {
    let accounts = accounts!(input, TIMEOUT);
    let [.., rent_payer, _, _] = accounts;
    crate::payment!(payment, input, TIMEOUT, 0);
    let trade = payment.ending(rent_payer)?;
    need!(trade.state == DISPUTED, BadState);
    need!(now()? >= trade.times_out_at, TooEarly);
    let loser = loser(trade.claimed_wh, trade.buyer_wh, trade.safe_wh.wrapping_add(trade.claimed_wh));
    let delivered_wh = middle(trade.safe_wh, trade.claimed_wh);
    payment.finish(trade, Verdict { delivered_wh, how: TIMED_OUT, loser }, rent_payer)
}
