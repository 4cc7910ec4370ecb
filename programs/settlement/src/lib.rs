//! Pays for delivered energy: escrows, lines, claims and disputes (docs/program.md).
//!
//! What decides about money and terms (`money`, `numbers`, `ruling`, `terms`) is pure and runs on any machine; the rest
//! reads and writes accounts and is there on the chain only.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(any(target_os = "solana", target_arch = "bpf")), allow(dead_code))]

/// Return the accounts of an instruction, as many as it takes.
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
macro_rules! accounts {
    ($input:expr, $call:ident) => {
        // SAFETY: `shape::check` has refused any other number.
        unsafe { &*($input.accounts.as_ptr() as *const crate::shape::slots::$call) }
    };
}

/// Return an event of these values.
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
macro_rules! event {
    ($name:ident { $($values:tt)* }) => {
        crate::events::$name { tag: 0, kind: crate::events::$name::KIND, $($values)* }
    };
}

/// Return the account of ours in a slot, to be read.
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
macro_rules! seen {
    ($input:expr, $call:ident, $slot:literal, $type:ident) => {{
        const { assert!(crate::shape::kinds::$call[$slot] == <crate::state::$type as crate::state::State>::KIND) };
        // SAFETY: `shape::check` has refused any other kind.
        unsafe { &*((*$input.accounts.as_ptr().add($slot)).data_ptr() as *const crate::state::$type) }
    }};
}

/// Return the account of ours in a slot, to be changed; no other slot that is changed holds the same.
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
macro_rules! changed {
    ($input:expr, $call:ident, $slot:literal, $type:ident) => {{
        const { assert!(crate::shape::kinds::$call[$slot] == <crate::state::$type as crate::state::State>::KIND) };
        const { assert!(crate::shape::changes::$call >> $slot & 1 == 1) };
        // SAFETY: `shape::check` has refused any other kind, and one account in two slots that are changed.
        unsafe { &mut *((*$input.accounts.as_ptr().add($slot)).data_ptr() as *mut crate::state::$type) }
    }};
}

/// Refuse with `failure` unless the condition holds.
macro_rules! need {
    ($condition:expr, $failure:ident) => {
        if !$condition {
            return Err($crate::Failure::$failure);
        }
    };
}

mod layout;
mod money;
mod numbers;
mod ruling;
mod schema;
mod state;
mod terms;

use schema::Failure;

/// What an instruction comes to.
pub type Done = Result<(), Failure>;

/// A signing key that was replaced, and money asked back from a Line, both stay good for so long.
pub const RELEASE_DELAY_S: i64 = 691_200;

#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod accounts;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod admin;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod agreed;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod chain;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod claim;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod consent;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod dispute;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod entry;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod escrow;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod events;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod line;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod participant;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod payment;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod settle;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod shape;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod token;
