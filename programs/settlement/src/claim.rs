//! A delivery that only the battery signed: its money is locked until the buyer had time to object.

use crate::accounts::{distinct, key, write, Input};
use crate::chain::{at_top, now, New};
use crate::consent::{check, is_present, Needed, Signer, CONTRACT, RECEIPT};
use crate::events::{Claimed, Event};
use crate::layout::{copy, equal};
use crate::payment::config;
use crate::schema::call;
use crate::state::{Line, Participant, Trade, CLAIMED};
use crate::{Done, Failure};

#[inline(never)]
pub fn claim(input: &Input) -> Done {
    let accounts = input.take::<{ call::CLAIM_ACCOUNTS }>(call::CLAIM_SIZE)?;
    let [payer, _, battery_account, buyer_account, line_account, trade_account, instructions, battery_wallet, system, authority, program] =
        accounts;
    distinct(&[*payer, *battery_account, *buyer_account, *line_account, *trade_account])?;
    need!(payer.is_signer(), NotSigner);
    let id = input.program_id;
    let config = config(input, 1)?;
    let battery: &mut Participant = write(battery_account, id)?;
    let buyer: &mut Participant = write(buyer_account, id)?;
    let line: &mut Line = write(line_account, id)?;
    let fits = equal(&line.battery_wallet, &battery.wallet) && equal(&line.buyer_wallet, &buyer.wallet);
    need!(fits, BadAccount);
    crate::agreed!(agreed, input, config, line);
    let terms = agreed.terms;

    let is_here = is_present(battery_wallet, battery, id)?;
    at_top()?;
    let (by_battery, by_buyer) = (Signer::Participant(battery), Signer::Participant(buyer));
    let needed = [
        Needed { signer: &by_battery, kind: RECEIPT, digest: &agreed.digest },
        Needed { signer: &by_buyer, kind: CONTRACT, digest: &agreed.trade_id },
    ];
    check(instructions, &needed[is_here as usize..], 2)?;

    let now = now()?;
    line.numbers().spend(terms.contract_no)?;
    need!(now >= terms.ends_at_s, TooEarly);
    need!(now < terms.valid_until_s, Expired);
    let disputable_until = now.checked_add(terms.dispute_window_s as i64).ok_or(Failure::Overflow)?;
    let seeds: [&[u8]; 2] = [b"trade", &agreed.trade_id];
    let new = New { payer, account: trade_account, system, seeds: &seeds, owner: id };
    let trade: &mut Trade = new.state(id)?;
    let locked = line.locked.checked_add(agreed.reserved).ok_or(Failure::NotEnough)?;
    need!(locked <= line.amount, NotEnough);
    line.locked = locked;
    line.open_trades = line.open_trades.checked_add(1).ok_or(Failure::Overflow)?;

    trade.state = CLAIMED;
    trade.fee_bps = terms.fee_bps;
    trade.trade_id = copy(&agreed.trade_id);
    trade.line = copy(key(line_account));
    trade.rent_payer = copy(key(payer));
    trade.resolver = copy(&terms.resolver);
    trade.evidence = copy(&agreed.delivery.evidence);
    trade.contract_no = terms.contract_no;
    trade.price_e4 = terms.price_e4;
    trade.energy_wh = terms.energy_wh;
    trade.base_units_per_cent = terms.base_units_per_cent;
    trade.reserved = agreed.reserved;
    trade.claimed_wh = agreed.delivered_wh;
    trade.started_at = agreed.delivery.started_at_s;
    trade.ended_at = agreed.delivery.ended_at_s;
    trade.disputable_until = disputable_until;

    let event = Claimed { tag: Claimed::TAG, kind: Claimed::KIND,
        trade_id: copy(&agreed.trade_id),
        line: copy(&trade.line),
        contract_no: trade.contract_no,
        claimed_wh: trade.claimed_wh,
        reserved: agreed.reserved,
        disputable_until,
        battery_sequence: battery.next(),
        buyer_sequence: buyer.next(),
    };
    event.emit(input, authority, program)
}
