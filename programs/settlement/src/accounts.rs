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
    /// By bits from the lowest, the accounts that stand in an earlier slot too.
    pub twins: u32,
}

impl<'a> Input<'a> {
    /// Return the arguments that begin at `offset`.
    ///
    /// # Safety
    /// T is made of numbers without padding, and `shape::check` has seen data that is long enough.
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

/// Refuse unless what two accounts say of a third is one address.
#[inline(never)]
pub fn agree(one: &Key, other: &Key) -> Done {
    need!(same(one, other), BadAccount);
    Ok(())
}

/// Refuse unless this is the account that another names.
#[inline(never)]
pub fn must_be(account: &AccountView, address: &Key) -> Done {
    need!(same(key(account), address), BadAccount);
    Ok(())
}

/// Return the account of ours that this is, to be read.
#[inline(always)]
pub fn read<'a, T: State>(account: &'a AccountView, program_id: &Key) -> Result<&'a T, Failure> {
    check_own(account, program_id, T::TAG, T::SIZE)?;
    // SAFETY: it is ours and of this kind and size; what lies there are numbers, for which any bytes are a value.
    Ok(unsafe { &*(account.data_ptr() as *const T) })
}

/// Return the account of ours that this is, to be changed. The caller has excluded that another slot is the same.
#[inline(always)]
pub fn write<'a, T: State>(account: &'a AccountView, program_id: &Key) -> Result<&'a mut T, Failure> {
    check_own(account, program_id, T::TAG, T::SIZE)?;
    // SAFETY: as `read`.
    Ok(unsafe { &mut *(account.data_ptr() as *mut T) })
}

/// Refuse what is not an account of ours of this kind.
#[inline(never)]
pub fn check_own(account: &AccountView, program_id: &Key, tag: u64, size: usize) -> Done {
    need!(same(account.owner().as_array(), program_id), WrongOwner);
    need!(account.data_len() == size, BadAccount);
    // SAFETY: every account of ours begins with a tag and a version, and is longer.
    let (found, version) = unsafe { (*(account.data_ptr() as *const u64), *account.data_ptr().add(8)) };
    need!(found == tag && version == VERSION, BadAccount);
    Ok(())
}

/// Refuse unless the wallet has signed the transaction and is the one that is meant.
#[inline(never)]
pub fn signed_by(account: &AccountView, wallet: &Key) -> Done {
    need!(account.is_signer(), NotSigner);
    must_be(account, wallet)
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
