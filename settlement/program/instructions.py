"""The instructions of the program. Made from the schema by `python -m settlement.program.generate`; not to be edited.

Keys of 32 bytes in arguments, addresses in accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from solders.pubkey import Pubkey

from settlement.program.codec import CallLayout, instruction

if TYPE_CHECKING:
    from solders.instruction import Instruction

SYSTEM_PROGRAM: Final = Pubkey.from_string("11111111111111111111111111111111")
INSTRUCTIONS: Final = Pubkey.from_string("Sysvar1nstructions1111111111111111111111111")
TOKEN_PROGRAM: Final = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")


INITIALIZE: Final = CallLayout(
    "initialize",
    bytes.fromhex("afaf6d1f0d989bed"),
    "32sHQ32sI",
    (
        "treasury",
        "fee_bps",
        "min_bond",
        "genesis",
        "timeout_s",
    ),
)


def initialize(
    program_id: Pubkey,
    *,
    authority: Pubkey,
    config: Pubkey,
    program_data: Pubkey,
    treasury: bytes,
    fee_bps: int,
    min_bond: int,
    genesis: bytes,
    timeout_s: int,
) -> Instruction:
    """Write the Config, once.

    The signer is the program's upgrade authority and becomes admin.
    """
    data = INITIALIZE.encode(treasury, fee_bps, min_bond, genesis, timeout_s)
    return instruction(
        program_id,
        data,
        (authority, True, True),
        (config, False, True),
        (program_id, False, False),
        (program_data, False, False),
        (SYSTEM_PROGRAM, False, False),
    )


SET_CONFIG: Final = CallLayout(
    "set_config",
    bytes.fromhex("6c9e9aafd4623442"),
    "32sHQ",
    (
        "treasury",
        "fee_bps",
        "min_bond",
    ),
)


def set_config(
    program_id: Pubkey, *, admin: Pubkey, config: Pubkey, treasury: bytes, fee_bps: int, min_bond: int
) -> Instruction:
    """Change what later contracts are asked for; open ones carry their own."""
    data = SET_CONFIG.encode(treasury, fee_bps, min_bond)
    return instruction(
        program_id,
        data,
        (admin, True, False),
        (config, False, True),
    )


PROPOSE_ADMIN: Final = CallLayout("propose_admin", bytes.fromhex("79d6c7d4572775ea"), "32s", ("new_admin",))


def propose_admin(program_id: Pubkey, *, admin: Pubkey, config: Pubkey, new_admin: bytes) -> Instruction:
    """Name who may become admin."""
    data = PROPOSE_ADMIN.encode(new_admin)
    return instruction(
        program_id,
        data,
        (admin, True, False),
        (config, False, True),
    )


ACCEPT_ADMIN: Final = CallLayout("accept_admin", bytes.fromhex("702a2d5a74b50daa"), "", ())


def accept_admin(program_id: Pubkey, *, new_admin: Pubkey, config: Pubkey) -> Instruction:
    """Become admin."""
    data = ACCEPT_ADMIN.encode()
    return instruction(
        program_id,
        data,
        (new_admin, True, False),
        (config, False, True),
    )


SET_PAUSE: Final = CallLayout("set_pause", bytes.fromhex("3f209a0238674f2d"), "?", ("paused",))


def set_pause(program_id: Pubkey, *, admin: Pubkey, config: Pubkey, paused: bool) -> Instruction:
    """Stop registrations, deposits, allotments and releases, or let them go on."""
    data = SET_PAUSE.encode(paused)
    return instruction(
        program_id,
        data,
        (admin, True, False),
        (config, False, True),
    )


SET_MINT_RULE: Final = CallLayout(
    "set_mint_rule",
    bytes.fromhex("b9bf9f5dd5cce3cf"),
    "?Q",
    (
        "allowed",
        "base_units_per_cent",
    ),
)


def set_mint_rule(
    program_id: Pubkey,
    *,
    admin: Pubkey,
    config: Pubkey,
    mint_rule: Pubkey,
    mint: Pubkey,
    allowed: bool,
    base_units_per_cent: int,
) -> Instruction:
    """Take deposits in a mint, or no more."""
    data = SET_MINT_RULE.encode(allowed, base_units_per_cent)
    return instruction(
        program_id,
        data,
        (admin, True, True),
        (config, False, False),
        (mint_rule, False, True),
        (mint, False, False),
        (SYSTEM_PROGRAM, False, False),
    )


REGISTER: Final = CallLayout(
    "register",
    bytes.fromhex("d37c430fd3c2b2f0"),
    "B32s",
    (
        "role",
        "signing_key",
    ),
)


def register(
    program_id: Pubkey, *, wallet: Pubkey, config: Pubkey, participant: Pubkey, role: int, signing_key: bytes
) -> Instruction:
    """Become a Participant.

    The signing key proves itself in the instruction before, by the Ed25519 precompile.
    """
    data = REGISTER.encode(role, signing_key)
    return instruction(
        program_id,
        data,
        (wallet, True, True),
        (config, False, False),
        (participant, False, True),
        (INSTRUCTIONS, False, False),
        (SYSTEM_PROGRAM, False, False),
    )


ROTATE_KEY: Final = CallLayout("rotate_key", bytes.fromhex("56f0c2741f03acc8"), "32s", ("new_key",))


def rotate_key(
    program_id: Pubkey, *, wallet: Pubkey, config: Pubkey, participant: Pubkey, new_key: bytes
) -> Instruction:
    """Sign with another key from now on; it proves itself like at registration."""
    data = ROTATE_KEY.encode(new_key)
    return instruction(
        program_id,
        data,
        (wallet, True, False),
        (config, False, False),
        (participant, False, True),
        (INSTRUCTIONS, False, False),
    )


OPEN_ESCROW: Final = CallLayout("open_escrow", bytes.fromhex("52b29bfd4a29a1db"), "", ())


def open_escrow(
    program_id: Pubkey, *, buyer_wallet: Pubkey, buyer: Pubkey, escrow: Pubkey, vault: Pubkey, mint: Pubkey
) -> Instruction:
    """Open a buyer's escrow and vault for a mint."""
    data = OPEN_ESCROW.encode()
    return instruction(
        program_id,
        data,
        (buyer_wallet, True, True),
        (buyer, False, False),
        (escrow, False, True),
        (vault, False, True),
        (mint, False, False),
        (TOKEN_PROGRAM, False, False),
        (SYSTEM_PROGRAM, False, False),
    )


DEPOSIT: Final = CallLayout("deposit", bytes.fromhex("f223c68952e1f2b6"), "Q", ("amount",))


def deposit(
    program_id: Pubkey,
    *,
    buyer_wallet: Pubkey,
    config: Pubkey,
    mint_rule: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    vault: Pubkey,
    source: Pubkey,
    event_authority: Pubkey,
    amount: int,
) -> Instruction:
    """Bring money."""
    data = DEPOSIT.encode(amount)
    return instruction(
        program_id,
        data,
        (buyer_wallet, True, False),
        (config, False, False),
        (mint_rule, False, False),
        (buyer, False, True),
        (escrow, False, True),
        (vault, False, True),
        (source, False, True),
        (TOKEN_PROGRAM, False, False),
        (event_authority, False, False),
        (program_id, False, False),
    )


WITHDRAW: Final = CallLayout("withdraw", bytes.fromhex("b712469c946da122"), "Q", ("amount",))


def withdraw(
    program_id: Pubkey,
    *,
    buyer_wallet: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    vault: Pubkey,
    destination: Pubkey,
    event_authority: Pubkey,
    amount: int,
) -> Instruction:
    """Take money that no Line holds."""
    data = WITHDRAW.encode(amount)
    return instruction(
        program_id,
        data,
        (buyer_wallet, True, False),
        (buyer, False, True),
        (escrow, False, True),
        (vault, False, True),
        (destination, False, True),
        (TOKEN_PROGRAM, False, False),
        (event_authority, False, False),
        (program_id, False, False),
    )


OPEN_LINE: Final = CallLayout("open_line", bytes.fromhex("636882c680221bd0"), "", ())


def open_line(
    program_id: Pubkey,
    *,
    buyer_wallet: Pubkey,
    buyer: Pubkey,
    battery: Pubkey,
    escrow: Pubkey,
    line: Pubkey,
    unpaid: Pubkey,
) -> Instruction:
    """Open a Line to a battery, and the account of what cannot be paid to it."""
    data = OPEN_LINE.encode()
    return instruction(
        program_id,
        data,
        (buyer_wallet, True, True),
        (buyer, False, False),
        (battery, False, False),
        (escrow, False, False),
        (line, False, True),
        (unpaid, False, True),
        (SYSTEM_PROGRAM, False, False),
    )


ALLOT: Final = CallLayout("allot", bytes.fromhex("35560d1408a383da"), "Q", ("amount",))


def allot(
    program_id: Pubkey,
    *,
    buyer_wallet: Pubkey,
    config: Pubkey,
    mint_rule: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    line: Pubkey,
    event_authority: Pubkey,
    amount: int,
) -> Instruction:
    """Lay money aside for a battery's cheques."""
    data = ALLOT.encode(amount)
    return instruction(
        program_id,
        data,
        (buyer_wallet, True, False),
        (config, False, False),
        (mint_rule, False, False),
        (buyer, False, True),
        (escrow, False, True),
        (line, False, True),
        (event_authority, False, False),
        (program_id, False, False),
    )


REQUEST_RELEASE: Final = CallLayout("request_release", bytes.fromhex("a7da7a02a3e79607"), "Q", ("amount",))


def request_release(
    program_id: Pubkey, *, buyer_wallet: Pubkey, buyer: Pubkey, line: Pubkey, event_authority: Pubkey, amount: int
) -> Instruction:
    """Ask money back from a Line, in place of an earlier request; it leaves after 8 days.

    0 withdraws the request.
    """
    data = REQUEST_RELEASE.encode(amount)
    return instruction(
        program_id,
        data,
        (buyer_wallet, True, False),
        (buyer, False, True),
        (line, False, True),
        (event_authority, False, False),
        (program_id, False, False),
    )


RELEASE: Final = CallLayout("release", bytes.fromhex("fdf90fce1c7fc1f1"), "", ())


def release(
    program_id: Pubkey,
    *,
    buyer_wallet: Pubkey,
    config: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    line: Pubkey,
    event_authority: Pubkey,
) -> Instruction:
    """Take what was asked back and is not locked."""
    data = RELEASE.encode()
    return instruction(
        program_id,
        data,
        (buyer_wallet, True, False),
        (config, False, False),
        (buyer, False, True),
        (escrow, False, True),
        (line, False, True),
        (event_authority, False, False),
        (program_id, False, False),
    )


SETTLE: Final = CallLayout(
    "settle",
    bytes.fromhex("af2ab957908366d4"),
    "QQQQIIQqqqHI32s32sQqq32s",
    (
        "contract_no",
        "battery_device_id",
        "buyer_device_id",
        "message_id",
        "price_e4",
        "energy_wh",
        "base_units_per_cent",
        "starts_at_s",
        "ends_at_s",
        "valid_until_s",
        "fee_bps",
        "dispute_window_s",
        "resolver",
        "meter_key",
        "delivered_wh",
        "started_at_s",
        "ended_at_s",
        "evidence",
    ),
)


def settle(
    program_id: Pubkey,
    *,
    config: Pubkey,
    battery: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    vault: Pubkey,
    line: Pubkey,
    trade: Pubkey,
    payee: Pubkey,
    unpaid: Pubkey,
    event_authority: Pubkey,
    contract_no: int,
    battery_device_id: int,
    buyer_device_id: int,
    message_id: int,
    price_e4: int,
    energy_wh: int,
    base_units_per_cent: int,
    starts_at_s: int,
    ends_at_s: int,
    valid_until_s: int,
    fee_bps: int,
    dispute_window_s: int,
    resolver: bytes,
    meter_key: bytes,
    delivered_wh: int,
    started_at_s: int,
    ended_at_s: int,
    evidence: bytes,
    instructions: Pubkey | None = None,
    battery_wallet: Pubkey | None = None,
    buyer_wallet: Pubkey | None = None,
    rent_payer: Pubkey | None = None,
) -> Instruction:
    """Pay a delivery that both sides signed as final.

    Anybody submits; a number that is spent changes nothing.
    """
    data = SETTLE.encode(
        contract_no,
        battery_device_id,
        buyer_device_id,
        message_id,
        price_e4,
        energy_wh,
        base_units_per_cent,
        starts_at_s,
        ends_at_s,
        valid_until_s,
        fee_bps,
        dispute_window_s,
        resolver,
        meter_key,
        delivered_wh,
        started_at_s,
        ended_at_s,
        evidence,
    )
    return instruction(
        program_id,
        data,
        (config, False, False),
        (battery, False, True),
        (buyer, False, True),
        (escrow, False, True),
        (vault, False, True),
        (line, False, True),
        (trade, False, True),
        (payee, False, True),
        (unpaid, False, True),
        (TOKEN_PROGRAM, False, False),
        (instructions, False, False),
        (battery_wallet, True, False),
        (buyer_wallet, True, False),
        (rent_payer, False, True),
        (event_authority, False, False),
        (program_id, False, False),
    )


CLAIM: Final = CallLayout(
    "claim",
    bytes.fromhex("3ec6d6c1d59f6cd2"),
    "QQQQIIQqqqHI32s32sQqq32s",
    (
        "contract_no",
        "battery_device_id",
        "buyer_device_id",
        "message_id",
        "price_e4",
        "energy_wh",
        "base_units_per_cent",
        "starts_at_s",
        "ends_at_s",
        "valid_until_s",
        "fee_bps",
        "dispute_window_s",
        "resolver",
        "meter_key",
        "delivered_wh",
        "started_at_s",
        "ended_at_s",
        "evidence",
    ),
)


def claim(
    program_id: Pubkey,
    *,
    payer: Pubkey,
    config: Pubkey,
    battery: Pubkey,
    buyer: Pubkey,
    line: Pubkey,
    trade: Pubkey,
    event_authority: Pubkey,
    contract_no: int,
    battery_device_id: int,
    buyer_device_id: int,
    message_id: int,
    price_e4: int,
    energy_wh: int,
    base_units_per_cent: int,
    starts_at_s: int,
    ends_at_s: int,
    valid_until_s: int,
    fee_bps: int,
    dispute_window_s: int,
    resolver: bytes,
    meter_key: bytes,
    delivered_wh: int,
    started_at_s: int,
    ended_at_s: int,
    evidence: bytes,
    battery_wallet: Pubkey | None = None,
) -> Instruction:
    """Lock the money of a delivery that only the battery has signed.

    The buyer's contract signature comes by precompile, in the instruction before.
    """
    data = CLAIM.encode(
        contract_no,
        battery_device_id,
        buyer_device_id,
        message_id,
        price_e4,
        energy_wh,
        base_units_per_cent,
        starts_at_s,
        ends_at_s,
        valid_until_s,
        fee_bps,
        dispute_window_s,
        resolver,
        meter_key,
        delivered_wh,
        started_at_s,
        ended_at_s,
        evidence,
    )
    return instruction(
        program_id,
        data,
        (payer, True, True),
        (config, False, False),
        (battery, False, True),
        (buyer, False, True),
        (line, False, True),
        (trade, False, True),
        (INSTRUCTIONS, False, False),
        (battery_wallet, True, False),
        (SYSTEM_PROGRAM, False, False),
        (event_authority, False, False),
        (program_id, False, False),
    )


ATTEST: Final = CallLayout(
    "attest",
    bytes.fromhex("53947877908b75a0"),
    "Qqq32s",
    (
        "delivered_wh",
        "started_at_s",
        "ended_at_s",
        "evidence",
    ),
)


def attest(
    program_id: Pubkey,
    *,
    battery: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    vault: Pubkey,
    line: Pubkey,
    trade: Pubkey,
    payee: Pubkey,
    unpaid: Pubkey,
    event_authority: Pubkey,
    delivered_wh: int,
    started_at_s: int,
    ended_at_s: int,
    evidence: bytes,
    instructions: Pubkey | None = None,
    battery_wallet: Pubkey | None = None,
    buyer_wallet: Pubkey | None = None,
) -> Instruction:
    """Show a co-signed interim receipt of a claimed or disputed trade: what it says is beyond dispute."""
    data = ATTEST.encode(delivered_wh, started_at_s, ended_at_s, evidence)
    return instruction(
        program_id,
        data,
        (battery, False, True),
        (buyer, False, True),
        (escrow, False, True),
        (vault, False, True),
        (line, False, True),
        (trade, False, True),
        (payee, False, True),
        (unpaid, False, True),
        (TOKEN_PROGRAM, False, False),
        (instructions, False, False),
        (battery_wallet, True, False),
        (buyer_wallet, True, False),
        (event_authority, False, False),
        (program_id, False, False),
    )


FINALIZE: Final = CallLayout("finalize", bytes.fromhex("ab3dda387f730cd9"), "", ())


def finalize(
    program_id: Pubkey,
    *,
    battery: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    vault: Pubkey,
    line: Pubkey,
    trade: Pubkey,
    payee: Pubkey,
    unpaid: Pubkey,
    rent_payer: Pubkey,
    event_authority: Pubkey,
) -> Instruction:
    """Pay a claim that nobody disputed in its window."""
    data = FINALIZE.encode()
    return instruction(
        program_id,
        data,
        (battery, False, True),
        (buyer, False, True),
        (escrow, False, True),
        (vault, False, True),
        (line, False, True),
        (trade, False, True),
        (payee, False, True),
        (unpaid, False, True),
        (TOKEN_PROGRAM, False, False),
        (rent_payer, False, True),
        (event_authority, False, False),
        (program_id, False, False),
    )


DISPUTE: Final = CallLayout("dispute", bytes.fromhex("d85c8092ca558749"), "Q", ("buyer_wh",))


def dispute(
    program_id: Pubkey,
    *,
    buyer_wallet: Pubkey,
    config: Pubkey,
    battery: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    vault: Pubkey,
    line: Pubkey,
    trade: Pubkey,
    payee: Pubkey,
    unpaid: Pubkey,
    event_authority: Pubkey,
    buyer_wh: int,
) -> Instruction:
    """Say in the window of a claim that less was delivered; the undisputed part is paid at once."""
    data = DISPUTE.encode(buyer_wh)
    return instruction(
        program_id,
        data,
        (buyer_wallet, True, False),
        (config, False, False),
        (battery, False, True),
        (buyer, False, True),
        (escrow, False, True),
        (vault, False, True),
        (line, False, True),
        (trade, False, True),
        (payee, False, True),
        (unpaid, False, True),
        (TOKEN_PROGRAM, False, False),
        (event_authority, False, False),
        (program_id, False, False),
    )


RESOLVE: Final = CallLayout("resolve", bytes.fromhex("f696ecce6c3f3a0a"), "Q", ("ruling_wh",))


def resolve(
    program_id: Pubkey,
    *,
    resolver: Pubkey,
    battery: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    vault: Pubkey,
    line: Pubkey,
    trade: Pubkey,
    payee: Pubkey,
    unpaid: Pubkey,
    rent_payer: Pubkey,
    event_authority: Pubkey,
    ruling_wh: int,
) -> Instruction:
    """Rule on a dispute, between what is undisputed and what was claimed."""
    data = RESOLVE.encode(ruling_wh)
    return instruction(
        program_id,
        data,
        (resolver, True, False),
        (battery, False, True),
        (buyer, False, True),
        (escrow, False, True),
        (vault, False, True),
        (line, False, True),
        (trade, False, True),
        (payee, False, True),
        (unpaid, False, True),
        (TOKEN_PROGRAM, False, False),
        (rent_payer, False, True),
        (event_authority, False, False),
        (program_id, False, False),
    )


TIMEOUT: Final = CallLayout("timeout", bytes.fromhex("09362ea99cbd50f7"), "", ())


def timeout(
    program_id: Pubkey,
    *,
    battery: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    vault: Pubkey,
    line: Pubkey,
    trade: Pubkey,
    payee: Pubkey,
    unpaid: Pubkey,
    rent_payer: Pubkey,
    event_authority: Pubkey,
) -> Instruction:
    """End a dispute that nobody ruled on: the undisputed part and half of the difference."""
    data = TIMEOUT.encode()
    return instruction(
        program_id,
        data,
        (battery, False, True),
        (buyer, False, True),
        (escrow, False, True),
        (vault, False, True),
        (line, False, True),
        (trade, False, True),
        (payee, False, True),
        (unpaid, False, True),
        (TOKEN_PROGRAM, False, False),
        (rent_payer, False, True),
        (event_authority, False, False),
        (program_id, False, False),
    )


CLOSE: Final = CallLayout("close", bytes.fromhex("62a5c9b16c41ce60"), "", ())


def close(program_id: Pubkey, *, buyer_wallet: Pubkey, line: Pubkey) -> Instruction:
    """Close an empty Line; its rent goes back to the buyer."""
    data = CLOSE.encode()
    return instruction(
        program_id,
        data,
        (buyer_wallet, True, True),
        (line, False, True),
    )


VOID: Final = CallLayout("void", bytes.fromhex("37824a18eb0e1003"), "Q", ("contract_no",))


def void(program_id: Pubkey, *, battery_wallet: Pubkey, line: Pubkey, contract_no: int) -> Instruction:
    """Spend a contract number without a trade."""
    data = VOID.encode(contract_no)
    return instruction(
        program_id,
        data,
        (battery_wallet, True, False),
        (line, False, True),
    )


COLLECT: Final = CallLayout("collect", bytes.fromhex("d02fc29b116252ec"), "", ())


def collect(
    program_id: Pubkey,
    *,
    battery: Pubkey,
    escrow: Pubkey,
    vault: Pubkey,
    unpaid: Pubkey,
    destination: Pubkey,
    event_authority: Pubkey,
    battery_wallet: Pubkey | None = None,
) -> Instruction:
    """Pay what could not be paid before: to an account of the battery's wallet, or to one it signs for."""
    data = COLLECT.encode()
    return instruction(
        program_id,
        data,
        (battery, False, True),
        (escrow, False, True),
        (vault, False, True),
        (unpaid, False, True),
        (destination, False, True),
        (battery_wallet, True, False),
        (TOKEN_PROGRAM, False, False),
        (event_authority, False, False),
        (program_id, False, False),
    )


SWEEP_FEES: Final = CallLayout("sweep_fees", bytes.fromhex("afe1624776422294"), "", ())


def sweep_fees(
    program_id: Pubkey,
    *,
    config: Pubkey,
    buyer: Pubkey,
    escrow: Pubkey,
    vault: Pubkey,
    destination: Pubkey,
    event_authority: Pubkey,
) -> Instruction:
    """Bring the fees of one escrow to a token account of the treasury."""
    data = SWEEP_FEES.encode()
    return instruction(
        program_id,
        data,
        (config, False, False),
        (buyer, False, True),
        (escrow, False, True),
        (vault, False, True),
        (destination, False, True),
        (TOKEN_PROGRAM, False, False),
        (event_authority, False, False),
        (program_id, False, False),
    )


CALLS: Final[tuple[CallLayout, ...]] = (
    INITIALIZE,
    SET_CONFIG,
    PROPOSE_ADMIN,
    ACCEPT_ADMIN,
    SET_PAUSE,
    SET_MINT_RULE,
    REGISTER,
    ROTATE_KEY,
    OPEN_ESCROW,
    DEPOSIT,
    WITHDRAW,
    OPEN_LINE,
    ALLOT,
    REQUEST_RELEASE,
    RELEASE,
    SETTLE,
    CLAIM,
    ATTEST,
    FINALIZE,
    DISPUTE,
    RESOLVE,
    TIMEOUT,
    CLOSE,
    VOID,
    COLLECT,
    SWEEP_FEES,
)
