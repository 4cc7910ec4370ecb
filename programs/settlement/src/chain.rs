//! What the chain gives: clock, rent, hashing, addresses, new accounts, log lines.

use core::mem::MaybeUninit;

use pinocchio::address::Address;
use pinocchio::cpi::{invoke_signed_unchecked, CpiAccount, Seed, Signer};
use pinocchio::instruction::{InstructionAccount, InstructionView};
use pinocchio::syscalls::{sol_get_stack_height, sol_get_sysvar, sol_log_data, sol_sha256, sol_try_find_program_address};
use pinocchio::AccountView;

use crate::accounts::key;
use crate::layout::{address, same, Key};
use crate::state::State;
use crate::{Done, Failure};

pub const SYSTEM_PROGRAM: Key = [0; 32];
const CLOCK: Address = Address::new_from_array(address("SysvarC1ock11111111111111111111111111111111"));
const RENT: Address = Address::new_from_array(address("SysvarRent111111111111111111111111111111111"));

const CLOCK_SLOT: u64 = 0;
const CLOCK_UNIX_TIMESTAMP: u64 = 32;
const RENT_ACCOUNT_OVERHEAD: u64 = 128;
const ONE: u64 = 0x3ff0_0000_0000_0000;
const TWO: u64 = 0x4000_0000_0000_0000;

#[inline(always)]
fn sysvar<T: Copy>(id: &Address, offset: u64) -> Result<T, Failure> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the syscall writes exactly the bytes of T, a number or a pair of numbers, or says that it has not.
    unsafe {
        let to = value.as_mut_ptr() as *mut u8;
        let result = sol_get_sysvar(id as *const _ as *const u8, to, offset, core::mem::size_of::<T>() as u64);
        need!(result == 0, BadAccount);
        Ok(value.assume_init())
    }
}

/// Return the seconds of the chain's clock.
#[inline(always)]
pub fn now() -> Result<i64, Failure> {
    sysvar(&CLOCK, CLOCK_UNIX_TIMESTAMP)
}

/// Return the slot.
#[inline(always)]
pub fn slot() -> Result<u64, Failure> {
    sysvar(&CLOCK, CLOCK_SLOT)
}

/// Return the lamports that keep an account of `size` bytes.
#[inline(always)]
fn rent_of(size: u64) -> Result<u64, Failure> {
    let [per_byte, threshold] = sysvar::<[u64; 2]>(&RENT, 0)?;
    let bytes = size + RENT_ACCOUNT_OVERHEAD;
    match threshold {
        ONE => Ok(bytes.wrapping_mul(per_byte)),
        TWO => Ok(bytes.wrapping_mul(per_byte).wrapping_mul(2)),
        _ => Err(Failure::Overflow),
    }
}

/// Refuse to be called by another program: who asks must be what the transaction shows.
#[inline(always)]
pub fn at_top() -> Done {
    // SAFETY: a syscall without arguments.
    need!(unsafe { sol_get_stack_height() } <= 1, InsideCpi);
    Ok(())
}

/// Return the SHA-256 of pieces put together.
#[inline(always)]
pub fn sha256(pieces: &[&[u8]]) -> Key {
    let mut hash = MaybeUninit::<Key>::uninit();
    // SAFETY: a slice of slices lies as the syscall reads it, and it writes 32 bytes.
    unsafe {
        sol_sha256(pieces.as_ptr() as *const u8, pieces.len() as u64, hash.as_mut_ptr() as *mut u8);
        hash.assume_init()
    }
}

/// Write one log line with an event's bytes.
#[inline(always)]
pub fn log(event: &[u8]) {
    let pieces = [event];
    // SAFETY: a slice of slices lies as the syscall reads it.
    unsafe { sol_log_data(pieces.as_ptr() as *const u8, 1) };
}

/// Refuse unless `address` is where a program keeps what the seeds name, and return its bump.
#[inline(never)]
pub fn bump_of(address: &Key, seeds: &[&[u8]], program_id: &Key, bump: &mut u8) -> Done {
    let mut found = MaybeUninit::<Key>::uninit();
    // SAFETY: a slice of slices lies as the syscall reads it; it writes 32 bytes and one.
    let is_at = unsafe {
        let to = found.as_mut_ptr() as *mut u8;
        let count = seeds.len() as u64;
        let result = sol_try_find_program_address(seeds.as_ptr() as *const u8, count, program_id.as_ptr(), to, bump);
        result == 0 && same(&*found.as_ptr(), address)
    };
    need!(is_at, WrongAddress);
    Ok(())
}

/// Find where another program keeps what the seeds name.
#[inline(never)]
pub fn find(seeds: &[&[u8]], program_id: &Key, address: &mut Key) {
    let mut bump = 0u8;
    // SAFETY: a slice of slices lies as the syscall reads it; it writes 32 bytes and one.
    unsafe {
        let count = seeds.len() as u64;
        sol_try_find_program_address(
            seeds.as_ptr() as *const u8,
            count,
            program_id.as_ptr(),
            address.as_mut_ptr(),
            &mut bump,
        );
    }
}

/// Call another program without looking whether references to the accounts are held.
///
/// # Safety
/// No reference to data of writable accounts is used across it.
#[inline(always)]
pub unsafe fn call<const N: usize>(
    program_id: &Address,
    metas: [InstructionAccount; N],
    accounts: [&AccountView; N],
    data: &[u8],
    signers: &[Signer],
) {
    let views = accounts.map(CpiAccount::from);
    let instruction = InstructionView { program_id, accounts: &metas, data };
    unsafe { invoke_signed_unchecked(&instruction, &views, signers) }
}

/// Make an account of ours at the address that the seeds name; `seeds` leaves room for the bump at its end.
///
/// Lamports that somebody sent there before are no obstacle.
#[inline(never)]
fn make(new: &New, program_id: &Key, size: u64, bump: &mut u8) -> Done {
    need!(same(key(new.system), &SYSTEM_PROGRAM), BadAccount);
    bump_of(key(new.account), new.seeds, program_id, bump)?;
    need!(same(new.account.owner().as_array(), &SYSTEM_PROGRAM), BadState);
    let bump_seed = [*bump];
    let mut seeds = [const { MaybeUninit::<Seed>::uninit() }; 4];
    let mut count = 0;
    while count < new.seeds.len() && count < 3 {
        seeds[count].write(Seed::from(new.seeds[count]));
        count += 1;
    }
    seeds[count].write(Seed::from(&bump_seed));
    // SAFETY: the first count + 1 are written.
    let seeds = unsafe { core::slice::from_raw_parts(seeds.as_ptr() as *const Seed, count + 1) };
    let signers = [Signer::from(seeds)];
    let lamports = rent_of(size)?;
    let has = new.account.lamports();
    let (payer, account) = (new.payer, new.account);
    // SAFETY: no reference to the data of payer or account is held.
    unsafe {
        if has == 0 {
            let mut data = [0u8; 52];
            data[4..12].copy_from_slice(&lamports.to_le_bytes());
            data[12..20].copy_from_slice(&size.to_le_bytes());
            data[20..52].copy_from_slice(new.owner);
            let metas = [
                InstructionAccount::writable_signer(payer.address()),
                InstructionAccount::writable_signer(account.address()),
            ];
            call(new.system.address(), metas, [payer, account], &data, &signers);
            return Ok(());
        }
        if has < lamports {
            let mut data = [0u8; 12];
            data[0] = 2;
            data[4..12].copy_from_slice(&(lamports - has).to_le_bytes());
            let metas = [
                InstructionAccount::writable_signer(payer.address()),
                InstructionAccount::writable(account.address()),
            ];
            call(new.system.address(), metas, [payer, account], &data, &[]);
        }
        let mut data = [0u8; 12];
        data[0] = 8;
        data[4..12].copy_from_slice(&size.to_le_bytes());
        let metas = [InstructionAccount::writable_signer(account.address())];
        call(new.system.address(), metas, [account], &data, &signers);
        let mut data = [0u8; 36];
        data[0] = 1;
        data[4..36].copy_from_slice(new.owner);
        let metas = [InstructionAccount::writable_signer(account.address())];
        call(new.system.address(), metas, [account], &data, &signers);
    }
    Ok(())
}

/// An account to be made: who pays, where, by which seeds (at most three, without the bump), and for which program.
pub struct New<'a> {
    pub payer: &'a AccountView,
    pub account: &'a AccountView,
    pub system: &'a AccountView,
    pub seeds: &'a [&'a [u8]],
    pub owner: &'a Key,
}

impl<'a> New<'a> {
    /// Make it for our own program and return its content, zero but for what begins it.
    #[inline(always)]
    pub fn state<T: State>(&self, program_id: &Key) -> Result<&'a mut T, Failure> {
        let mut bump = 0;
        make(self, program_id, T::SIZE as u64, &mut bump)?;
        // SAFETY: the account now has T::SIZE zero bytes that belong to us, on an eight-byte boundary.
        let state = unsafe { &mut *(self.account.data_ptr() as *mut T) };
        state.begin(bump);
        Ok(state)
    }

    /// Make it for another program, `size` zero bytes.
    #[inline(always)]
    pub fn foreign(&self, program_id: &Key, size: u64) -> Done {
        let mut bump = 0;
        make(self, program_id, size, &mut bump)
    }
}

/// Close an account of ours: its lamports go to `to`, and nothing of it is left to be revived.
#[inline(always)]
pub fn close(account: &AccountView, to: &AccountView) -> Done {
    let (mut account, mut to) = (*account, *to);
    let sum = to.lamports().checked_add(account.lamports()).ok_or(Failure::Overflow)?;
    to.set_lamports(sum);
    account.set_lamports(0);
    // SAFETY: nothing reads its data after this; owner, lamports and length become zero.
    unsafe {
        core::ptr::write_bytes(account.data_mut_ptr(), 0, account.data_len());
        account.close_unchecked();
    }
    Ok(())
}
