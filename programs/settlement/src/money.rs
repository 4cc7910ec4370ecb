//! What a delivery costs, in base units: u64 only, and equal to `settlement/money.py` to the unit.

use crate::{Done, Failure};

pub const FEE_BPS_MAX: u16 = 500;
pub const UNITS_PER_CENT_MAX: u64 = 10_000_000;
const CENT: u64 = 10_000_000;
const BPS: u64 = 10_000;

/// Add to a sum of money.
#[inline(never)]
pub fn add(sum: &mut u64, amount: u64) -> Done {
    *sum = sum.checked_add(amount).ok_or(Failure::Overflow)?;
    Ok(())
}

/// Take from a sum of money.
#[inline(never)]
pub fn take(sum: &mut u64, amount: u64) -> Done {
    *sum = sum.checked_sub(amount).ok_or(Failure::NotEnough)?;
    Ok(())
}

/// Return the price of an energy, rounded down.
///
/// `rate` is at most 10^7, so neither product exceeds `price_e4 * wh`, which two u32 cannot make larger than u64.
#[inline(never)]
pub fn amount_of(price_e4: u32, wh: u32, rate: u64) -> u64 {
    let product = (price_e4 as u64).wrapping_mul(wh as u64);
    let whole = (product / CENT).wrapping_mul(rate);
    whole.wrapping_add((product % CENT).wrapping_mul(rate) / CENT)
}

/// Return the fee on an amount, rounded down; at most a twentieth of it.
#[inline(never)]
pub fn fee_of(amount: u64, fee_bps: u16) -> u64 {
    let bps = fee_bps as u64;
    (amount / BPS).wrapping_mul(bps).wrapping_add((amount % BPS).wrapping_mul(bps) / BPS)
}

/// Return amount and fee together.
#[inline(always)]
pub fn reserve_of(amount: u64, fee_bps: u16) -> Result<u64, Failure> {
    amount.checked_add(fee_of(amount, fee_bps)).ok_or(Failure::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_wide_arithmetic() {
        let edges = [0u32, 1, 99, 100, 10_000, 251_300, 2_500, 999_999, 1 << 31, u32::MAX - 1, u32::MAX];
        for price in edges {
            for wh in edges {
                for rate in [1, 3, 9_999, 10_000, 9_999_999, UNITS_PER_CENT_MAX] {
                    let amount = amount_of(price, wh, rate);
                    assert_eq!(amount as u128, price as u128 * wh as u128 * rate as u128 / CENT as u128);
                    for bps in [0u16, 1, 50, 499, FEE_BPS_MAX] {
                        let fee = fee_of(amount, bps) as u128;
                        assert_eq!(fee, amount as u128 * bps as u128 / BPS as u128);
                        let both = amount as u128 + fee;
                        assert_eq!(
                            reserve_of(amount, bps).ok().map(u128::from),
                            u64::try_from(both).ok().map(u128::from)
                        );
                    }
                }
            }
        }
    }
}
