//! A delivery that both sides signed as final.

use crate::accounts::{distinct, key, maybe, Input};
use crate::chain::{at_top, bump_of};
use crate::consent::{check_receipt, is_present, receipt, trade_id};
use crate::layout::same;
use crate::money::{amount_of, fee_of, reserve_of};
use crate::payment::{config, Ended, Payment, Verdict, COSIGNED};
use crate::ruling::Loser;
use crate::schema::call;
use crate::terms::{Delivery, Terms, DELIVERY_SIZE, TERMS_SIZE};
use crate::{Done, Failure};

const TERMS: usize = 8;
const DELIVERY: usize = TERMS + TERMS_SIZE;
const _: () = assert!(DELIVERY + DELIVERY_SIZE == call::SETTLE_SIZE);

#[inline(never)]
pub fn settle(input: &Input) -> Done {
    let accounts = input.take::<{ call::SETTLE_ACCOUNTS }>(call::SETTLE_SIZE)?;
    let [_, battery, buyer, escrow, vault, line, trade, payee, unpaid, _, instructions, battery_wallet, buyer_wallet, rent_payer, _, _] =
        accounts;
    if let Some(payer) = maybe(rent_payer, input.program_id) {
        distinct([battery, buyer, escrow, vault, line, trade, payee, unpaid, payer])?;
    }
    let config = config(input, 0)?;
    let mut payment = Payment::take(input, 1)?;
    // SAFETY: packed structures inside data whose length was compared.
    let (terms, delivery) = unsafe { (input.arguments::<Terms>(TERMS), input.arguments::<Delivery>(DELIVERY)) };
    terms.check(&payment.line.battery_wallet, &payment.line.buyer_wallet)?;
    delivery.check()?;
    let amount = amount_of(terms.price_e4, terms.energy_wh, terms.base_units_per_cent);
    let reserved = reserve_of(amount, terms.fee_bps)?;

    let id = trade_id(input.program_id, &config.genesis, payment.line, &input.data[TERMS..DELIVERY]);
    let digest = receipt(&id, 1, &input.data[DELIVERY..]);
    let has_battery = is_present(battery_wallet, payment.battery, input.program_id)?;
    let has_buyer = is_present(buyer_wallet, payment.buyer, input.program_id)?;
    let absent = [
        if has_battery { None } else { Some(&*payment.battery) },
        if has_buyer { None } else { Some(&*payment.buyer) },
    ];
    at_top()?;
    check_receipt(instructions, absent, &digest)?;

    let delivered_wh = delivery.at_most(terms.energy_wh as u64);
    if payment.line.numbers().is_spent(terms.contract_no)? {
        let mut bump = 0;
        bump_of(key(trade), &[b"trade", &id], input.program_id, &mut bump)?;
        if !same(trade.owner().as_array(), input.program_id) {
            return Ok(());
        }
        let open = payment.ending(rent_payer)?;
        return payment.finish(open, rent_payer, Verdict { delivered_wh, how: COSIGNED, loser: Loser::Nobody });
    }

    let payout = amount_of(terms.price_e4, delivered_wh as u32, terms.base_units_per_cent);
    let fee = fee_of(payout, terms.fee_bps);
    let spent = payout.wrapping_add(fee);
    let free = payment.line.amount.checked_sub(payment.line.locked).ok_or(Failure::NotEnough)?;
    need!(spent <= free, NotEnough);
    payment.line.numbers().spend(terms.contract_no);
    payment.leave_line(spent)?;
    payment.escrow.fees_due = payment.escrow.fees_due.checked_add(fee).ok_or(Failure::Overflow)?;
    let unpaid = payment.pay(payout)?;
    let ended = Ended {
        trade_id: &id,
        contract_no: terms.contract_no,
        delivered_wh,
        reserved,
        payout,
        fee,
        bond_to_battery: 0,
        bond_to_buyer: 0,
        unpaid,
        how: COSIGNED,
        was_claimed: false,
        loser: Loser::Nobody,
    };
    payment.count(&ended, terms.energy_wh as u64);
    payment.tell(&ended)
}
