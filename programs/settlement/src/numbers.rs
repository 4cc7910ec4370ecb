//! Contract numbers of a Line: each is spent once. Below `base` all are; of the 256 from there a bit says it.

use crate::{Done, Failure};

pub const WINDOW: u64 = 256;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Number {
    Free,
    Spent,
    /// Not yet among the 256.
    Beyond,
}

/// What is spent: `used` bit n stands for `base + n`, from the lowest bit of the lowest word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Numbers {
    pub base: u64,
    pub used: [u64; 4],
}

impl Numbers {
    /// Return what is known of a number.
    #[inline(never)]
    pub fn state(&self, number: u64) -> Number {
        let place = number.wrapping_sub(self.base);
        if number < self.base {
            Number::Spent
        } else if place >= WINDOW {
            Number::Beyond
        } else if (self.used[(place / 64) as usize & 3] >> (place % 64)) & 1 == 1 {
            Number::Spent
        } else {
            Number::Free
        }
    }

    /// Spend a free number, and move `base` over what is spent from it on. Refuses one that is not free.
    #[inline(never)]
    pub fn spend(&mut self, number: u64) -> Done {
        match self.state(number) {
            Number::Spent => return Err(Failure::NumberUsed),
            Number::Beyond => return Err(Failure::NumberOutOfWindow),
            Number::Free => (),
        }
        let place = number.wrapping_sub(self.base);
        self.used[(place / 64) as usize & 3] |= 1 << (place % 64);
        while self.used[0] & 1 == 1 {
            self.slide()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn slide(&mut self) -> Done {
        let spent = self.used[0].trailing_ones();
        self.base = self.base.checked_add(spent as u64).ok_or(Failure::Overflow)?;
        if spent == 64 {
            self.used = [self.used[1], self.used[2], self.used[3], 0];
            return Ok(());
        }
        let up = 64 - spent;
        self.used[0] = (self.used[0] >> spent) | (self.used[1] << up);
        self.used[1] = (self.used[1] >> spent) | (self.used[2] << up);
        self.used[2] = (self.used[2] >> spent) | (self.used[3] << up);
        self.used[3] >>= spent;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_last_number_of_all_does_not_begin_anew() {
        let mut numbers = Numbers { base: u64::MAX - 1, used: [0; 4] };
        assert_eq!(numbers.spend(u64::MAX), Ok(()));
        assert_eq!(numbers.spend(u64::MAX - 1), Err(Failure::Overflow));
        assert_eq!(numbers.base, u64::MAX - 1);
    }

    #[test]
    fn equals_a_set() {
        let mut seed = 7u64;
        for _ in 0..200 {
            let mut numbers = Numbers { base: 0, used: [0; 4] };
            let mut spent = BTreeSet::new();
            for _ in 0..600 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let reach = [1, 3, 64, 65, 256, 260][(seed >> 40) as usize % 6];
                let number = numbers.base.saturating_sub(2) + (seed >> 33) % reach;
                let expected = match number {
                    _ if spent.contains(&number) => Number::Spent,
                    _ if number >= numbers.base + WINDOW => Number::Beyond,
                    _ => Number::Free,
                };
                assert_eq!(numbers.state(number), expected);
                match (expected, numbers.spend(number)) {
                    (Number::Free, Ok(())) => assert!(spent.insert(number)),
                    (Number::Spent, Err(Failure::NumberUsed)) => (),
                    (Number::Beyond, Err(Failure::NumberOutOfWindow)) => (),
                    other => panic!("{other:?}"),
                }
                assert!(!spent.contains(&numbers.base));
                assert!((0..numbers.base).all(|n| spent.contains(&n)));
            }
        }
    }
}
