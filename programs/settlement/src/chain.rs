//! What the chain gives: clock, rent, hashing, addresses, new accounts, log lines.

use core::mem::MaybeUninit;

use pinocchio::address::Address;
use pinocchio::cpi::{invoke_signed_unchecked, CpiAccount, Seed, Signer};
use pinocchio::instruction::{InstructionAccount, InstructionView};
use pinocchio::syscalls::{
    sol_get_stack_height, sol_get_sysvar, sol_log_data, sol_sha256, sol_try_find_program_address,
};
use pinocchio::AccountView;

use crate::accounts::key;
use crate::layout::{address, equal, same, Key};
use crate::state::State;
use crate::{Done, Failure};

pub const SYSTEM_PROGRAM: Key = [0; 32];
const CREATE_ACCOUNT: u8 = 0;
const ASSIGN: u8 = 1;
const TRANSFER: u8 = 2;
const ALLOCATE: u8 = 8;
const SEEDS: usize = 3;
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

/// Return the seconds of the chain's clock. They are never negative, so that -1 can say that there is no clock.
#[inline(never)]
fn seconds() -> i64 {
    sysvar(&CLOCK, CLOCK_UNIX_TIMESTAMP).unwrap_or(-1)
}

/// Return the seconds of the chain's clock; a few years more do not overflow.
#[inline(always)]
pub fn now() -> Result<i64, Failure> {
    let now = seconds();
    need!(now >= 0, BadAccount);
    Ok(now)
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
#[inline(never)]
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

pub const WRITABLE: u8 = 1;
pub const SIGNER: u8 = 2;
const CALLED_ACCOUNTS: usize = 3;

/// A call of another program: at most three accounts, each with what it is there (WRITABLE, SIGNER).
pub struct Call<'a> {
    pub program: &'a Address,
    pub accounts: &'a [(&'a AccountView, u8)],
    pub data: &'a [u8],
    pub signers: &'a [Signer<'a, 'a>],
}

impl Call<'_> {
    /// Make the call. It does not look whether references to the accounts' data are held.
    ///
    /// # Safety
    /// No reference to data that the other program changes is used across it.
    #[inline(never)]
    pub unsafe fn invoke(&self) {
        let mut metas = [const { MaybeUninit::<InstructionAccount>::uninit() }; CALLED_ACCOUNTS];
        let mut views = [const { MaybeUninit::<CpiAccount>::uninit() }; CALLED_ACCOUNTS];
        for ((meta, view), (account, role)) in metas.iter_mut().zip(views.iter_mut()).zip(self.accounts) {
            meta.write(InstructionAccount::new(account.address(), role & WRITABLE != 0, role & SIGNER != 0));
            CpiAccount::init_from_account_view(account, view);
        }
        let count = self.accounts.len();
        // SAFETY: the first `count` are written, and no caller has more than three.
        unsafe {
            let metas = core::slice::from_raw_parts(metas.as_ptr() as *const InstructionAccount, count);
            let views = core::slice::from_raw_parts(views.as_ptr() as *const CpiAccount, count);
            let instruction = InstructionView { program_id: self.program, accounts: metas, data: self.data };
            invoke_signed_unchecked(&instruction, views, self.signers);
        }
    }
}

/// Make an account at the address that the seeds name. Lamports that somebody sent there before are no obstacle.
#[inline(never)]
fn make(new: &New, program_id: &Key, size: u64, bump: &mut u8) -> Done {
    bump_of(key(new.account), new.seeds, program_id, bump)?;
    need!(equal(new.account.owner().as_array(), &SYSTEM_PROGRAM), BadState);
    let bump_seed = [*bump];
    let mut seeds = [const { MaybeUninit::<Seed>::uninit() }; SEEDS + 1];
    for (to, seed) in seeds.iter_mut().zip(new.seeds.iter().copied().chain([&bump_seed[..]])) {
        to.write(Seed::from(seed));
    }
    // SAFETY: so many are written, and no caller has more than three.
    let seeds = unsafe { core::slice::from_raw_parts(seeds.as_ptr() as *const Seed, new.seeds.len() + 1) };
    let by_address = [Signer::from(seeds)];
    let lamports = rent_of(size)?;
    let has = new.account.lamports();
    let (payer, account) = ((new.payer, WRITABLE | SIGNER), (new.account, WRITABLE | SIGNER));
    let making = Making { program: new.system.address(), accounts: [payer, account, payer], signers: &by_address };
    if has == 0 {
        making.call(0, &pack(CREATE_ACCOUNT, &[lamports, size], new.owner), 52);
        return Ok(());
    }
    if has < lamports {
        making.call(0, &pack(TRANSFER, &[lamports - has], &SYSTEM_PROGRAM), 12);
    }
    making.call(1, &pack(ALLOCATE, &[size], &SYSTEM_PROGRAM), 12);
    making.call(1, &pack(ASSIGN, &[], new.owner), 36);
    Ok(())
}

/// An account that is being made: payer and account, and account and payer, as the system program wants them.
struct Making<'a> {
    program: &'a Address,
    accounts: [(&'a AccountView, u8); 3],
    signers: &'a [Signer<'a, 'a>],
}

impl Making<'_> {
    #[inline(never)]
    fn call(&self, first: usize, data: &[u8; 52], size: usize) {
        // SAFETY: `first` is 0 or 1, `size` at most 52; no reference to the data of payer or account is held.
        unsafe {
            let accounts = self.accounts.get_unchecked(first..first + 2);
            Call { program: self.program, accounts, data: data.get_unchecked(..size), signers: self.signers }.invoke();
        }
    }
}

/// Return the data of an instruction of the system program: what, numbers, an owner.
#[inline(never)]
fn pack(what: u8, numbers: &[u64], owner: &Key) -> [u8; 52] {
    let mut data = [0u8; 52];
    data[0] = what;
    let mut at = 4;
    for number in numbers.iter().take(2) {
        data[at..at + 8].copy_from_slice(&number.to_le_bytes());
        at += 8;
    }
    data[at..at + 32].copy_from_slice(owner);
    data
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
