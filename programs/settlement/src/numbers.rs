//! Contract numbers of a Line: each is spent once. Below `base` all are; of the 256 from there a bit says it.

use crate::Failure;

pub const WINDOW: u64 = 256;

/// What is spent: `used` bit n stands for `base + n`, from the lowest bit of the lowest word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Numbers {
    pub base: u64,
    pub used: [u64; 4],
}

impl Numbers {
    /// Whether a number is spent. Refuses one beyond the window.
    #[inline(always)]
    pub fn is_spent(&self, number: u64) -> Result<bool, Failure> {
        if number < self.base {
            return Ok(true);
        }
        let place = number.wrapping_sub(self.base);
        if place >= WINDOW {
            return Err(Failure::NumberOutOfWindow);
        }
        Ok((self.used[(place / 64) as usize & 3] >> (place % 64)) & 1 == 1)
    }

    /// Spend a number of the window that is not spent, and move `base` over what is spent from it on.
    #[inline(always)]
    pub fn spend(&mut self, number: u64) {
        let place = number.wrapping_sub(self.base);
        self.used[(place / 64) as usize & 3] |= 1 << (place % 64);
        while self.used[0] & 1 == 1 {
            self.slide();
        }
    }

    #[inline(always)]
    fn slide(&mut self) {
        let spent = self.used[0].trailing_ones();
        self.base = self.base.wrapping_add(spent as u64);
        if spent == 64 {
            self.used = [self.used[1], self.used[2], self.used[3], 0];
            return;
        }
        let up = 64 - spent;
        self.used[0] = (self.used[0] >> spent) | (self.used[1] << up);
        self.used[1] = (self.used[1] >> spent) | (self.used[2] << up);
        self.used[2] = (self.used[2] >> spent) | (self.used[3] << up);
        self.used[3] >>= spent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

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
                match numbers.is_spent(number) {
                    Err(failure) => {
                        assert_eq!(failure, Failure::NumberOutOfWindow);
                        assert!(number >= numbers.base + WINDOW);
                    }
                    Ok(is_spent) => {
                        assert_eq!(is_spent, spent.contains(&number));
                        if !is_spent {
                            numbers.spend(number);
                            spent.insert(number);
                        }
                    }
                }
                assert!(!spent.contains(&numbers.base));
                assert!((0..numbers.base).all(|n| spent.contains(&n)));
            }
        }
    }
}
