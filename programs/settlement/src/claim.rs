//! A delivery that only the battery signed: its money is locked until the buyer had time to object.

use crate::accounts::{agree, key, Input};
use crate::chain::{at_top, now, New};
use crate::consent::{check, is_present, Needed, CONTRACT, RECEIPT};
use crate::events::Event;
use crate::layout::{copy, put};
use crate::state::{Trade, CLAIMED};
use crate::{Done, Failure};

#[inline(never)]
pub fn claim(input: &Input) -> Done {
    let accounts = accounts!(input, CLAIM);
    let [payer, _, _, _, line_account, trade_account, instructions, battery_wallet, system, authority, program] =
        accounts;
    let id = input.program_id;
    let config = seen!(input, CLAIM, 1, Config);
    let battery = changed!(input, CLAIM, 2, Participant);
    let buyer = changed!(input, CLAIM, 3, Participant);
    let line = changed!(input, CLAIM, 4, Line);
    agree(&line.battery_wallet, &battery.wallet)?;
    agree(&line.buyer_wallet, &buyer.wallet)?;
    crate::agreed!(agreed, input, config, line);
    let terms = agreed.terms;

    let is_here = is_present(battery_wallet, battery, id)?;
    at_top()?;
    let said = Needed::of(battery, RECEIPT, &agreed.digest);
    let contract = Needed::of(buyer, CONTRACT, &agreed.trade_id);
    let needed = [said, contract];
    check(instructions, if is_here { &needed[1..] } else { &needed }, 2)?;

    let now = now()?;
    line.numbers().spend(terms.contract_no)?;
    need!(now >= terms.ends_at_s, TooEarly);
    need!(now < terms.valid_until_s, Expired);
    let disputable_until = now.wrapping_add(terms.dispute_window_s as i64);
    let seeds: [&[u8]; 2] = [b"trade", &agreed.trade_id];
    let new = New { payer, account: trade_account, system, seeds: &seeds, owner: id };
    let trade: &mut Trade = new.state(id)?;
    let locked = line.locked.checked_add(agreed.reserved).ok_or(Failure::NotEnough)?;
    need!(locked <= line.amount, NotEnough);
    line.locked = locked;
    line.open_trades = line.open_trades.checked_add(1).ok_or(Failure::Overflow)?;

    trade.state = CLAIMED;
    trade.fee_bps = terms.fee_bps;
    put(&mut trade.trade_id, &agreed.trade_id);
    put(&mut trade.line, key(line_account));
    put(&mut trade.rent_payer, key(payer));
    put(&mut trade.resolver, &terms.resolver);
    put(&mut trade.evidence, &agreed.delivery.evidence);
    trade.contract_no = terms.contract_no;
    trade.price_e4 = terms.price_e4;
    trade.energy_wh = terms.energy_wh;
    trade.base_units_per_cent = terms.base_units_per_cent;
    trade.reserved = agreed.reserved;
    trade.claimed_wh = agreed.delivered_wh;
    trade.started_at = agreed.delivery.started_at_s;
    trade.ended_at = agreed.delivery.ended_at_s;
    trade.disputable_until = disputable_until;

    let event = event!(Claimed {
        trade_id: copy(&agreed.trade_id),
        line: copy(&trade.line),
        contract_no: trade.contract_no,
        claimed_wh: trade.claimed_wh,
        reserved: agreed.reserved,
        disputable_until,
        battery_sequence: battery.next(),
        buyer_sequence: buyer.next(),
    });
    event.emit(input, authority, program)
}
