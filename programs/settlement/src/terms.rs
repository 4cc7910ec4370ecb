//! The terms of a contract and the numbers of a delivery as they come in an instruction, and what is in range.

use crate::layout::{equal, Key, ZERO};
use crate::money::{FEE_BPS_MAX, UNITS_PER_CENT_MAX};
use crate::Done;

pub const PRICE_TICK_E4: u32 = 100;
pub const ENERGY_STEP_WH: u32 = 100;
pub const VALID_MIN_S: i64 = 86_400;
pub const VALID_MAX_S: i64 = 604_800;
pub const FIRST_BATTERY_ID: u64 = 1 << 63;
pub const TERMS_SIZE: usize = 142;
pub const DELIVERY_SIZE: usize = 56;

/// What the accounts do not say of a contract, in the order of its bytes.
#[derive(Clone, Copy)]
#[repr(C, packed)]
pub struct Terms {
    pub contract_no: u64,
    pub battery_device_id: u64,
    pub buyer_device_id: u64,
    pub message_id: u64,
    pub price_e4: u32,
    pub energy_wh: u32,
    pub base_units_per_cent: u64,
    pub starts_at_s: i64,
    pub ends_at_s: i64,
    pub valid_until_s: i64,
    pub fee_bps: u16,
    pub dispute_window_s: u32,
    pub resolver: Key,
    pub meter_key: Key,
}

/// What was delivered, in the order of a receipt's bytes.
#[derive(Clone, Copy)]
#[repr(C, packed)]
pub struct Delivery {
    pub delivered_wh: u64,
    pub started_at_s: i64,
    pub ended_at_s: i64,
    pub evidence: Key,
}

const _: () = assert!(core::mem::size_of::<Terms>() == TERMS_SIZE);
const _: () = assert!(core::mem::size_of::<Delivery>() == DELIVERY_SIZE);

impl Terms {
    /// Return the bytes that end a contract.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8; TERMS_SIZE] {
        // SAFETY: the structure is packed and has this size.
        unsafe { &*(self as *const Self as *const [u8; TERMS_SIZE]) }
    }

    /// Refuse what is no contract: the ranges of `settlement/contract.py`, and in this version no meter's own key.
    #[inline(always)]
    pub fn check(&self, battery_wallet: &Key, buyer_wallet: &Key) -> Done {
        let (price, energy, rate) = (self.price_e4, self.energy_wh, self.base_units_per_cent);
        need!(price % PRICE_TICK_E4 == 0, BadTerms);
        need!(energy != 0 && energy % ENERGY_STEP_WH == 0, BadTerms);
        need!(rate != 0 && rate <= UNITS_PER_CENT_MAX, BadTerms);
        need!(self.message_id < FIRST_BATTERY_ID, BadTerms);
        need!(self.battery_device_id != self.buyer_device_id, BadTerms);
        need!(self.fee_bps <= FEE_BPS_MAX && self.dispute_window_s != 0, BadTerms);
        need!(self.starts_at_s >= 1 && self.ends_at_s > self.starts_at_s, BadTerms);
        let valid_s = self.valid_until_s.wrapping_sub(self.ends_at_s);
        need!(self.valid_until_s > 0 && valid_s >= VALID_MIN_S && valid_s <= VALID_MAX_S, BadTerms);
        need!(equal(&self.meter_key, &ZERO) && !equal(&self.resolver, &ZERO), BadTerms);
        need!(!equal(&self.resolver, battery_wallet) && !equal(&self.resolver, buyer_wallet), SameParty);
        Ok(())
    }
}

impl Delivery {
    /// Return the bytes that end a receipt.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8; DELIVERY_SIZE] {
        // SAFETY: the structure is packed and has this size.
        unsafe { &*(self as *const Self as *const [u8; DELIVERY_SIZE]) }
    }

    /// Refuse what is no receipt.
    #[inline(always)]
    pub fn check(&self) -> Done {
        need!(self.started_at_s >= 0 && self.ended_at_s >= self.started_at_s, BadTerms);
        Ok(())
    }

    /// Return the energy that counts: at most `most`.
    #[inline(always)]
    pub fn at_most(&self, most: u64) -> u64 {
        let delivered = self.delivered_wh;
        if delivered < most {
            delivered
        } else {
            most
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;

    const GOOD: Terms = Terms {
        contract_no: 7,
        battery_device_id: 1,
        buyer_device_id: 2,
        message_id: 4_711,
        price_e4: 251_300,
        energy_wh: 2_500,
        base_units_per_cent: 10_000,
        starts_at_s: 1_700_000_000,
        ends_at_s: 1_700_002_310,
        valid_until_s: 1_700_261_510,
        fee_bps: 50,
        dispute_window_s: 86_400,
        resolver: [9; 32],
        meter_key: ZERO,
    };

    fn refusal(change: impl Fn(&mut Terms)) -> Option<Failure> {
        let mut terms = GOOD;
        change(&mut terms);
        terms.check(&[7; 32], &[8; 32]).err()
    }

    #[test]
    fn ranges() {
        assert_eq!(refusal(|_| ()), None);
        let bad: [fn(&mut Terms); 17] = [
            |t| t.price_e4 = 251_301,
            |t| t.energy_wh = 0,
            |t| t.energy_wh = 50,
            |t| t.base_units_per_cent = 0,
            |t| t.base_units_per_cent = 10_000_001,
            |t| t.message_id = 1 << 63,
            |t| t.buyer_device_id = 1,
            |t| t.fee_bps = 501,
            |t| t.dispute_window_s = 0,
            |t| t.starts_at_s = 0,
            |t| t.ends_at_s = 1_700_000_000,
            |t| t.valid_until_s = 1_700_002_310 + 86_399,
            |t| t.valid_until_s = 1_700_002_310 + 604_801,
            |t| (t.ends_at_s, t.valid_until_s) = (i64::MAX, i64::MIN + 100_000),
            |t| (t.ends_at_s, t.valid_until_s) = (-1, 100_000),
            |t| t.resolver = ZERO,
            |t| t.meter_key = [1; 32],
        ];
        for change in bad {
            assert_eq!(refusal(change), Some(Failure::BadTerms));
        }
        assert_eq!(refusal(|t| t.resolver = [7; 32]), Some(Failure::SameParty));
        assert_eq!(refusal(|t| t.resolver = [8; 32]), Some(Failure::SameParty));
        assert_eq!(refusal(|t| t.valid_until_s = 1_700_002_310 + 604_800), None);
    }
}
