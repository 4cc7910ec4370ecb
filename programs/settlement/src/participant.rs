//! Participants: a wallet and the key that signs for it.

use crate::accounts::{key, must_be, Input};
use crate::chain::{at_top, now, New};
use crate::consent::{check, registration, Needed, REGISTRATION};
use crate::events::Event;
use crate::layout::{copy, equal, put, Key, ZERO};
use crate::state::Participant;
use crate::{Done, RELEASE_DELAY_S};

const BOTH: u8 = 3;

#[inline(never)]
pub fn register(input: &Input) -> Done {
    let accounts = accounts!(input, REGISTER);
    let [wallet, _, account, instructions, system] = accounts;
    let config = seen!(input, REGISTER, 1, Config);
    // SAFETY: the data has this length.
    let role = *unsafe { input.arguments::<u8>(8) };
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
    put(&mut participant.wallet, key(wallet));
    put(&mut participant.signing_key, signing_key);
    event!(Registered { wallet: copy(key(wallet)), signing_key: copy(signing_key), role }).log();
    Ok(())
}

#[inline(never)]
pub fn rotate_key(input: &Input) -> Done {
    let accounts = accounts!(input, ROTATE_KEY);
    let [wallet, _, _, instructions] = accounts;
    let config = seen!(input, ROTATE_KEY, 1, Config);
    let participant = changed!(input, ROTATE_KEY, 2, Participant);
    must_be(wallet, &participant.wallet)?;
    // SAFETY: the data has this length.
    let new_key: &Key = unsafe { input.arguments(8) };
    let is_new = !equal(new_key, &ZERO) && !equal(new_key, key(wallet)) && !equal(new_key, &participant.signing_key);
    need!(is_new, BadKey);
    let now = now()?;
    need!(now >= participant.previous_until, KeyTooYoung);
    check_key(input, &config.genesis, key(wallet), new_key, instructions)?;
    put(&mut participant.previous_key, &participant.signing_key);
    participant.previous_until = now.wrapping_add(RELEASE_DELAY_S);
    put(&mut participant.signing_key, new_key);
    event!(KeyRotated {
        wallet: copy(key(wallet)),
        signing_key: copy(new_key),
        previous_until: participant.previous_until
    })
    .log();
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
    let proof = Needed { key: signing_key, previous: None, kind: REGISTRATION, digest: &digest };
    check(instructions, &[proof], 1)
}
