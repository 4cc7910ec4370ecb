//! How a claimed or disputed trade ends: who gets what, and whose bond is lost.

/// Which side was further from the ruling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loser {
    Nobody,
    Battery,
    Buyer,
}

/// Return who was further away. `twice_ruling` is two times the energy that is ruled, so that halves stay whole.
#[inline(always)]
pub fn loser(claimed_wh: u64, buyer_wh: u64, twice_ruling: u64) -> Loser {
    let battery = claimed_wh.wrapping_mul(2).wrapping_sub(twice_ruling);
    let buyer = twice_ruling.wrapping_sub(buyer_wh.wrapping_mul(2));
    if battery > buyer {
        Loser::Battery
    } else if battery < buyer {
        Loser::Buyer
    } else {
        Loser::Nobody
    }
}

/// Return the energy between what is safe and what was claimed that a dispute comes to without a ruling.
#[inline(always)]
pub fn middle(safe_wh: u64, claimed_wh: u64) -> u64 {
    safe_wh.wrapping_add(claimed_wh.wrapping_sub(safe_wh) / 2)
}

/// What a dispute puts at stake, in base units: the buyer's bond, and what is held back of the safe payout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stakes {
    pub bond: u64,
    pub held: u64,
}

/// Return the stakes of a dispute about `difference` when `safe` is undisputed.
#[inline(always)]
pub fn stakes(min_bond: u64, difference: u64, safe: u64) -> Stakes {
    let tenth = difference / 10;
    let bond = if tenth > min_bond { tenth } else { min_bond };
    Stakes { bond, held: if bond < safe { bond } else { safe } }
}

/// Where the bonds of an ended trade go, in base units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bonds {
    /// The battery's own again.
    pub held_back: u64,
    /// The buyer's, lost to the battery.
    pub to_battery: u64,
    /// The battery's, lost to the buyer.
    pub to_buyer: u64,
    /// Into the escrow's free money, the buyer's own and what it won.
    pub available: u64,
}

#[inline(always)]
pub fn bonds(loser: Loser, bond: u64, held: u64) -> Bonds {
    match loser {
        Loser::Nobody => Bonds { held_back: held, to_battery: 0, to_buyer: 0, available: bond },
        Loser::Buyer => Bonds { held_back: held, to_battery: bond, to_buyer: 0, available: 0 },
        Loser::Battery => Bonds { held_back: 0, to_battery: 0, to_buyer: held, available: bond.wrapping_add(held) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_further_side_loses() {
        assert_eq!(loser(1_000, 400, 2 * 700), Loser::Nobody);
        assert_eq!(loser(1_000, 400, 2 * 701), Loser::Buyer);
        assert_eq!(loser(1_000, 400, 2 * 699), Loser::Battery);
        assert_eq!(loser(1_001, 400, 1_401), Loser::Nobody);
    }

    #[test]
    fn the_middle_is_rounded_down() {
        assert_eq!(middle(400, 1_001), 700);
        assert_eq!(middle(7, 7), 7);
    }

    #[test]
    fn bonds_are_handed_on_whole() {
        for loser in [Loser::Nobody, Loser::Battery, Loser::Buyer] {
            let ended = bonds(loser, 70, 30);
            assert_eq!(ended.held_back + ended.to_battery + ended.available, 100);
        }
        assert_eq!(stakes(100, 5_000, 90), Stakes { bond: 500, held: 90 });
        assert_eq!(stakes(1_000, 5_000, 9_000), Stakes { bond: 1_000, held: 1_000 });
    }
}
