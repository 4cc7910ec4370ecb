//! Hands its data and all accounts but the first to the program that is its first account, signers as they came.
#![no_std]
#![cfg(any(target_os = "solana", target_arch = "bpf"))]

use core::mem::MaybeUninit;

use pinocchio::cpi::{invoke_unchecked, CpiAccount};
use pinocchio::entrypoint::deserialize;
use pinocchio::instruction::{InstructionAccount, InstructionView};
use pinocchio::syscalls::{abort, sol_memcmp_, sol_memcpy_, sol_memmove_, sol_memset_};
use pinocchio::AccountView;

const ACCOUNTS: usize = 20;

#[no_mangle]
pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
    let mut accounts = [const { MaybeUninit::<AccountView>::uninit() }; ACCOUNTS];
    let mut metas = [const { MaybeUninit::<InstructionAccount>::uninit() }; ACCOUNTS];
    let mut views = [const { MaybeUninit::<CpiAccount>::uninit() }; ACCOUNTS];
    unsafe {
        let (_, count, data) = deserialize::<ACCOUNTS>(input, &mut accounts);
        let accounts = core::slice::from_raw_parts(accounts.as_ptr() as *const AccountView, count);
        let [program, others @ ..] = accounts else { return 1 };
        for ((meta, view), account) in metas.iter_mut().zip(views.iter_mut()).zip(others) {
            meta.write(InstructionAccount::new(account.address(), account.is_writable(), account.is_signer()));
            CpiAccount::init_from_account_view(account, view);
        }
        let metas = core::slice::from_raw_parts(metas.as_ptr() as *const InstructionAccount, others.len());
        let views = core::slice::from_raw_parts(views.as_ptr() as *const CpiAccount, others.len());
        let instruction = InstructionView { program_id: program.address(), accounts: metas, data };
        invoke_unchecked(&instruction, views);
    }
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe { abort() }
}

#[no_mangle]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    unsafe { sol_memcpy_(to, from, count as u64) };
    to
}

#[no_mangle]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    unsafe { sol_memmove_(to, from, count as u64) };
    to
}

#[no_mangle]
pub unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    unsafe { sol_memset_(to, byte as u8, count as u64) };
    to
}

#[no_mangle]
pub unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, count: usize) -> i32 {
    let mut order = 0;
    unsafe { sol_memcmp_(one, other, count as u64, &mut order) };
    order
}
