//! A delivery that both sides signed as final.

use crate::accounts::{key, must_be, Input};
use crate::agreed::cosigned;
use crate::chain::bump_of;
use crate::layout::equal;
use crate::money::{add, amount_of, fee_of};
use crate::numbers::Number;
use crate::payment::{Ended, Verdict, COSIGNED};
use crate::ruling::Loser;
use crate::{Done, Failure};

const CONSENT_SLOTS: usize = 10;

#[inline(never)]
pub fn settle(input: &Input) -> Done {
    let accounts = accounts!(input, SETTLE);
    let [.., rent_payer, _, _] = accounts;
    let config = seen!(input, SETTLE, 0, Config);
    crate::payment!(payment, input, SETTLE, 1);
    crate::agreed!(agreed, input, config, payment.line);
    cosigned(input, CONSENT_SLOTS, payment.battery, payment.buyer, &agreed.digest)?;

    let terms = agreed.terms;
    if payment.line.numbers().state(terms.contract_no) == Number::Spent {
        let open = match payment.trade() {
            Ok(open) if equal(&open.trade_id, &agreed.trade_id) => open,
            _ => {
                let mut bump = 0;
                let seeds: [&[u8]; 2] = [b"trade", &agreed.trade_id];
                return bump_of(key(payment.trade_account), &seeds, input.program_id, &mut bump);
            }
        };
        must_be(rent_payer, &open.rent_payer)?;
        let verdict = Verdict { delivered_wh: agreed.delivered_wh, how: COSIGNED, loser: Loser::Nobody };
        return payment.finish(open, verdict, rent_payer);
    }

    let payout = amount_of(terms.price_e4, agreed.delivered_wh as u32, terms.base_units_per_cent);
    let fee = fee_of(payout, terms.fee_bps);
    let spent = payout.wrapping_add(fee);
    payment.line.numbers().spend(terms.contract_no)?;
    let free = payment.line.amount.checked_sub(payment.line.locked).ok_or(Failure::NotEnough)?;
    need!(spent <= free, NotEnough);
    payment.leave_line(spent)?;
    add(&mut payment.escrow.fees_due, fee)?;
    payment.conclude(&Ended {
        trade_id: &agreed.trade_id,
        contract_no: terms.contract_no,
        energy_wh: terms.energy_wh,
        delivered_wh: agreed.delivered_wh,
        reserved: agreed.reserved,
        payout,
        fee,
        due: payout,
        bond_to_battery: 0,
        bond_to_buyer: 0,
        how: COSIGNED,
        was_claimed: false,
        loser: Loser::Nobody,
    })
}
