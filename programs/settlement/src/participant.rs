//! Participants: a wallet and the key that signs for it.

use crate::accounts::{distinct, key, signed_by, write, Input};
use crate::chain::{at_top, now, New};
use crate::consent::{check, registration, Needed, Signer, REGISTRATION};
use crate::events::{Event, KeyRotated, Registered};
use crate::layout::{copy, equal, Key, ZERO};
use crate::payment::config;
use crate::schema::call;
use crate::state::Participant;
use crate::{Done, Failure, RELEASE_DELAY_S};

const BOTH: u8 = 3;

#[inline(never)]
pub fn register(input: &Input) -> Done {
    let accounts = input.take::<{ call::REGISTER_ACCOUNTS }>(call::REGISTER_SIZE)?;
    let [wallet, _, account, instructions, system] = accounts;
    distinct(&[*wallet, *account])?;
    let config = config(input, 1)?;
    need!(wallet.is_signer(), NotSigner);
    let role = input.data[8];
    // SAFETY: the data has this length.
    let signing_key: &Key = unsafe { input.arguments(9) };
    need!(role != 0 && role <= BOTH, BadAmount);
    need!(!equal(signing_key, &ZERO) && !equal(signing_key, key(wallet)), BadKey);
    need!(config.paused == 0, Paused);
    let seeds: [&[u8]; 2] = [b"part", key(wallet)];
    let new = New { payer: wallet, account, system, seeds: &seeds, owner: input.program_id };
    let participant: &mut Participant = new.state(input.program_id)?;
    check_key(input, &config.genesis, key(wallet), signing_key, instructions)?;
    participant.role = role;
    participant.wallet = copy(key(wallet));
    participant.signing_key = copy(signing_key);
    Registered { tag: Registered::TAG, kind: Registered::KIND, wallet: copy(key(wallet)), signing_key: copy(signing_key), role }.log();
    Ok(())
}

#[inline(never)]
pub fn rotate_key(input: &Input) -> Done {
    let accounts = input.take::<{ call::ROTATE_KEY_ACCOUNTS }>(call::ROTATE_KEY_SIZE)?;
    let [wallet, _, account, instructions] = accounts;
    let config = config(input, 1)?;
    let participant: &mut Participant = write(account, input.program_id)?;
    signed_by(wallet, &participant.wallet)?;
    // SAFETY: the data has this length.
    let new_key: &Key = unsafe { input.arguments(8) };
    let is_new = !equal(new_key, &ZERO) && !equal(new_key, key(wallet)) && !equal(new_key, &participant.signing_key);
    need!(is_new, BadKey);
    let now = now()?;
    need!(now >= participant.previous_until, KeyTooYoung);
    check_key(input, &config.genesis, key(wallet), new_key, instructions)?;
    participant.previous_key = copy(&participant.signing_key);
    participant.previous_until = now.checked_add(RELEASE_DELAY_S).ok_or(Failure::Overflow)?;
    participant.signing_key = copy(new_key);
    KeyRotated { tag: KeyRotated::TAG, kind: KeyRotated::KIND, wallet: copy(key(wallet)), signing_key: copy(new_key), previous_until: participant.previous_until }.log();
    Ok(())
}

/// Refuse a key that has not signed for this wallet, program and cluster.
#[inline(never)]
fn check_key(
    input: &Input,
    genesis: &Key,
    wallet: &Key,
    signing_key: &Key,
    instructions: &pinocchio::AccountView,
) -> Done {
    at_top()?;
    let digest = registration(input.program_id, genesis, wallet, signing_key);
    let signer = Signer::New(signing_key);
    check(instructions, &[Needed { signer: &signer, kind: REGISTRATION, digest: &digest }], 1)
}
