//! Who runs the program: little, and never anything about an open trade or what lies on a Line.

use pinocchio::address::Address;
use pinocchio::AccountView;

use crate::accounts::{is, key, write, Input};
use crate::chain::{bump_of, New};
use crate::events::Event;
use crate::layout::{address, copy, equal, put, Key, ZERO};
use crate::money::{FEE_BPS_MAX, UNITS_PER_CENT_MAX};
use crate::state::{Config, MintRule};
use crate::token::check_mint;
use crate::{Done, Failure};

const LOADER: Address = Address::new_from_array(address("BPFLoaderUpgradeab1e11111111111111111111111"));
const PROGRAM_DATA: u32 = 3;
const PROGRAM_DATA_SIZE: usize = 45;

#[repr(C, packed)]
struct Initial {
    treasury: Key,
    fee_bps: u16,
    min_bond: u64,
    genesis: Key,
    timeout_s: u32,
}

#[repr(C, packed)]
struct Changed {
    treasury: Key,
    fee_bps: u16,
    min_bond: u64,
}

#[inline(never)]
pub fn initialize(input: &Input) -> Done {
    let accounts = accounts!(input, INITIALIZE);
    let [authority, account, _, program_data, system] = accounts;
    let seeds: [&[u8]; 1] = [b"config"];
    let new = New { payer: authority, account, system, seeds: &seeds, owner: input.program_id };
    let config: &mut Config = new.state(input.program_id)?;
    check_upgrade_authority(input.program_id, program_data, key(authority))?;
    // SAFETY: a packed structure inside data whose length was compared.
    let initial: &Initial = unsafe { input.arguments(8) };
    need!(initial.fee_bps <= FEE_BPS_MAX && initial.timeout_s != 0, BadAmount);
    need!(!equal(&initial.genesis, &ZERO) && !equal(&initial.treasury, &ZERO), BadAmount);
    config.fee_bps = initial.fee_bps;
    config.min_bond = initial.min_bond;
    config.timeout_s = initial.timeout_s;
    put(&mut config.admin, key(authority));
    put(&mut config.treasury, &initial.treasury);
    put(&mut config.genesis, &initial.genesis);
    tell(config);
    Ok(())
}

/// Refuse whoever is not the program's upgrade authority by the account where the loader keeps its code.
#[inline(always)]
fn check_upgrade_authority(program_id: &Key, program_data: &AccountView, authority: &Key) -> Done {
    let mut bump = 0;
    bump_of(key(program_data), &[program_id], LOADER.as_array(), &mut bump)?;
    let is_loaded = equal(program_data.owner().as_array(), LOADER.as_array());
    need!(is_loaded && program_data.data_len() >= PROGRAM_DATA_SIZE, NotAdmin);
    // SAFETY: it is long enough; the loader writes a tag, a slot, and an optional address.
    unsafe {
        let data = program_data.data_ptr();
        need!((data as *const u32).read_unaligned() == PROGRAM_DATA, NotAdmin);
        need!(*data.add(12) == 1 && equal(&*(data.add(13) as *const Key), authority), NotAdmin);
    }
    Ok(())
}

#[inline(never)]
pub fn set_config(input: &Input) -> Done {
    let config = changed!(input, SET_CONFIG, 1, Config);
    check_admin(input, config)?;
    // SAFETY: a packed structure inside data whose length was compared.
    let changed: &Changed = unsafe { input.arguments(8) };
    need!(changed.fee_bps <= FEE_BPS_MAX && !equal(&changed.treasury, &ZERO), BadAmount);
    put(&mut config.treasury, &changed.treasury);
    config.fee_bps = changed.fee_bps;
    config.min_bond = changed.min_bond;
    tell(config);
    Ok(())
}

#[inline(never)]
pub fn propose_admin(input: &Input) -> Done {
    let config = changed!(input, PROPOSE_ADMIN, 1, Config);
    check_admin(input, config)?;
    // SAFETY: the data has this length.
    config.pending_admin = *unsafe { input.arguments::<Key>(8) };
    tell(config);
    Ok(())
}

#[inline(never)]
pub fn accept_admin(input: &Input) -> Done {
    let [new_admin, _] = accounts!(input, ACCEPT_ADMIN);
    let config = changed!(input, ACCEPT_ADMIN, 1, Config);
    need!(is(new_admin, &config.pending_admin), NotAdmin);
    put(&mut config.admin, key(new_admin));
    config.pending_admin = ZERO;
    tell(config);
    Ok(())
}

#[inline(never)]
pub fn set_pause(input: &Input) -> Done {
    let config = changed!(input, SET_PAUSE, 1, Config);
    check_admin(input, config)?;
    // SAFETY: the data has this length.
    let paused = *unsafe { input.arguments::<u8>(8) };
    need!(paused <= 1, BadAmount);
    config.paused = paused;
    tell(config);
    Ok(())
}

/// Refuse unless the first account, which signed, is the admin.
#[inline(always)]
fn check_admin(input: &Input, config: &Config) -> Done {
    // SAFETY: every instruction that asks for this has accounts.
    need!(is(unsafe { &*input.accounts.as_ptr() }, &config.admin), NotAdmin);
    Ok(())
}

#[inline(never)]
pub fn set_mint_rule(input: &Input) -> Done {
    let accounts = accounts!(input, SET_MINT_RULE);
    let [admin, _, account, mint, system] = accounts;
    let id = input.program_id;
    let config = seen!(input, SET_MINT_RULE, 1, Config);
    check_admin(input, config)?;
    // SAFETY: the data has this length.
    let allowed = *unsafe { input.arguments::<u8>(8) };
    // SAFETY: the data has this length.
    let base_units_per_cent = unsafe { input.number(9) };
    need!(allowed <= 1 && base_units_per_cent != 0 && base_units_per_cent <= UNITS_PER_CENT_MAX, BadAmount);
    let mut decimals = 0;
    check_mint(mint, &mut decimals)?;
    let seeds: [&[u8]; 2] = [b"mint", key(mint)];
    let rule: &mut MintRule = if equal(account.owner().as_array(), id) {
        let rule: &mut MintRule = write(account, id).map_err(|_| Failure::WrongAddress)?;
        need!(is(mint, &rule.mint), WrongAddress);
        rule
    } else {
        New { payer: admin, account, system, seeds: &seeds, owner: id }.state(id)?
    };
    put(&mut rule.mint, key(mint));
    rule.decimals = decimals;
    rule.allowed = allowed;
    rule.base_units_per_cent = base_units_per_cent;
    event!(MintRuleSet { mint: copy(&rule.mint), base_units_per_cent, allowed }).log();
    Ok(())
}

#[inline(never)]
fn tell(config: &Config) {
    event!(ConfigChanged {
        admin: copy(&config.admin),
        pending_admin: copy(&config.pending_admin),
        treasury: copy(&config.treasury),
        min_bond: config.min_bond,
        fee_bps: config.fee_bps,
        paused: config.paused,
    })
    .log();
}
