//! The classic token program: its accounts as they lie, and the two calls that are made to it.

use pinocchio::address::Address;
use pinocchio::cpi::{Seed, Signer};
use pinocchio::AccountView;

use crate::accounts::{is, key};
use crate::chain::{Call, SIGNER, WRITABLE};
use crate::layout::{address, same, Key};
use crate::state::Escrow;
use crate::Done;

pub const TOKEN_PROGRAM: Address = Address::new_from_array(address("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"));
pub const ASSOCIATED_TOKEN: Address = Address::new_from_array(address("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"));
pub const NATIVE_MINT: Address = Address::new_from_array(address("So11111111111111111111111111111111111111112"));
pub const ACCOUNT_SIZE: usize = 165;
const MINT_SIZE: usize = 82;
const MINT_DECIMALS: usize = 44;
const MINT_IS_INITIALIZED: usize = 45;
const ACCOUNT_OWNER: usize = 32;
const ACCOUNT_STATE: usize = 108;
const INITIALIZED: u8 = 1;
const TRANSFER: u8 = 3;
const INITIALIZE_ACCOUNT_3: u8 = 18;

/// Refuse what is not a mint of the classic token program, or is that of wrapped lamports; return its decimals.
#[inline(never)]
pub fn check_mint(mint: &AccountView, decimals: &mut u8) -> Done {
    need!(same(mint.owner().as_array(), TOKEN_PROGRAM.as_array()), MintNotAllowed);
    need!(mint.data_len() == MINT_SIZE && !is(mint, NATIVE_MINT.as_array()), MintNotAllowed);
    // SAFETY: it has the bytes of a mint.
    unsafe {
        need!(*mint.data_ptr().add(MINT_IS_INITIALIZED) == 1, MintNotAllowed);
        *decimals = *mint.data_ptr().add(MINT_DECIMALS);
    }
    Ok(())
}

/// Whether this is a token account of the mint that belongs to the owner and can take money.
#[inline(never)]
pub fn is_fit(account: &AccountView, mint: &Key, owner: &Key) -> bool {
    let is_token = same(account.owner().as_array(), TOKEN_PROGRAM.as_array()) && account.data_len() == ACCOUNT_SIZE;
    // SAFETY: it has the bytes of a token account, which begins with mint and owner.
    is_token
        && unsafe {
            same(&*(account.data_ptr() as *const Key), mint)
                && same(&*(account.data_ptr().add(ACCOUNT_OWNER) as *const Key), owner)
                && *account.data_ptr().add(ACCOUNT_STATE) == INITIALIZED
        }
}

/// Whether a vault of ours is not frozen.
#[inline(always)]
pub fn is_thawed(vault: &AccountView) -> bool {
    // SAFETY: an escrow names its vault, which was made with the size of a token account and never changes it.
    vault.data_len() == ACCOUNT_SIZE && unsafe { *vault.data_ptr().add(ACCOUNT_STATE) == INITIALIZED }
}

/// Move tokens on the word of whoever signed the transaction.
#[inline(always)]
pub fn transfer(from: &AccountView, to: &AccountView, authority: &AccountView, amount: u64) {
    send(from, to, authority, amount, &[]);
}

/// Move tokens out of an escrow's vault.
#[inline(never)]
pub fn pay_out(escrow: &Escrow, account: &AccountView, vault: &AccountView, to: &AccountView, amount: u64) {
    let bump = [escrow.bump];
    let seeds = [Seed::from(b"escrow"), Seed::from(&escrow.buyer_wallet), Seed::from(&escrow.mint), Seed::from(&bump)];
    send(vault, to, account, amount, &[Signer::from(&seeds)]);
}

#[inline(always)]
fn send(from: &AccountView, to: &AccountView, authority: &AccountView, amount: u64, signers: &[Signer]) {
    let mut data = [0u8; 9];
    data[0] = TRANSFER;
    data[1..9].copy_from_slice(&amount.to_le_bytes());
    let accounts = [(from, WRITABLE), (to, WRITABLE), (authority, SIGNER)];
    // SAFETY: what is read of token accounts is read before; the escrow is not written by the token program.
    unsafe { Call { program: &TOKEN_PROGRAM, accounts: &accounts, data: &data, signers }.invoke() };
}

/// Make a new account of the token program's a token account of the mint that `owner` holds.
#[inline(always)]
pub fn initialize_account(account: &AccountView, mint: &AccountView, owner: &AccountView) {
    let mut data = [0u8; 33];
    data[0] = INITIALIZE_ACCOUNT_3;
    data[1..33].copy_from_slice(key(owner));
    let accounts = [(account, WRITABLE), (mint, 0)];
    // SAFETY: no reference to the data of either is held.
    unsafe { Call { program: &TOKEN_PROGRAM, accounts: &accounts, data: &data, signers: &[] }.invoke() };
}
