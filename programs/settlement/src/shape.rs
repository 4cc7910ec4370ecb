//! What each instruction is before any rule of its own: how long its data and what each of its accounts must be.
//!
//! Who signs and what is changed comes from the schema; what kind of account stands in a slot is said here, by one letter
//! for each. `shape::check` refuses an instruction that is not so, before its handler runs; a handler that takes a slot
//! for another kind than is said here does not compile.

use crate::accounts::{check_own, must_be, Input};
use crate::chain::SYSTEM_PROGRAM;
use crate::schema::call;
use crate::state::{Config, Escrow, Line, MintRule, Participant, State, Trade, Unpaid};
use crate::token::TOKEN_PROGRAM;
use crate::Done;
use crate::{admin, claim, dispute, escrow, line, participant, settle};

const SLOTS: usize = 16;

/// By kind: anything, seven accounts of ours, and three programs.
const LETTERS: &[u8; 11] = b".CMPELTUtsp";
const ANY: u8 = 0;
const UNPAID: u8 = 7;
const TOKEN: u8 = 8;
const SYSTEM: u8 = 9;

/// Tag and size of the accounts of ours, by kind.
static OWN: [(u64, usize); 8] = [
    (0, 0),
    (Config::TAG, Config::SIZE),
    (MintRule::TAG, MintRule::SIZE),
    (Participant::TAG, Participant::SIZE),
    (Escrow::TAG, Escrow::SIZE),
    (Line::TAG, Line::SIZE),
    (Trade::TAG, Trade::SIZE),
    (Unpaid::TAG, Unpaid::SIZE),
];

/// An instruction: its tag, its handler, and what comes with it.
pub struct Shape {
    pub tag: u64,
    pub run: fn(&Input) -> Done,
    size: u16,
    accounts: u16,
    signers: u16,
    writable: u16,
    /// Four bits for each slot, from the lowest.
    kinds: u64,
}

macro_rules! shapes {
    ($($name:ident $run:path, $size:ident $accounts:ident $signers:ident $writable:ident $kinds:literal;)*) => {
        /// The kind of account in each slot, by instruction.
        pub mod kinds {
            $(#[allow(dead_code)] pub const $name: [u8; super::SLOTS] = super::read($kinds, super::call::$accounts);)*
        }
        /// The accounts of each instruction.
        #[allow(clippy::upper_case_acronyms, non_camel_case_types)]
        pub mod slots {
            $(#[allow(dead_code)] pub type $name = [pinocchio::AccountView; super::call::$accounts];)*
        }
        /// Which of them are changed, by bits.
        pub mod changes {
            $(#[allow(dead_code)] pub const $name: u16 = super::call::$writable;)*
        }
        pub static SHAPES: [Shape; [$(call::$name),*].len()] = [
            $(Shape {
                tag: call::$name,
                run: $run,
                size: call::$size as u16,
                accounts: call::$accounts as u16,
                signers: call::$signers,
                writable: call::$writable,
                kinds: packed(&kinds::$name),
            }),*
        ];
    };
}

shapes! {
    SETTLE settle::settle, SETTLE_SIZE SETTLE_ACCOUNTS SETTLE_SIGNERS SETTLE_WRITABLE b"CPPE.L..Ut.....p";
    DEPOSIT escrow::deposit, DEPOSIT_SIZE DEPOSIT_ACCOUNTS DEPOSIT_SIGNERS DEPOSIT_WRITABLE b".CMPE..t.p";
    WITHDRAW escrow::withdraw, WITHDRAW_SIZE WITHDRAW_ACCOUNTS WITHDRAW_SIGNERS WITHDRAW_WRITABLE b".PE..t.p";
    ALLOT line::allot, ALLOT_SIZE ALLOT_ACCOUNTS ALLOT_SIGNERS ALLOT_WRITABLE b".CMPEL.p";
    CLAIM claim::claim, CLAIM_SIZE CLAIM_ACCOUNTS CLAIM_SIGNERS CLAIM_WRITABLE b".CPPL...s.p";
    ATTEST dispute::attest, ATTEST_SIZE ATTEST_ACCOUNTS ATTEST_SIGNERS ATTEST_WRITABLE b"PPE.LT.Ut....p";
    FINALIZE dispute::finalize, FINALIZE_SIZE FINALIZE_ACCOUNTS FINALIZE_SIGNERS FINALIZE_WRITABLE b"PPE.LT.Ut..p";
    DISPUTE dispute::dispute, DISPUTE_SIZE DISPUTE_ACCOUNTS DISPUTE_SIGNERS DISPUTE_WRITABLE b".CPPE.LT.Ut.p";
    RESOLVE dispute::resolve, RESOLVE_SIZE RESOLVE_ACCOUNTS RESOLVE_SIGNERS RESOLVE_WRITABLE b".PPE.LT.Ut..p";
    TIMEOUT dispute::timeout, TIMEOUT_SIZE TIMEOUT_ACCOUNTS TIMEOUT_SIGNERS TIMEOUT_WRITABLE b"PPE.LT.Ut..p";
    REQUEST_RELEASE line::request_release, REQUEST_RELEASE_SIZE REQUEST_RELEASE_ACCOUNTS REQUEST_RELEASE_SIGNERS
        REQUEST_RELEASE_WRITABLE b".PL.p";
    RELEASE line::release, RELEASE_SIZE RELEASE_ACCOUNTS RELEASE_SIGNERS RELEASE_WRITABLE b".CPEL.p";
    VOID line::void, VOID_SIZE VOID_ACCOUNTS VOID_SIGNERS VOID_WRITABLE b".L";
    CLOSE line::close, CLOSE_SIZE CLOSE_ACCOUNTS CLOSE_SIGNERS CLOSE_WRITABLE b".L";
    COLLECT escrow::collect, COLLECT_SIZE COLLECT_ACCOUNTS COLLECT_SIGNERS COLLECT_WRITABLE b"PE.U..t.p";
    SWEEP_FEES escrow::sweep_fees, SWEEP_FEES_SIZE SWEEP_FEES_ACCOUNTS SWEEP_FEES_SIGNERS SWEEP_FEES_WRITABLE b"CPE..t.p";
    OPEN_ESCROW escrow::open_escrow, OPEN_ESCROW_SIZE OPEN_ESCROW_ACCOUNTS OPEN_ESCROW_SIGNERS OPEN_ESCROW_WRITABLE
        b".P...ts";
    OPEN_LINE line::open_line, OPEN_LINE_SIZE OPEN_LINE_ACCOUNTS OPEN_LINE_SIGNERS OPEN_LINE_WRITABLE b".PPE..s";
    REGISTER participant::register, REGISTER_SIZE REGISTER_ACCOUNTS REGISTER_SIGNERS REGISTER_WRITABLE b".C..s";
    ROTATE_KEY participant::rotate_key, ROTATE_KEY_SIZE ROTATE_KEY_ACCOUNTS ROTATE_KEY_SIGNERS ROTATE_KEY_WRITABLE
        b".CP.";
    INITIALIZE admin::initialize, INITIALIZE_SIZE INITIALIZE_ACCOUNTS INITIALIZE_SIGNERS INITIALIZE_WRITABLE b"..p.s";
    SET_CONFIG admin::set_config, SET_CONFIG_SIZE SET_CONFIG_ACCOUNTS SET_CONFIG_SIGNERS SET_CONFIG_WRITABLE b".C";
    PROPOSE_ADMIN admin::propose_admin, PROPOSE_ADMIN_SIZE PROPOSE_ADMIN_ACCOUNTS PROPOSE_ADMIN_SIGNERS
        PROPOSE_ADMIN_WRITABLE b".C";
    ACCEPT_ADMIN admin::accept_admin, ACCEPT_ADMIN_SIZE ACCEPT_ADMIN_ACCOUNTS ACCEPT_ADMIN_SIGNERS ACCEPT_ADMIN_WRITABLE
        b".C";
    SET_PAUSE admin::set_pause, SET_PAUSE_SIZE SET_PAUSE_ACCOUNTS SET_PAUSE_SIGNERS SET_PAUSE_WRITABLE b".C";
    SET_MINT_RULE admin::set_mint_rule, SET_MINT_RULE_SIZE SET_MINT_RULE_ACCOUNTS SET_MINT_RULE_SIGNERS
        SET_MINT_RULE_WRITABLE b".C..s";
}

/// Return the kinds that the letters say; while compiling only, where another letter or number of letters is an error.
const fn read<const N: usize>(letters: &[u8; N], accounts: usize) -> [u8; SLOTS] {
    assert!(N == accounts);
    let mut kinds = [ANY; SLOTS];
    let mut slot = 0;
    while slot < N {
        let mut kind = 0;
        while LETTERS[kind] != letters[slot] {
            kind += 1;
        }
        kinds[slot] = kind as u8;
        slot += 1;
    }
    kinds
}

const fn packed(kinds: &[u8; SLOTS]) -> u64 {
    let mut all = 0;
    let mut slot = SLOTS;
    while slot > 0 {
        slot -= 1;
        all = all << 4 | kinds[slot] as u64;
    }
    all
}

/// Whether the nine accounts of a payment begin at `first`.
pub const fn has_payment(kinds: &[u8; SLOTS], first: usize) -> bool {
    let are_people = kinds[first] == Participant::KIND && kinds[first + 1] == Participant::KIND;
    let is_money =
        kinds[first + 2] == Escrow::KIND && kinds[first + 4] == Line::KIND && kinds[first + 7] == Unpaid::KIND;
    are_people && is_money && kinds[first + 8] == TOKEN
}

/// Refuse an instruction that has not this shape.
#[inline(always)]
pub fn check(shape: &Shape, input: &Input) -> Done {
    need!(input.data.len() == shape.size as usize, UnknownInstruction);
    need!(input.accounts.len() == shape.accounts as usize, BadAccount);
    check_writable(shape.writable, input)?;
    let mut signers = shape.signers;
    let mut kinds = shape.kinds;
    for account in input.accounts {
        need!(signers & 1 == 0 || account.is_signer(), NotSigner);
        let kind = (kinds & 15) as u8;
        signers >>= 1;
        kinds >>= 4;
        match kind {
            ANY => (),
            own @ 1..=UNPAID => {
                let (tag, size) = OWN[own as usize];
                check_own(account, input.program_id, tag, size)?;
            }
            TOKEN => must_be(account, TOKEN_PROGRAM.as_array())?,
            SYSTEM => must_be(account, &SYSTEM_PROGRAM)?,
            _ => must_be(account, input.program_id)?,
        }
    }
    Ok(())
}

/// Refuse one account in two slots that are changed.
#[inline(always)]
fn check_writable(writable: u16, input: &Input) -> Done {
    let mut twins = input.twins & writable as u32;
    while twins != 0 {
        let slot = twins.trailing_zeros();
        check_twin(writable, input, slot)?;
        twins &= twins - 1;
    }
    Ok(())
}

/// Refuse the account of a slot when it stands in an earlier one that is changed.
#[inline(never)]
fn check_twin(writable: u16, input: &Input, slot: u32) -> Done {
    let mut earlier = 0;
    while earlier < slot {
        // SAFETY: the bits of `twins` are those of accounts that are there.
        let (one, other) = unsafe {
            let accounts = input.accounts.as_ptr();
            ((*accounts.add(earlier as usize)).account_ptr(), (*accounts.add(slot as usize)).account_ptr())
        };
        need!(one != other || writable >> earlier & 1 == 0, DuplicateAccount);
        earlier += 1;
    }
    Ok(())
}
