//! Where the chain calls: reads the input, finds the instruction, answers with 0 or the number of a refusal.

use core::mem::{size_of, MaybeUninit};

use pinocchio::account::{RuntimeAccount, MAX_PERMITTED_DATA_INCREASE};
use pinocchio::entrypoint::NON_DUP_MARKER;
use pinocchio::syscalls::{abort, sol_memcmp_, sol_memcpy_, sol_memmove_, sol_memset_};
use pinocchio::AccountView;

use crate::accounts::Input;
use crate::events;
use crate::layout::Key;
use crate::schema::EVENT_TAG;
use crate::shape::{self, SHAPES};
use crate::{Done, Failure};

/// One more than any instruction takes, so that too many are noticed.
const ACCOUNTS: usize = 17;

/// What lies between an account's data and the next account: room to grow, then the rent epoch.
const AFTER_DATA: usize = MAX_PERMITTED_DATA_INCREASE + 8;

#[no_mangle]
pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
    let mut accounts = [const { MaybeUninit::<AccountView>::uninit() }; ACCOUNTS];
    // SAFETY: the chain lays the input out like this: a count, the accounts, each of them whole or the index of an
    // earlier one in eight bytes, then the length of the data, the data, and our address.
    let input = unsafe {
        let count = *(input as *const u64) as usize;
        let mut at = input.add(8);
        let mut index = 0;
        let mut twins = 0;
        while index < count {
            let account = at as *mut RuntimeAccount;
            let view = match (*account).borrow_state {
                NON_DUP_MARKER => {
                    let size = (*account).data_len as usize;
                    at = at.add(size_of::<RuntimeAccount>() + AFTER_DATA + ((size + 7) & !7));
                    AccountView::new_unchecked(account)
                }
                earlier => {
                    at = at.add(8);
                    twins |= 1u32.wrapping_shl(index as u32);
                    let earlier = if (earlier as usize) < ACCOUNTS { earlier as usize } else { 0 };
                    accounts[earlier].assume_init()
                }
            };
            if index < ACCOUNTS {
                accounts[index].write(view);
            }
            index += 1;
        }
        let size = *(at as *const u64) as usize;
        let data = core::slice::from_raw_parts(at.add(8), size);
        let program_id = &*(at.add(8 + size) as *const Key);
        let count = if count < ACCOUNTS { count } else { ACCOUNTS };
        let accounts = core::slice::from_raw_parts(accounts.as_ptr() as *const AccountView, count);
        Input { program_id, accounts, data, twins }
    };
    match serve(&input) {
        Ok(()) => 0,
        Err(failure) => failure as u64,
    }
}

fn serve(input: &Input) -> Done {
    need!(input.data.len() >= 8, UnknownInstruction);
    // SAFETY: eight bytes are there.
    let tag = unsafe { (input.data.as_ptr() as *const u64).read_unaligned() };
    if tag == EVENT_TAG {
        return events::emit_event(input);
    }
    for shape in core::hint::black_box(&SHAPES[..]) {
        if shape.tag == tag {
            shape::check(shape, input)?;
            return (shape.run)(input);
        }
    }
    Err(Failure::UnknownInstruction)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: ends the transaction.
    unsafe { abort() }
}

/// The compiler asks for these four by name; each is a syscall.
///
/// # Safety
/// As in C.
#[no_mangle]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    unsafe { sol_memcpy_(to, from, count as u64) };
    to
}

/// # Safety
/// As in C.
#[no_mangle]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    unsafe { sol_memmove_(to, from, count as u64) };
    to
}

/// # Safety
/// As in C.
#[no_mangle]
pub unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    unsafe { sol_memset_(to, byte as u8, count as u64) };
    to
}

/// # Safety
/// As in C.
#[no_mangle]
pub unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, count: usize) -> i32 {
    let mut order = 0;
    unsafe { sol_memcmp_(one, other, count as u64, &mut order) };
    order
}
