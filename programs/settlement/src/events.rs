//! Events. Those about money are instructions to ourselves, which no log limit cuts; the others are log lines.
//!
//! The event authority is the address of ["__event_authority"] that only this program can sign for. It is recognised by
//! its hash, which costs a tenth of deriving it: no key is known for a hash of our choosing that lies on the curve, and
//! one that does lie there cannot sign for us, so a bump that is not the canonical one gains nobody anything.

use pinocchio::cpi::{Seed, Signer};
use pinocchio::AccountView;

use crate::accounts::{key, Input};
use crate::chain::{log, sha256, Call, SIGNER};
use crate::layout::{same, Key};
use crate::schema::event;
use crate::schema::EVENT_TAG;
use crate::{Done, Failure};

const SEED: &[u8] = b"__event_authority";
const MARKER: &[u8] = b"ProgramDerivedAddress";

/// An event with its tag and kind before it, as it stands in an instruction to ourselves; a log line has no tag.
pub trait Event: Sized {
    /// Tell it by an instruction to ourselves; the last two accounts are event authority and program.
    #[inline(always)]
    fn emit(mut self, input: &Input, authority: &AccountView, program: &AccountView) -> Done {
        let first = &mut self as *mut Self as *mut u64;
        emit(input.program_id, authority, program, first, self.bytes().len())
    }

    /// Tell it by a log line.
    #[inline(always)]
    fn log(self) {
        let bytes = self.bytes();
        // SAFETY: the first eight bytes are the tag.
        log(unsafe { core::slice::from_raw_parts(bytes.as_ptr().add(8), bytes.len() - 8) });
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the structure is packed, so each of its bytes is written.
        unsafe { core::slice::from_raw_parts(self as *const Self as *const u8, core::mem::size_of::<Self>()) }
    }
}

/// Return the bump with which `address` is the event authority.
#[inline(always)]
fn bump_of(address: &Key, program_id: &Key) -> Result<u8, Failure> {
    let mut bump = [255u8];
    loop {
        if same(&sha256(&[SEED, &bump, program_id, MARKER]), address) {
            return Ok(bump[0]);
        }
        need!(bump[0] != 0, WrongAddress);
        bump[0] -= 1;
    }
}

#[inline(never)]
fn emit(program_id: &Key, authority: &AccountView, program: &AccountView, event: *mut u64, size: usize) -> Done {
    // SAFETY: an event has this size, and begins with eight bytes for the tag.
    let bytes = unsafe {
        event.write_unaligned(EVENT_TAG);
        core::slice::from_raw_parts(event as *const u8, size)
    };
    let bump = [bump_of(key(authority), program_id)?];
    let seeds = [Seed::from(SEED), Seed::from(&bump)];
    let (program, signers) = (program.address(), [Signer::from(&seeds)]);
    // SAFETY: the only account handed over has no data.
    unsafe { Call { program, accounts: &[(authority, SIGNER)], data: bytes, signers: &signers }.invoke() };
    Ok(())
}

/// Take an event from ourselves: whoever else calls cannot sign as the event authority.
pub fn emit_event(input: &Input) -> Done {
    let [authority] = input.accounts else { return Err(Failure::BadAccount) };
    need!(authority.is_signer(), NotSigner);
    bump_of(key(authority), input.program_id)?;
    Ok(())
}

macro_rules! events {
    ($($name:ident $kind:ident { $($field:ident: $type:ty),* })*) => {
        $(
            #[repr(C, packed)]
            pub struct $name {
                pub tag: u64,
                pub kind: u64,
                $(pub $field: $type),*
            }
            impl $name {
                pub const KIND: u64 = event::$kind;
            }
            impl Event for $name {}
        )*
    };
}

events! {
    Deposited DEPOSITED { escrow: Key, amount: u64, available: u64, buyer_sequence: u64 }
    Withdrawn WITHDRAWN { escrow: Key, destination: Key, amount: u64, available: u64, buyer_sequence: u64 }
    Allotted ALLOTTED { line: Key, amount: u64, on_line: u64, buyer_sequence: u64 }
    ReleaseRequested RELEASEREQUESTED { line: Key, amount: u64, release_at: i64, buyer_sequence: u64 }
    Released RELEASED { line: Key, amount: u64, on_line: u64, buyer_sequence: u64 }
    Claimed CLAIMED {
        trade_id: Key, line: Key, contract_no: u64, claimed_wh: u64, reserved: u64, disputable_until: i64,
        battery_sequence: u64, buyer_sequence: u64
    }
    Attested ATTESTED {
        trade_id: Key, line: Key, contract_no: u64, safe_wh: u64, paid: u64, battery_sequence: u64, buyer_sequence: u64
    }
    Disputed DISPUTED {
        trade_id: Key, line: Key, contract_no: u64, claimed_wh: u64, buyer_wh: u64, safe_wh: u64, paid: u64, bond: u64,
        held: u64, times_out_at: i64, battery_sequence: u64, buyer_sequence: u64
    }
    Settled SETTLED {
        trade_id: Key, line: Key, contract_no: u64, battery_wallet: Key, buyer_wallet: Key, delivered_wh: u64,
        reserved: u64, payout: u64, fee: u64, returned: u64, bond_to_battery: u64, bond_to_buyer: u64, unpaid: u64,
        battery_sequence: u64, buyer_sequence: u64, how: u8
    }
    Collected COLLECTED { unpaid: Key, destination: Key, amount: u64, battery_sequence: u64 }
    FeesSwept FEESSWEPT { escrow: Key, destination: Key, amount: u64, buyer_sequence: u64 }
    Registered REGISTERED { wallet: Key, signing_key: Key, role: u8 }
    KeyRotated KEYROTATED { wallet: Key, signing_key: Key, previous_until: i64 }
    LineOpened LINEOPENED { line: Key, buyer_wallet: Key, battery_wallet: Key, generation: u64 }
    LineClosed LINECLOSED { line: Key, generation: u64 }
    Voided VOIDED { line: Key, contract_no: u64 }
    ConfigChanged CONFIGCHANGED {
        admin: Key, pending_admin: Key, treasury: Key, min_bond: u64, fee_bps: u16, paused: u8
    }
    MintRuleSet MINTRULESET { mint: Key, base_units_per_cent: u64, allowed: u8 }
}
