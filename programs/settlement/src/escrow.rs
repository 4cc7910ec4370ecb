//! A buyer's money: in and out of its vault.

use crate::accounts::{distinct, is, key, maybe, read, signed_by, write, Input};
use crate::chain::New;
use crate::events::{Collected, Deposited, Event, FeesSwept, Withdrawn};
use crate::layout::{copy, equal, ZERO};
use crate::payment::config;
use crate::schema::call;
use crate::state::{Escrow, MintRule, Participant, Unpaid};
use crate::token::{check_mint, check_program, initialize_account, is_fit, pay_out, transfer};
use crate::token::{ACCOUNT_SIZE, TOKEN_PROGRAM};
use crate::{Done, Failure};

const BUYER: u8 = 2;

#[inline(never)]
pub fn open_escrow(input: &Input) -> Done {
    let accounts = input.take::<{ call::OPEN_ESCROW_ACCOUNTS }>(call::OPEN_ESCROW_SIZE)?;
    let [wallet, buyer, escrow_account, vault, mint, token, system] = accounts;
    distinct(&[*wallet, *escrow_account, *vault])?;
    let id = input.program_id;
    let buyer: &Participant = read(buyer, id)?;
    signed_by(wallet, &buyer.wallet)?;
    need!(buyer.role & BUYER != 0, BadAccount);
    check_program(token)?;
    let mut decimals = 0;
    check_mint(mint, &mut decimals)?;
    let seeds: [&[u8]; 3] = [b"escrow", key(wallet), key(mint)];
    let new = New { payer: wallet, account: escrow_account, system, seeds: &seeds, owner: id };
    let escrow: &mut Escrow = new.state(id)?;
    escrow.buyer_wallet = copy(&buyer.wallet);
    escrow.mint = copy(key(mint));
    escrow.vault = copy(key(vault));
    let seeds: [&[u8]; 2] = [b"vault", key(escrow_account)];
    let new = New { payer: wallet, account: vault, system, seeds: &seeds, owner: TOKEN_PROGRAM.as_array() };
    new.foreign(id, ACCOUNT_SIZE as u64)?;
    initialize_account(vault, mint, escrow_account);
    Ok(())
}

#[inline(never)]
pub fn deposit(input: &Input) -> Done {
    let accounts = input.take::<{ call::DEPOSIT_ACCOUNTS }>(call::DEPOSIT_SIZE)?;
    let [wallet, _, rule, buyer, escrow_account, vault, source, token, authority, program] = accounts;
    distinct(&[*buyer, *escrow_account, *vault, *source])?;
    let id = input.program_id;
    let config = config(input, 1)?;
    let rule: &MintRule = read(rule, id)?;
    let buyer: &mut Participant = write(buyer, id)?;
    let escrow: &mut Escrow = write(escrow_account, id)?;
    signed_by(wallet, &buyer.wallet)?;
    let fits = equal(&escrow.buyer_wallet, &buyer.wallet) && is(vault, &escrow.vault) && equal(&rule.mint, &escrow.mint);
    need!(fits, BadAccount);
    check_program(token)?;
    need!(config.paused == 0, Paused);
    need!(rule.allowed != 0, MintNotAllowed);
    // SAFETY: the data has this length.
    let amount = unsafe { input.number(8) };
    need!(amount != 0, BadAmount);
    escrow.available = escrow.available.checked_add(amount).ok_or(Failure::Overflow)?;
    transfer(source, vault, wallet, amount);
    let event = Deposited { tag: Deposited::TAG, kind: Deposited::KIND,
        escrow: copy(key(escrow_account)),
        amount,
        available: escrow.available,
        buyer_sequence: buyer.next(),
    };
    event.emit(input, authority, program)
}

#[inline(never)]
pub fn withdraw(input: &Input) -> Done {
    let accounts = input.take::<{ call::WITHDRAW_ACCOUNTS }>(call::WITHDRAW_SIZE)?;
    let [wallet, buyer, escrow_account, vault, destination, token, authority, program] = accounts;
    distinct(&[*buyer, *escrow_account, *vault, *destination])?;
    let buyer: &mut Participant = write(buyer, input.program_id)?;
    let escrow: &mut Escrow = write(escrow_account, input.program_id)?;
    signed_by(wallet, &buyer.wallet)?;
    need!(equal(&escrow.buyer_wallet, &buyer.wallet) && is(vault, &escrow.vault), BadAccount);
    check_program(token)?;
    // SAFETY: the data has this length.
    let amount = unsafe { input.number(8) };
    need!(amount != 0, BadAmount);
    escrow.available = escrow.available.checked_sub(amount).ok_or(Failure::NotEnough)?;
    pay_out(escrow, escrow_account, vault, destination, amount);
    let event = Withdrawn { tag: Withdrawn::TAG, kind: Withdrawn::KIND,
        escrow: copy(key(escrow_account)),
        destination: copy(key(destination)),
        amount,
        available: escrow.available,
        buyer_sequence: buyer.next(),
    };
    event.emit(input, authority, program)
}

/// Pay what a battery is owed: to a token account of its wallet, or where the wallet says by signing.
#[inline(never)]
pub fn collect(input: &Input) -> Done {
    let accounts = input.take::<{ call::COLLECT_ACCOUNTS }>(call::COLLECT_SIZE)?;
    let [battery, escrow_account, vault, unpaid_account, destination, wallet, token, authority, program] = accounts;
    distinct(&[*battery, *escrow_account, *vault, *unpaid_account, *destination])?;
    let id = input.program_id;
    let battery: &mut Participant = write(battery, id)?;
    let escrow: &mut Escrow = write(escrow_account, id)?;
    let unpaid: &mut Unpaid = write(unpaid_account, id)?;
    let fits = is(vault, &escrow.vault)
        && equal(&unpaid.escrow, key(escrow_account))
        && equal(&unpaid.wallet, &battery.wallet);
    need!(fits, BadAccount);
    check_program(token)?;
    match maybe(wallet, id) {
        Some(wallet) => signed_by(wallet, &battery.wallet)?,
        None => need!(is_fit(destination, &escrow.mint, &battery.wallet), BadAccount),
    }
    let amount = unpaid.amount;
    need!(amount != 0, BadAmount);
    unpaid.amount = 0;
    escrow.unpaid = escrow.unpaid.checked_sub(amount).ok_or(Failure::NotEnough)?;
    pay_out(escrow, escrow_account, vault, destination, amount);
    let event = Collected { tag: Collected::TAG, kind: Collected::KIND,
        unpaid: copy(key(unpaid_account)),
        destination: copy(key(destination)),
        amount,
        battery_sequence: battery.next(),
    };
    event.emit(input, authority, program)
}

#[inline(never)]
pub fn sweep_fees(input: &Input) -> Done {
    let accounts = input.take::<{ call::SWEEP_FEES_ACCOUNTS }>(call::SWEEP_FEES_SIZE)?;
    let [_, buyer, escrow_account, vault, destination, token, authority, program] = accounts;
    distinct(&[*buyer, *escrow_account, *vault, *destination])?;
    let config = config(input, 0)?;
    let buyer: &mut Participant = write(buyer, input.program_id)?;
    let escrow: &mut Escrow = write(escrow_account, input.program_id)?;
    need!(equal(&escrow.buyer_wallet, &buyer.wallet) && is(vault, &escrow.vault), BadAccount);
    check_program(token)?;
    need!(!equal(&config.treasury, &ZERO) && is_fit(destination, &escrow.mint, &config.treasury), BadAccount);
    let amount = escrow.fees_due;
    need!(amount != 0, BadAmount);
    escrow.fees_due = 0;
    pay_out(escrow, escrow_account, vault, destination, amount);
    let event = FeesSwept { tag: FeesSwept::TAG, kind: FeesSwept::KIND,
        escrow: copy(key(escrow_account)),
        destination: copy(key(destination)),
        amount,
        buyer_sequence: buyer.next(),
    };
    event.emit(input, authority, program)
}
