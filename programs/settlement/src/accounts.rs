//! The accounts of an instruction, and what each must be before anything is believed of it.

use pinocchio::AccountView;

use crate::layout::{equal, same, Key};
use crate::schema::VERSION;
use crate::state::State;
use crate::{Done, Failure};

/// An instruction as it came.
pub struct Input<'a> {
    pub program_id: &'a Key,
    pub accounts: &'a [AccountView],
    pub data: &'a [u8],
}

impl<'a> Input<'a> {
    /// Return the accounts, when there are as many as the instruction takes and its data has the one length.
    #[inline(always)]
    pub fn take<const N: usize>(&self, size: usize) -> Result<&'a [AccountView; N], Failure> {
        need!(self.data.len() == size, UnknownInstruction);
        self.accounts.try_into().map_err(|_| Failure::BadAccount)
    }

    /// Return the arguments that begin at `offset`.
    ///
    /// # Safety
    /// T is made of numbers without padding, and `take` has checked a length that holds it.
    #[inline(always)]
    pub unsafe fn arguments<T>(&self, offset: usize) -> &'a T {
        unsafe { &*(self.data.as_ptr().add(offset) as *const T) }
    }

    /// Return the number that begins at `offset`.
    ///
    /// # Safety
    /// As `arguments`.
    #[inline(always)]
    pub unsafe fn number(&self, offset: usize) -> u64 {
        unsafe { (self.data.as_ptr().add(offset) as *const u64).read_unaligned() }
    }
}

#[inline(always)]
pub fn key(account: &AccountView) -> &Key {
    account.address().as_array()
}

/// Whether both are one account.
#[inline(always)]
pub fn is(account: &AccountView, address: &Key) -> bool {
    equal(key(account), address)
}

/// Return the account of ours that this is, to be read.
#[inline(always)]
pub fn read<'a, T: State>(account: &'a AccountView, program_id: &Key) -> Result<&'a T, Failure> {
    check(account, program_id, T::TAG, T::SIZE)?;
    // SAFETY: it is ours and of this kind and size; what lies there are numbers, for which any bytes are a value.
    Ok(unsafe { &*(account.data_ptr() as *const T) })
}

/// Return the account of ours that this is, to be changed. The caller has excluded that another slot is the same.
#[inline(always)]
pub fn write<'a, T: State>(account: &'a AccountView, program_id: &Key) -> Result<&'a mut T, Failure> {
    check(account, program_id, T::TAG, T::SIZE)?;
    // SAFETY: as `read`.
    Ok(unsafe { &mut *(account.data_ptr() as *mut T) })
}

#[inline(never)]
fn check(account: &AccountView, program_id: &Key, tag: u64, size: usize) -> Done {
    need!(same(account.owner().as_array(), program_id), WrongOwner);
    need!(account.data_len() == size, BadAccount);
    // SAFETY: every account of ours begins with a tag and a version, and is longer.
    let (found, version) = unsafe { (*(account.data_ptr() as *const u64), *account.data_ptr().add(8)) };
    need!(found == tag && version == VERSION, BadAccount);
    Ok(())
}

/// Refuse when two of the accounts are one.
#[inline(never)]
pub fn distinct(accounts: &[AccountView]) -> Done {
    let mut rest = accounts;
    while let [one, others @ ..] = rest {
        differs(one, others)?;
        rest = others;
    }
    Ok(())
}

/// Refuse when one of the others is this account.
#[inline(always)]
pub fn differs(one: &AccountView, others: &[AccountView]) -> Done {
    for other in others {
        need!(one.account_ptr() != other.account_ptr(), DuplicateAccount);
    }
    Ok(())
}

/// Refuse unless the wallet has signed the transaction and is the one that is meant.
#[inline(never)]
pub fn signed_by(account: &AccountView, wallet: &Key) -> Done {
    need!(account.is_signer(), NotSigner);
    need!(is(account, wallet), BadAccount);
    Ok(())
}

/// Return the account of an optional slot: the program's own id says that there is none.
#[inline(always)]
pub fn maybe<'a>(account: &'a AccountView, program_id: &Key) -> Option<&'a AccountView> {
    if is(account, program_id) {
        None
    } else {
        Some(account)
    }
}
