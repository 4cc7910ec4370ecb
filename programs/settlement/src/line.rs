//! A buyer's Line to one battery.

use crate::accounts::{distinct, is, key, read, signed_by, write, Input};
use crate::chain::{self, now, slot, New};
use crate::events::{Allotted, Event, LineClosed, LineOpened, ReleaseRequested, Released, Voided};
use crate::layout::{copy, equal};
use crate::payment::config;
use crate::schema::call;
use crate::state::{Escrow, Line, MintRule, Participant, Unpaid};
use crate::token::{ASSOCIATED_TOKEN, TOKEN_PROGRAM};
use crate::{Done, Failure, RELEASE_DELAY_S};

const BATTERY: u8 = 1;
const BUYER: u8 = 2;

#[inline(never)]
pub fn open_line(input: &Input) -> Done {
    let accounts = input.take::<{ call::OPEN_LINE_ACCOUNTS }>(call::OPEN_LINE_SIZE)?;
    let [wallet, buyer, battery, escrow_account, line_account, unpaid_account, system] = accounts;
    distinct(&[*wallet, *line_account, *unpaid_account])?;
    let id = input.program_id;
    let buyer: &Participant = read(buyer, id)?;
    let battery: &Participant = read(battery, id)?;
    let escrow: &Escrow = read(escrow_account, id)?;
    signed_by(wallet, &buyer.wallet)?;
    need!(equal(&escrow.buyer_wallet, &buyer.wallet), BadAccount);
    need!(buyer.role & BUYER != 0 && battery.role & BATTERY != 0, BadAccount);
    need!(!equal(&buyer.wallet, &battery.wallet), SameParty);
    let seeds: [&[u8]; 3] = [b"line", key(escrow_account), &battery.wallet];
    let new = New { payer: wallet, account: line_account, system, seeds: &seeds, owner: id };
    let line: &mut Line = new.state(id)?;
    line.buyer_wallet = copy(&buyer.wallet);
    line.battery_wallet = copy(&battery.wallet);
    line.mint = copy(&escrow.mint);
    line.escrow = copy(key(escrow_account));
    line.generation = slot()?;
    chain::find(
        &[&battery.wallet, TOKEN_PROGRAM.as_array(), &escrow.mint],
        ASSOCIATED_TOKEN.as_array(),
        &mut line.payee,
    );
    open_unpaid(input, battery, line, unpaid_account)?;
    LineOpened { tag: LineOpened::TAG, kind: LineOpened::KIND,
        line: copy(key(line_account)),
        buyer_wallet: copy(&line.buyer_wallet),
        battery_wallet: copy(&line.battery_wallet),
        generation: line.generation,
    }
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
    let (payer, system) = (&input.accounts[0], &input.accounts[6]);
    let unpaid: &mut Unpaid = New { payer, account, system, seeds: &seeds, owner: id }.state(id)?;
    unpaid.wallet = copy(&battery.wallet);
    unpaid.mint = copy(&line.mint);
    unpaid.escrow = line.escrow;
    Ok(())
}

#[inline(never)]
pub fn allot(input: &Input) -> Done {
    let accounts = input.take::<{ call::ALLOT_ACCOUNTS }>(call::ALLOT_SIZE)?;
    let [wallet, _, rule, buyer, escrow_account, line_account, authority, program] = accounts;
    distinct(&[*buyer, *escrow_account, *line_account])?;
    let id = input.program_id;
    let config = config(input, 1)?;
    let rule: &MintRule = read(rule, id)?;
    let buyer: &mut Participant = write(buyer, id)?;
    let escrow: &mut Escrow = write(escrow_account, id)?;
    let line: &mut Line = write(line_account, id)?;
    signed_by(wallet, &buyer.wallet)?;
    let fits = equal(&escrow.buyer_wallet, &buyer.wallet)
        && equal(&line.escrow, key(escrow_account))
        && equal(&rule.mint, &escrow.mint);
    need!(fits, BadAccount);
    need!(config.paused == 0, Paused);
    need!(rule.allowed != 0, MintNotAllowed);
    // SAFETY: the data has this length.
    let amount = unsafe { input.number(8) };
    need!(amount != 0, BadAmount);
    escrow.available = escrow.available.checked_sub(amount).ok_or(Failure::NotEnough)?;
    escrow.allotted = escrow.allotted.checked_add(amount).ok_or(Failure::Overflow)?;
    line.amount = line.amount.checked_add(amount).ok_or(Failure::Overflow)?;
    let event =
        Allotted { tag: Allotted::TAG, kind: Allotted::KIND, line: copy(key(line_account)), amount, on_line: line.amount, buyer_sequence: buyer.next() };
    event.emit(input, authority, program)
}

#[inline(never)]
pub fn request_release(input: &Input) -> Done {
    let accounts = input.take::<{ call::REQUEST_RELEASE_ACCOUNTS }>(call::REQUEST_RELEASE_SIZE)?;
    let [wallet, buyer, line_account, authority, program] = accounts;
    distinct(&[*buyer, *line_account])?;
    let buyer: &mut Participant = write(buyer, input.program_id)?;
    let line: &mut Line = write(line_account, input.program_id)?;
    signed_by(wallet, &buyer.wallet)?;
    need!(equal(&line.buyer_wallet, &buyer.wallet), BadAccount);
    // SAFETY: the data has this length.
    let amount = unsafe { input.number(8) };
    need!(amount <= line.amount, BadAmount);
    line.release_amount = amount;
    line.release_at = match amount {
        0 => 0,
        _ => now()?.checked_add(RELEASE_DELAY_S).ok_or(Failure::Overflow)?,
    };
    let event = ReleaseRequested { tag: ReleaseRequested::TAG, kind: ReleaseRequested::KIND,
        line: copy(key(line_account)),
        amount,
        release_at: line.release_at,
        buyer_sequence: buyer.next(),
    };
    event.emit(input, authority, program)
}

#[inline(never)]
pub fn release(input: &Input) -> Done {
    let accounts = input.take::<{ call::RELEASE_ACCOUNTS }>(call::RELEASE_SIZE)?;
    let [wallet, _, buyer, escrow_account, line_account, authority, program] = accounts;
    distinct(&[*buyer, *escrow_account, *line_account])?;
    let id = input.program_id;
    let config = config(input, 1)?;
    let buyer: &mut Participant = write(buyer, id)?;
    let escrow: &mut Escrow = write(escrow_account, id)?;
    let line: &mut Line = write(line_account, id)?;
    signed_by(wallet, &buyer.wallet)?;
    need!(equal(&escrow.buyer_wallet, &buyer.wallet) && equal(&line.escrow, key(escrow_account)), BadAccount);
    need!(config.paused == 0, Paused);
    need!(line.release_amount != 0, BadState);
    need!(now()? >= line.release_at, TooEarly);
    let free = line.amount.checked_sub(line.locked).ok_or(Failure::NotEnough)?;
    let amount = if line.release_amount < free { line.release_amount } else { free };
    line.release_amount = 0;
    line.release_at = 0;
    line.amount -= amount;
    escrow.allotted = escrow.allotted.checked_sub(amount).ok_or(Failure::NotEnough)?;
    escrow.available = escrow.available.checked_add(amount).ok_or(Failure::Overflow)?;
    let event =
        Released { tag: Released::TAG, kind: Released::KIND, line: copy(key(line_account)), amount, on_line: line.amount, buyer_sequence: buyer.next() };
    event.emit(input, authority, program)
}

/// Close an empty Line. In the slot in which it was opened it stays, or the next one would be of the same generation.
#[inline(never)]
pub fn close(input: &Input) -> Done {
    let accounts = input.take::<{ call::CLOSE_ACCOUNTS }>(call::CLOSE_SIZE)?;
    let [wallet, line_account] = accounts;
    distinct(&[*wallet, *line_account])?;
    let line: &Line = read(line_account, input.program_id)?;
    signed_by(wallet, &line.buyer_wallet)?;
    need!(line.amount == 0 && line.locked == 0 && line.open_trades == 0, NotEmpty);
    need!(slot()? > line.generation, NotEmpty);
    LineClosed { tag: LineClosed::TAG, kind: LineClosed::KIND, line: copy(key(line_account)), generation: line.generation }.log();
    chain::close(line_account, wallet)
}

/// Spend a number of the battery's own without a trade.
#[inline(never)]
pub fn void(input: &Input) -> Done {
    let accounts = input.take::<{ call::VOID_ACCOUNTS }>(call::VOID_SIZE)?;
    let [wallet, line_account] = accounts;
    let line: &mut Line = write(line_account, input.program_id)?;
    need!(wallet.is_signer(), NotSigner);
    need!(is(wallet, &line.battery_wallet), BadAccount);
    // SAFETY: the data has this length.
    let contract_no = unsafe { input.number(8) };
    line.numbers().spend(contract_no)?;
    Voided { tag: Voided::TAG, kind: Voided::KIND, line: copy(key(line_account)), contract_no }.log();
    Ok(())
}
