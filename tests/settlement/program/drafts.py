"""Steps as instructions: of the operator, of Participants and of buyers; see drafts_trades for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from settlement.program import instructions
from settlement.program.addresses import token_account
from settlement.signing import SignatureKind, signed_bytes
from settlement.statements import Registration
from settlement.values import ZERO
from tests.settlement.program.drafts_accounts import EVENT_AUTHORITY, escrow_of, line_of, with_vault
from tests.settlement.program.drafts_trades import TRADES
from tests.settlement.program.scene import AT, GENESIS, PROGRAM, TIMEOUT_S, address, keypair, mint, payee, wallet
from tests.settlement.program.steps import Draft, State, signing_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from solders.keypair import Keypair


def _config(name: str) -> Callable[[State, dict[str, Any]], Draft]:
    def build(state: State, values: dict[str, Any]) -> Draft:
        who = keypair("admin", values["admin"]).pubkey()
        more = {key: value for key, value in values.items() if key not in ("admin", "attack")}
        slot = "new_admin" if name == "accept_admin" else "admin"
        return Draft(getattr(instructions, name)(PROGRAM, config=AT.config(), **{slot: who}, **more))

    return build


def _initialize(state: State, values: dict[str, Any]) -> Draft:
    made = instructions.initialize(
        PROGRAM,
        authority=keypair("admin", values["admin"]).pubkey(),
        config=AT.config(),
        program_data=AT.program_data(),
        treasury=address("treasury"),
        fee_bps=values["fee_bps"],
        min_bond=values["min_bond"],
        genesis=GENESIS,
        timeout_s=TIMEOUT_S,
    )
    return Draft(made)


def _set_mint_rule(state: State, values: dict[str, Any]) -> Draft:
    made = instructions.set_mint_rule(
        PROGRAM,
        admin=keypair("admin", values["admin"]).pubkey(),
        config=AT.config(),
        mint_rule=AT.mint_rule(mint(values["mint"])),
        mint=mint(values["mint"]),
        allowed=values["allowed"],
        base_units_per_cent=values["rate"],
    )
    return Draft(made)


def _proof_of(person: int, generation: int) -> tuple[bytes, tuple[tuple[Keypair, bytes], ...]]:
    key = signing_key(person, generation)
    public = bytes(key.pubkey())
    said = Registration(program_id=bytes(PROGRAM), genesis_hash=GENESIS, wallet=address("wallet", person), key=public)
    return public, ((key, signed_bytes(SignatureKind.REGISTRATION, said.digest)),)


def _register(state: State, values: dict[str, Any]) -> Draft:
    person = values["person"]
    public, proofs = _proof_of(person, values["generation"])
    made = instructions.register(
        PROGRAM,
        wallet=wallet(person),
        config=AT.config(),
        participant=AT.participant(wallet(person)),
        role=values["role"],
        signing_key=values.get("key", public),
    )
    return Draft(made, proofs)


def _rotate_key(state: State, values: dict[str, Any]) -> Draft:
    person = values["person"]
    public, proofs = _proof_of(person, values["generation"])
    at = AT.participant(wallet(person))
    new_key = {"zero": ZERO, "wallet": address("wallet", person)}.get(values.get("key", ""), public)
    made = instructions.rotate_key(PROGRAM, wallet=wallet(person), config=AT.config(), participant=at, new_key=new_key)
    return Draft(made, proofs)


def _open_escrow(state: State, values: dict[str, Any]) -> Draft:
    owner = wallet(values["buyer"])
    made = instructions.open_escrow(PROGRAM, buyer_wallet=owner, mint=mint(values["mint"]), **with_vault(values))
    return Draft(made)


def _deposit(state: State, values: dict[str, Any]) -> Draft:
    made = instructions.deposit(
        PROGRAM,
        buyer_wallet=wallet(values["buyer"]),
        config=AT.config(),
        mint_rule=AT.mint_rule(mint(values["mint"])),
        source=payee(values["buyer"], values["mint"]),
        amount=values["amount"],
        **with_vault(values),
        **EVENT_AUTHORITY,
    )
    return Draft(made)


def _withdraw(state: State, values: dict[str, Any]) -> Draft:
    target = payee(values["buyer"], values["mint"])
    owner = wallet(values["buyer"])
    accounts = {**with_vault(values), **EVENT_AUTHORITY}
    made = instructions.withdraw(PROGRAM, buyer_wallet=owner, destination=target, amount=values["amount"], **accounts)
    return Draft(made)


def _open_line(state: State, values: dict[str, Any]) -> Draft:
    battery = wallet(values["battery"])
    made = instructions.open_line(
        PROGRAM,
        buyer_wallet=wallet(values["buyer"]),
        battery=AT.participant(battery),
        line=line_of(values),
        unpaid=AT.unpaid(battery, escrow_of(values)["escrow"]),
        **escrow_of(values),
    )
    return Draft(made)


def _allot(state: State, values: dict[str, Any]) -> Draft:
    made = instructions.allot(
        PROGRAM,
        buyer_wallet=wallet(values["buyer"]),
        config=AT.config(),
        mint_rule=AT.mint_rule(mint(values["mint"])),
        line=line_of(values),
        amount=values["amount"],
        **escrow_of(values),
        **EVENT_AUTHORITY,
    )
    return Draft(made)


def _request_release(state: State, values: dict[str, Any]) -> Draft:
    buyer = wallet(values["buyer"])
    made = instructions.request_release(
        PROGRAM,
        buyer_wallet=buyer,
        buyer=AT.participant(buyer),
        line=line_of(values),
        amount=values["amount"],
        **EVENT_AUTHORITY,
    )
    return Draft(made)


def _release(state: State, values: dict[str, Any]) -> Draft:
    buyer, config = wallet(values["buyer"]), AT.config()
    accounts = {**escrow_of(values), **EVENT_AUTHORITY}
    return Draft(instructions.release(PROGRAM, buyer_wallet=buyer, config=config, line=line_of(values), **accounts))


def _close(state: State, values: dict[str, Any]) -> Draft:
    return Draft(instructions.close(PROGRAM, buyer_wallet=wallet(values["buyer"]), line=line_of(values)))


def _void(state: State, values: dict[str, Any]) -> Draft:
    line = state.line(values["buyer"], values["battery"], values["mint"])
    number = max(0, (line.base_no if line else 0) + values["offset"])
    battery = wallet(values["battery"])
    return Draft(instructions.void(PROGRAM, battery_wallet=battery, line=line_of(values), contract_no=number))


def _collect(state: State, values: dict[str, Any]) -> Draft:
    owner, accounts = wallet(values["battery"]), with_vault(values)
    accounts.pop("buyer")
    target = payee(values["battery"], values["mint"])
    made = instructions.collect(
        PROGRAM,
        battery=AT.participant(owner),
        unpaid=AT.unpaid(owner, accounts["escrow"]),
        destination=keypair(f"purse{values['mint']}", values["purse"]).pubkey() if "purse" in values else target,
        battery_wallet=owner if values["signs"] else None,
        **accounts,
        **EVENT_AUTHORITY,
    )
    return Draft(made)


def _sweep_fees(state: State, values: dict[str, Any]) -> Draft:
    target = token_account(keypair("treasury").pubkey(), mint(values["mint"]))
    made = instructions.sweep_fees(
        PROGRAM, config=AT.config(), destination=target, **with_vault(values), **EVENT_AUTHORITY
    )
    return Draft(made)


BUILDERS: Final[dict[str, Callable[[State, dict[str, Any]], Draft | None]]] = {
    "initialize": _initialize,
    "set_mint_rule": _set_mint_rule,
    "register": _register,
    "rotate_key": _rotate_key,
    "open_escrow": _open_escrow,
    "deposit": _deposit,
    "withdraw": _withdraw,
    "open_line": _open_line,
    "allot": _allot,
    "request_release": _request_release,
    "release": _release,
    "close": _close,
    "void": _void,
    "collect": _collect,
    "sweep_fees": _sweep_fees,
    **{name: _config(name) for name in ("set_config", "propose_admin", "accept_admin", "set_pause")},
    **TRADES,
}
