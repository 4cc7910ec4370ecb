//! What settle and claim say: a contract and a delivery, in one place of their data.

use core::mem::MaybeUninit;

use pinocchio::AccountView;

use crate::accounts::Input;
use crate::chain::at_top;
use crate::consent::{check, is_present, receipt, trade_id, Needed, RECEIPT};
use crate::layout::Key;
use crate::money::{amount_of, reserve_of};
use crate::schema::call;
use crate::state::{Config, Line, Participant};
use crate::terms::{Delivery, Terms, DELIVERY_SIZE, TERMS_SIZE};
use crate::Done;

const TERMS: usize = 8;
const DELIVERY: usize = TERMS + TERMS_SIZE;
const _: () = assert!(DELIVERY + DELIVERY_SIZE == call::SETTLE_SIZE && call::SETTLE_SIZE == call::CLAIM_SIZE);

/// Make `$agreed` of what the data says.
#[macro_export]
macro_rules! agreed {
    ($agreed:ident, $input:expr, $config:expr, $line:expr) => {
        let mut place = core::mem::MaybeUninit::uninit();
        $crate::agreed::read(&mut place, $input, $config, $line)?;
        // SAFETY: `read` has written it, or we would not be here.
        let $agreed: &$crate::agreed::Agreed = unsafe { place.assume_init_ref() };
    };
}

/// A contract on a Line, and a final delivery of it.
pub struct Agreed<'a> {
    pub terms: &'a Terms,
    pub delivery: &'a Delivery,
    pub trade_id: Key,
    /// Of the final receipt.
    pub digest: Key,
    /// Amount and fee of the whole contract.
    pub reserved: u64,
    /// What was delivered of what was contracted.
    pub delivered_wh: u64,
}

/// Put into `place` what was agreed. Refuses what is no contract and no receipt.
#[inline(never)]
pub fn read<'a>(place: &mut MaybeUninit<Agreed<'a>>, input: &Input<'a>, config: &Config, line: &Line) -> Done {
    // SAFETY: packed structures inside data whose length the caller compared.
    let (terms, delivery) = unsafe { (input.arguments::<Terms>(TERMS), input.arguments::<Delivery>(DELIVERY)) };
    terms.check(&line.battery_wallet, &line.buyer_wallet)?;
    delivery.check()?;
    let amount = amount_of(terms.price_e4, terms.energy_wh, terms.base_units_per_cent);
    let reserved = reserve_of(amount, terms.fee_bps)?;
    let trade_id = trade_id(input.program_id, &config.genesis, line, terms.bytes());
    let digest = receipt(&trade_id, 1, delivery.bytes());
    let delivered_wh = delivery.at_most(terms.energy_wh as u64);
    place.write(Agreed { terms, delivery, trade_id, digest, reserved, delivered_wh });
    Ok(())
}

/// Refuse unless both signed the receipt: each by its wallet, or right before by its signing key.
///
/// The three accounts that begin at `slots` are the instructions sysvar, the battery's wallet and the buyer's.
#[inline(never)]
pub fn cosigned(input: &Input, slots: usize, battery: &Participant, buyer: &Participant, digest: &Key) -> Done {
    // SAFETY: `slots` is among the accounts of the instructions that ask for this.
    let accounts = unsafe { &*(input.accounts.as_ptr().add(slots) as *const [AccountView; 3]) };
    let has_battery = is_present(&accounts[1], battery, input.program_id)?;
    let has_buyer = is_present(&accounts[2], buyer, input.program_id)?;
    at_top()?;
    let both = [Needed::of(battery, RECEIPT, digest), Needed::of(buyer, RECEIPT, digest)];
    match (has_battery, has_buyer) {
        (true, true) => Ok(()),
        (true, false) => check(&accounts[0], &both[1..], 1),
        (false, true) => check(&accounts[0], &both[..1], 1),
        (false, false) => check(&accounts[0], &both, 1),
    }
}
