//! A buyer's money: in and out of its vault.

use crate::accounts::{agree, key, maybe, must_be, signed_by, Input};
use crate::chain::New;
use crate::events::Event;
use crate::layout::{copy, equal, put, ZERO};
use crate::money::{add, take};
use crate::state::Escrow;
use crate::token::{check_mint, initialize_account, is_fit, pay_out, transfer};
use crate::token::{ACCOUNT_SIZE, TOKEN_PROGRAM};
use crate::Done;

const BUYER: u8 = 2;

#[inline(never)]
pub fn open_escrow(input: &Input) -> Done {
    let accounts = accounts!(input, OPEN_ESCROW);
    let [wallet, _, escrow_account, vault, mint, _, system] = accounts;
    let id = input.program_id;
    let buyer = seen!(input, OPEN_ESCROW, 1, Participant);
    must_be(wallet, &buyer.wallet)?;
    need!(buyer.role & BUYER != 0, BadAccount);
    let mut decimals = 0;
    check_mint(mint, &mut decimals)?;
    let seeds: [&[u8]; 3] = [b"escrow", key(wallet), key(mint)];
    let new = New { payer: wallet, account: escrow_account, system, seeds: &seeds, owner: id };
    let escrow: &mut Escrow = new.state(id)?;
    put(&mut escrow.buyer_wallet, &buyer.wallet);
    put(&mut escrow.mint, key(mint));
    put(&mut escrow.vault, key(vault));
    let seeds: [&[u8]; 2] = [b"vault", key(escrow_account)];
    let new = New { payer: wallet, account: vault, system, seeds: &seeds, owner: TOKEN_PROGRAM.as_array() };
    new.foreign(id, ACCOUNT_SIZE as u64)?;
    initialize_account(vault, mint, escrow_account);
    Ok(())
}

#[inline(never)]
pub fn deposit(input: &Input) -> Done {
    let accounts = accounts!(input, DEPOSIT);
    let [wallet, _, _, _, escrow_account, vault, source, _, authority, program] = accounts;
    let config = seen!(input, DEPOSIT, 1, Config);
    let rule = seen!(input, DEPOSIT, 2, MintRule);
    let buyer = changed!(input, DEPOSIT, 3, Participant);
    let escrow = changed!(input, DEPOSIT, 4, Escrow);
    must_be(wallet, &buyer.wallet)?;
    agree(&escrow.buyer_wallet, &buyer.wallet)?;
    must_be(vault, &escrow.vault)?;
    agree(&rule.mint, &escrow.mint)?;
    need!(config.paused == 0, Paused);
    need!(rule.allowed != 0, MintNotAllowed);
    // SAFETY: the data has this length.
    let amount = unsafe { input.number(8) };
    need!(amount != 0, BadAmount);
    add(&mut escrow.available, amount)?;
    transfer(source, vault, wallet, amount);
    let event = event!(Deposited {
        escrow: copy(key(escrow_account)),
        amount,
        available: escrow.available,
        buyer_sequence: buyer.next(),
    });
    event.emit(input, authority, program)
}

#[inline(never)]
pub fn withdraw(input: &Input) -> Done {
    let accounts = accounts!(input, WITHDRAW);
    let [wallet, _, escrow_account, vault, destination, _, authority, program] = accounts;
    let buyer = changed!(input, WITHDRAW, 1, Participant);
    let escrow = changed!(input, WITHDRAW, 2, Escrow);
    must_be(wallet, &buyer.wallet)?;
    agree(&escrow.buyer_wallet, &buyer.wallet)?;
    must_be(vault, &escrow.vault)?;
    // SAFETY: the data has this length.
    let amount = unsafe { input.number(8) };
    need!(amount != 0, BadAmount);
    take(&mut escrow.available, amount)?;
    pay_out(escrow, escrow_account, vault, destination, amount);
    let event = event!(Withdrawn {
        escrow: copy(key(escrow_account)),
        destination: copy(key(destination)),
        amount,
        available: escrow.available,
        buyer_sequence: buyer.next(),
    });
    event.emit(input, authority, program)
}

/// Pay what a battery is owed: to a token account of its wallet, or where the wallet says by signing.
#[inline(never)]
pub fn collect(input: &Input) -> Done {
    let accounts = accounts!(input, COLLECT);
    let [_, escrow_account, vault, unpaid_account, destination, wallet, _, authority, program] = accounts;
    let id = input.program_id;
    let battery = changed!(input, COLLECT, 0, Participant);
    let escrow = changed!(input, COLLECT, 1, Escrow);
    let unpaid = changed!(input, COLLECT, 3, Unpaid);
    must_be(vault, &escrow.vault)?;
    agree(&unpaid.escrow, key(escrow_account))?;
    agree(&unpaid.wallet, &battery.wallet)?;
    match maybe(wallet, id) {
        Some(wallet) => signed_by(wallet, &battery.wallet)?,
        None => need!(is_fit(destination, &escrow.mint, &battery.wallet), BadAccount),
    }
    let amount = unpaid.amount;
    need!(amount != 0, BadAmount);
    unpaid.amount = 0;
    take(&mut escrow.unpaid, amount)?;
    pay_out(escrow, escrow_account, vault, destination, amount);
    let event = event!(Collected {
        unpaid: copy(key(unpaid_account)),
        destination: copy(key(destination)),
        amount,
        battery_sequence: battery.next(),
    });
    event.emit(input, authority, program)
}

#[inline(never)]
pub fn sweep_fees(input: &Input) -> Done {
    let accounts = accounts!(input, SWEEP_FEES);
    let [_, _, escrow_account, vault, destination, _, authority, program] = accounts;
    let config = seen!(input, SWEEP_FEES, 0, Config);
    let buyer = changed!(input, SWEEP_FEES, 1, Participant);
    let escrow = changed!(input, SWEEP_FEES, 2, Escrow);
    agree(&escrow.buyer_wallet, &buyer.wallet)?;
    must_be(vault, &escrow.vault)?;
    need!(!equal(&config.treasury, &ZERO) && is_fit(destination, &escrow.mint, &config.treasury), BadAccount);
    let amount = escrow.fees_due;
    need!(amount != 0, BadAmount);
    escrow.fees_due = 0;
    pay_out(escrow, escrow_account, vault, destination, amount);
    let event = event!(FeesSwept {
        escrow: copy(key(escrow_account)),
        destination: copy(key(destination)),
        amount,
        buyer_sequence: buyer.next(),
    });
    event.emit(input, authority, program)
}
