//! Consent: a wallet that signed the transaction, or a signature that the Ed25519 precompile has checked in the
//! instruction right before ours.
//!
//! The precompile says only that some signatures hold over some bytes somewhere in the transaction. So its instruction
//! counts only when every byte that directs it is the one that we would have written: as many entries as parties are
//! absent, each reading this very instruction, headers first, then a key and a signature for each entry, then the
//! messages, and nothing else.

use pinocchio::address::Address;
use pinocchio::AccountView;

use crate::accounts::{maybe, must_be, signed_by};
use crate::chain::{now, sha256};
use crate::layout::{address, same, Key, ZERO};
use crate::state::Participant;
use crate::{Done, Failure};

const INSTRUCTIONS: Address = Address::new_from_array(address("Sysvar1nstructions1111111111111111111111111"));
const ED25519: Address = Address::new_from_array(address("Ed25519SigVerify111111111111111111111111111"));

pub const CONTRACT: u8 = 1;
pub const RECEIPT: u8 = 2;
pub const REGISTRATION: u8 = 3;

const HERE: u64 = u16::MAX as u64;
const ENTRY_SIZE: usize = 96;
const MESSAGE_SIZE: usize = 47;
const MESSAGE: u64 = MESSAGE_SIZE as u64;
const DOMAIN: &[u8; 13] = b"\xffwattbid-sign";
const VERSION: u8 = 1;
const CONTRACT_PREFIX: &[u8] = b"\xffwattbid-contract\x01";
const RECEIPT_PREFIX: &[u8] = b"\xffwattbid-receipt\x01";
const REGISTRATION_PREFIX: &[u8] = b"\xffwattbid-register\x01";

/// One signature that must be there: whose, and over what.
pub struct Needed<'a> {
    pub key: &'a Key,
    /// Whose previous key is as good while it counts.
    pub previous: Option<&'a Participant>,
    pub kind: u8,
    pub digest: &'a Key,
}

impl<'a> Needed<'a> {
    /// Return that of a Participant, by its key in force or the one before while that counts.
    #[inline(always)]
    pub fn of(participant: &'a Participant, kind: u8, digest: &'a Key) -> Self {
        Needed { key: &participant.signing_key, previous: Some(participant), kind, digest }
    }
}

/// Return the trade id: the digest of the contract, of which `terms` are the last 142 bytes.
#[inline(always)]
pub fn trade_id(program_id: &Key, genesis: &Key, line: &crate::state::Line, terms: &[u8]) -> Key {
    sha256(&[
        CONTRACT_PREFIX,
        program_id,
        genesis,
        &line.mint,
        &line.battery_wallet,
        &line.buyer_wallet,
        &line.generation.to_le_bytes(),
        terms,
    ])
}

/// Return the digest of a receipt, of which `delivery` are the last 56 bytes.
#[inline(always)]
pub fn receipt(trade_id: &Key, is_final: u8, delivery: &[u8]) -> Key {
    sha256(&[RECEIPT_PREFIX, trade_id, &[is_final], delivery])
}

/// Return the digest by which a signing key proves itself.
#[inline(always)]
pub fn registration(program_id: &Key, genesis: &Key, wallet: &Key, signing_key: &Key) -> Key {
    sha256(&[REGISTRATION_PREFIX, program_id, genesis, wallet, signing_key])
}

/// Whether a wallet is there, has signed, and is this participant's; a wallet that is there and has not is refused.
#[inline(always)]
pub fn is_present(slot: &AccountView, participant: &Participant, program_id: &Key) -> Result<bool, Failure> {
    match maybe(slot, program_id) {
        None => Ok(false),
        Some(wallet) => {
            signed_by(wallet, &participant.wallet)?;
            Ok(true)
        }
    }
}

/// Refuse unless the instruction before is the precompile's and holds exactly these signatures.
///
/// `messages` is 1 when all sign one message, else as many as there are signatures, or more.
#[inline(never)]
pub fn check(instructions: &AccountView, needed: &[Needed], messages: usize) -> Done {
    must_be(instructions, INSTRUCTIONS.as_array())?;
    let count = needed.len();
    let messages = if count < messages { count } else { messages };
    let entries = 2 + 14 * count;
    let texts = entries + ENTRY_SIZE * count;
    // SAFETY: the sysvar is the runtime's own; offsets come from it, and `data` has the length that is compared.
    unsafe {
        let data = before(instructions, texts + MESSAGE_SIZE * messages)?;
        need!((data as *const u16).read_unaligned() == count as u16, SignatureLayout);
        for (at, one) in needed.iter().enumerate() {
            let text = if messages == 1 { texts } else { texts + MESSAGE_SIZE * at };
            check_entry(one, data, data.add(2 + 14 * at), entries + ENTRY_SIZE * at, text)?;
        }
    }
    Ok(())
}

/// Refuse an entry whose header does not say that key and signature are at `entry` and the message at `text`.
#[inline(never)]
unsafe fn check_entry(needed: &Needed, data: *const u8, header: *const u8, entry: usize, text: usize) -> Done {
    // SAFETY: the caller has compared the length of the data.
    unsafe {
        let words = [(entry + 32) as u64 | HERE << 16, entry as u64 | HERE << 16, text as u64 | MESSAGE << 16];
        let is_canonical = (header as *const u64).read_unaligned() == words[0] | words[1] << 32
            && (header.add(6) as *const u64).read_unaligned() == HERE | words[2] << 16 | HERE << 48;
        need!(is_canonical, SignatureLayout);
        need!(says(data.add(text), needed.kind, needed.digest), DigestMismatch);
        check_key(&*(data.add(entry) as *const Key), needed)
    }
}

/// Return the data of the instruction before ours, which must be the precompile's and have `size` bytes.
#[inline(always)]
unsafe fn before(instructions: &AccountView, size: usize) -> Result<*const u8, Failure> {
    unsafe {
        let all = instructions.data_ptr();
        let current = (all.add(instructions.data_len() - 2) as *const u16).read_unaligned() as usize;
        need!(current != 0, SignatureMissing);
        let start = (all.add(2 * current) as *const u16).read_unaligned() as usize;
        let one = all.add(start);
        let accounts = (one as *const u16).read_unaligned() as usize;
        let after = one.add(2 + 33 * accounts);
        need!(same(&*(after as *const Key), ED25519.as_array()), SignatureMissing);
        need!(accounts == 0, SignatureLayout);
        need!((after.add(32) as *const u16).read_unaligned() as usize == size, SignatureLayout);
        Ok(after.add(34))
    }
}

/// Whether the 47 bytes are what signs this digest as this kind.
#[inline(always)]
unsafe fn says(text: *const u8, kind: u8, digest: &Key) -> bool {
    let expected = DOMAIN.as_ptr();
    unsafe {
        (text as *const u64).read_unaligned() == (expected as *const u64).read_unaligned()
            && (text.add(5) as *const u64).read_unaligned() == (expected.add(5) as *const u64).read_unaligned()
            && *text.add(13) == kind
            && *text.add(14) == VERSION
            && same(&*(text.add(15) as *const Key), digest)
    }
}

#[inline(always)]
fn check_key(found: &Key, needed: &Needed) -> Done {
    if same(found, needed.key) {
        return Ok(());
    }
    let Some(participant) = needed.previous else { return Err(Failure::DigestMismatch) };
    need!(same(found, &participant.previous_key) && !same(found, &ZERO), DigestMismatch);
    need!(now()? < participant.previous_until, DigestMismatch);
    Ok(())
}
