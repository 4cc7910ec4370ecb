//! A buyer's Line to one battery.

use crate::accounts::{agree, key, must_be, read, Input};
use crate::chain::{self, now, slot, New};
use crate::events::Event;
use crate::layout::{copy, equal, put};
use crate::money::{add, take};
use crate::state::{Line, Participant, Unpaid};
use crate::token::{ASSOCIATED_TOKEN, TOKEN_PROGRAM};
use crate::{Done, Failure, RELEASE_DELAY_S};

const BATTERY: u8 = 1;
const BUYER: u8 = 2;

#[inline(never)]
pub fn open_line(input: &Input) -> Done {
    let accounts = accounts!(input, OPEN_LINE);
    let [wallet, _, _, escrow_account, line_account, unpaid_account, system] = accounts;
    let id = input.program_id;
    let buyer = seen!(input, OPEN_LINE, 1, Participant);
    let battery = seen!(input, OPEN_LINE, 2, Participant);
    let escrow = seen!(input, OPEN_LINE, 3, Escrow);
    must_be(wallet, &buyer.wallet)?;
    agree(&escrow.buyer_wallet, &buyer.wallet)?;
    need!(buyer.role & BUYER != 0 && battery.role & BATTERY != 0, BadAccount);
    need!(!equal(&buyer.wallet, &battery.wallet), SameParty);
    let seeds: [&[u8]; 3] = [b"line", key(escrow_account), &battery.wallet];
    let new = New { payer: wallet, account: line_account, system, seeds: &seeds, owner: id };
    let line: &mut Line = new.state(id)?;
    put(&mut line.buyer_wallet, &buyer.wallet);
    put(&mut line.battery_wallet, &battery.wallet);
    put(&mut line.mint, &escrow.mint);
    put(&mut line.escrow, key(escrow_account));
    line.generation = slot()?;
    chain::find(
        &[&battery.wallet, TOKEN_PROGRAM.as_array(), &escrow.mint],
        ASSOCIATED_TOKEN.as_array(),
        &mut line.payee,
    );
    open_unpaid(input, battery, line, unpaid_account)?;
    event!(LineOpened {
        line: copy(key(line_account)),
        buyer_wallet: copy(&line.buyer_wallet),
        battery_wallet: copy(&line.battery_wallet),
        generation: line.generation,
    })
    .log();
    Ok(())
}

/// Make the account of what could not be paid, unless it is there since an earlier Line.
#[inline(always)]
fn open_unpaid(input: &Input, battery: &Participant, line: &Line, account: &pinocchio::AccountView) -> Done {
    let id = input.program_id;
    if equal(account.owner().as_array(), id) {
        let unpaid: &Unpaid = read(account, id).map_err(|_| Failure::WrongAddress)?;
        need!(equal(&unpaid.wallet, &battery.wallet) && equal(&unpaid.escrow, &line.escrow), WrongAddress);
        return Ok(());
    }
    let seeds: [&[u8]; 3] = [b"unpaid", &battery.wallet, &line.escrow];
    let [payer, .., system] = accounts!(input, OPEN_LINE);
    let unpaid: &mut Unpaid = New { payer, account, system, seeds: &seeds, owner: id }.state(id)?;
    put(&mut unpaid.wallet, &battery.wallet);
    put(&mut unpaid.mint, &line.mint);
    put(&mut unpaid.escrow, &line.escrow);
    Ok(())
}

#[inline(never)]
pub fn allot(input: &Input) -> Done {
    let accounts = accounts!(input, ALLOT);
    let [wallet, _, _, _, escrow_account, line_account, authority, program] = accounts;
    let config = seen!(input, ALLOT, 1, Config);
    let rule = seen!(input, ALLOT, 2, MintRule);
    let buyer = changed!(input, ALLOT, 3, Participant);
    let escrow = changed!(input, ALLOT, 4, Escrow);
    let line = changed!(input, ALLOT, 5, Line);
    must_be(wallet, &buyer.wallet)?;
    agree(&escrow.buyer_wallet, &buyer.wallet)?;
    agree(&line.escrow, key(escrow_account))?;
    agree(&rule.mint, &escrow.mint)?;
    need!(config.paused == 0, Paused);
    need!(rule.allowed != 0, MintNotAllowed);
    // SAFETY: the data has this length.
    let amount = unsafe { input.number(8) };
    need!(amount != 0, BadAmount);
    take(&mut escrow.available, amount)?;
    add(&mut escrow.allotted, amount)?;
    add(&mut line.amount, amount)?;
    let event =
        event!(Allotted { line: copy(key(line_account)), amount, on_line: line.amount, buyer_sequence: buyer.next() });
    event.emit(input, authority, program)
}

#[inline(never)]
pub fn request_release(input: &Input) -> Done {
    let accounts = accounts!(input, REQUEST_RELEASE);
    let [wallet, _, line_account, authority, program] = accounts;
    let buyer = changed!(input, REQUEST_RELEASE, 1, Participant);
    let line = changed!(input, REQUEST_RELEASE, 2, Line);
    must_be(wallet, &buyer.wallet)?;
    agree(&line.buyer_wallet, &buyer.wallet)?;
    // SAFETY: the data has this length.
    let amount = unsafe { input.number(8) };
    need!(amount <= line.amount, BadAmount);
    line.release_amount = amount;
    line.release_at = match amount {
        0 => 0,
        _ => now()?.wrapping_add(RELEASE_DELAY_S),
    };
    let event = event!(ReleaseRequested {
        line: copy(key(line_account)),
        amount,
        release_at: line.release_at,
        buyer_sequence: buyer.next(),
    });
    event.emit(input, authority, program)
}

#[inline(never)]
pub fn release(input: &Input) -> Done {
    let accounts = accounts!(input, RELEASE);
    let [wallet, _, _, escrow_account, line_account, authority, program] = accounts;
    let config = seen!(input, RELEASE, 1, Config);
    let buyer = changed!(input, RELEASE, 2, Participant);
    let escrow = changed!(input, RELEASE, 3, Escrow);
    let line = changed!(input, RELEASE, 4, Line);
    must_be(wallet, &buyer.wallet)?;
    agree(&escrow.buyer_wallet, &buyer.wallet)?;
    agree(&line.escrow, key(escrow_account))?;
    need!(config.paused == 0, Paused);
    need!(line.release_amount != 0, BadState);
    need!(now()? >= line.release_at, TooEarly);
    let free = line.amount.checked_sub(line.locked).ok_or(Failure::NotEnough)?;
    let amount = if line.release_amount < free { line.release_amount } else { free };
    line.release_amount = 0;
    line.release_at = 0;
    line.amount -= amount;
    take(&mut escrow.allotted, amount)?;
    add(&mut escrow.available, amount)?;
    let event =
        event!(Released { line: copy(key(line_account)), amount, on_line: line.amount, buyer_sequence: buyer.next() });
    event.emit(input, authority, program)
}

/// Close an empty Line. In the slot in which it was opened it stays, or the next one would be of the same generation.
#[inline(never)]
pub fn close(input: &Input) -> Done {
    let accounts = accounts!(input, CLOSE);
    let [wallet, line_account] = accounts;
    let line = seen!(input, CLOSE, 1, Line);
    must_be(wallet, &line.buyer_wallet)?;
    need!(line.amount == 0 && line.locked == 0 && line.open_trades == 0, NotEmpty);
    need!(slot()? > line.generation, NotEmpty);
    event!(LineClosed { line: copy(key(line_account)), generation: line.generation }).log();
    chain::close(line_account, wallet)
}

/// Spend a number of the battery's own without a trade.
#[inline(never)]
pub fn void(input: &Input) -> Done {
    let accounts = accounts!(input, VOID);
    let [wallet, line_account] = accounts;
    let line = changed!(input, VOID, 1, Line);
    must_be(wallet, &line.battery_wallet)?;
    // SAFETY: the data has this length.
    let contract_no = unsafe { input.number(8) };
    line.numbers().spend(contract_no)?;
    event!(Voided { line: copy(key(line_account)), contract_no }).log();
    Ok(())
}
