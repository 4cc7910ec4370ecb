//! Pays for delivered energy: escrows, lines, claims and disputes (docs/program.md).
//!
//! What decides about money and terms (`money`, `numbers`, `ruling`, `terms`) is pure and runs on any machine; the rest
//! reads and writes accounts and is there on the chain only.
#![cfg_attr(not(test), no_std)]

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
mod token;
