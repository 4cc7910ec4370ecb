//! A delivery that only the battery signed: its money is locked until the buyer had time to object.

use crate::accounts::{distinct, key, write, Input};
use crate::chain::{at_top, now, New};
use crate::consent::{check, is_present, receipt, trade_id, Needed, Signer, CONTRACT, RECEIPT};
use crate::events::{Claimed, Event};
use crate::layout::same;
use crate::money::{amount_of, reserve_of};
use crate::payment::config;
use crate::schema::call;
use crate::state::{Line, Participant, Trade, CLAIMED};
use crate::terms::{Delivery, Terms, DELIVERY_SIZE, TERMS_SIZE};
use crate::{Done, Failure};

const TERMS: usize = 8;
const DELIVERY: usize = TERMS + TERMS_SIZE;
const _: () = assert!(DELIVERY + DELIVERY_SIZE == call::CLAIM_SIZE);

#[inline(never)]
pub fn claim(input: &Input) -> Done {
    let accounts = input.take::<{ call::CLAIM_ACCOUNTS }>(call::CLAIM_SIZE)?;
    let [payer, _, battery_account, buyer_account, line_account, trade_account, instructions, battery_wallet, system, authority, program] =
        accounts;
    distinct([payer, battery_account, buyer_account, line_account, trade_account])?;
    need!(payer.is_signer(), NotSigner);
    let id = input.program_id;
    let config = config(input, 1)?;
    let battery: &mut Participant = write(battery_account, id)?;
    let buyer: &mut Participant = write(buyer_account, id)?;
    let line: &mut Line = write(line_account, id)?;
    let fits = same(&line.battery_wallet, &battery.wallet) && same(&line.buyer_wallet, &buyer.wallet);
    need!(fits, BadAccount);
    // SAFETY: packed structures inside data whose length was compared.
    let (terms, delivery) = unsafe { (input.arguments::<Terms>(TERMS), input.arguments::<Delivery>(DELIVERY)) };
    terms.check(&line.battery_wallet, &line.buyer_wallet)?;
    delivery.check()?;
    let amount = amount_of(terms.price_e4, terms.energy_wh, terms.base_units_per_cent);
    let reserved = reserve_of(amount, terms.fee_bps)?;

    at_top()?;
    let trade_id = trade_id(id, &config.genesis, line, &input.data[TERMS..DELIVERY]);
    let by_buyer = Signer::Participant(buyer);
    let contract = Needed { signer: &by_buyer, kind: CONTRACT, digest: &trade_id };
    if is_present(battery_wallet, battery, id)? {
        check(instructions, &[contract], 1)?;
    } else {
        let digest = receipt(&trade_id, 1, &input.data[DELIVERY..]);
        let by_battery = Signer::Participant(battery);
        check(instructions, &[Needed { signer: &by_battery, kind: RECEIPT, digest: &digest }, contract], 2)?;
    }

    let now = now()?;
    need!(!line.numbers().is_spent(terms.contract_no)?, NumberUsed);
    need!(now >= terms.ends_at_s, TooEarly);
    need!(now < terms.valid_until_s, Expired);
    let disputable_until = now.checked_add(terms.dispute_window_s as i64).ok_or(Failure::Overflow)?;
    let seeds: [&[u8]; 2] = [b"trade", &trade_id];
    let new = New { payer, account: trade_account, system, seeds: &seeds, owner: id };
    let trade: &mut Trade = new.state(id)?;
    let locked = line.locked.checked_add(reserved).ok_or(Failure::NotEnough)?;
    need!(locked <= line.amount, NotEnough);
    line.locked = locked;
    line.open_trades = line.open_trades.checked_add(1).ok_or(Failure::Overflow)?;
    line.numbers().spend(terms.contract_no);

    trade.state = CLAIMED;
    trade.fee_bps = terms.fee_bps;
    trade.trade_id = trade_id;
    trade.line = *key(line_account);
    trade.rent_payer = *key(payer);
    trade.resolver = terms.resolver;
    trade.evidence = delivery.evidence;
    trade.contract_no = terms.contract_no;
    trade.price_e4 = terms.price_e4;
    trade.energy_wh = terms.energy_wh;
    trade.base_units_per_cent = terms.base_units_per_cent;
    trade.reserved = reserved;
    trade.claimed_wh = delivery.at_most(terms.energy_wh as u64);
    trade.started_at = delivery.started_at_s;
    trade.ended_at = delivery.ended_at_s;
    trade.disputable_until = disputable_until;

    let event = Claimed {
        trade_id,
        line: trade.line,
        contract_no: trade.contract_no,
        claimed_wh: trade.claimed_wh,
        reserved,
        disputable_until,
        battery_sequence: battery.next(),
        buyer_sequence: buyer.next(),
    };
    event.emit(input, authority, program)
}
