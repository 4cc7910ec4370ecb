//! Bytes of 32 compared, and what begins every account.

/// An address, a key or a digest.
pub type Key = [u8; 32];

pub const ZERO: Key = [0; 32];

/// Whether two keys are equal, by words: a tenth of what comparing bytes costs on the chain.
#[inline(always)]
pub fn same(one: &Key, other: &Key) -> bool {
    let one = one.as_ptr().cast::<u64>();
    let other = other.as_ptr().cast::<u64>();
    // SAFETY: both have 32 bytes, and the reads ask for no alignment.
    unsafe {
        one.read_unaligned() == other.read_unaligned()
            && one.add(1).read_unaligned() == other.add(1).read_unaligned()
            && one.add(2).read_unaligned() == other.add(2).read_unaligned()
            && one.add(3).read_unaligned() == other.add(3).read_unaligned()
    }
}

/// Whether two keys are equal, where a few units more matter less than the room that comparing takes in the program.
#[inline(never)]
pub fn equal(one: &Key, other: &Key) -> bool {
    same(one, other)
}

/// Write a key; by a call, which takes a third of the room in the program.
#[inline(never)]
pub fn put(to: &mut Key, from: &Key) {
    *to = *from;
}

/// Return a copy; by a call, which takes a third of the room in the program.
#[inline(never)]
pub fn copy(from: &Key) -> Key {
    *from
}

const DIGITS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Return the address that a text in base58 says; while compiling only, where a wrong text is an error.
pub const fn address(text: &str) -> Key {
    let text = text.as_bytes();
    let mut key = ZERO;
    let mut at = 0;
    while at < text.len() {
        let mut digit = 0;
        while DIGITS[digit] != text[at] {
            digit += 1;
        }
        let mut carry = digit as u32;
        let mut place = 32;
        while place > 0 {
            place -= 1;
            carry += key[place] as u32 * 58;
            key[place] = carry as u8;
            carry >>= 8;
        }
        assert!(carry == 0);
        at += 1;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(address("11111111111111111111111111111111"), ZERO);
        let clock = address("SysvarC1ock11111111111111111111111111111111");
        assert_eq!(clock[..8], [6, 167, 213, 23, 24, 199, 116, 201]);
        assert_eq!(clock[28..], [0; 4]);
        assert!(!same(&clock, &ZERO));
    }
}
