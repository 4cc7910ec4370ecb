"""Operator and Participants in the model."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Final

from solders.pubkey import Pubkey

from settlement.money import FEE_BPS_MAX, UNITS_PER_CENT_MAX
from settlement.program import events
from settlement.program.accounts import Config, MintRule, Participant
from settlement.program.failures import Failure
from settlement.values import ZERO
from tests.settlement.program.model_consent import new_key, require
from tests.settlement.program.model_terms import creates, whole
from tests.settlement.program.model_world import RELEASE_DELAY_S, SYSTEM, TOKEN, Frame, Mint, derive

LOADER: Final = bytes(Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111"))
PROGRAM_DATA: Final = struct.Struct("<IQB32s")
"""How the loader's account of a program begins: 3, the slot of deployment, 1 if there is an upgrade authority, who."""

# The operator


def initialize(frame: Frame) -> None:
    frame.signed("authority")
    program = frame.world.program_id
    address, bump = derive(program, b"config")
    frame.expect(frame.key("config") == address, Failure.WRONG_ADDRESS)
    frame.expect(frame.account(frame.key("config")).owner == SYSTEM, Failure.BAD_STATE)
    frame.expect(frame.key("program_data") == derive(LOADER, program)[0], Failure.WRONG_ADDRESS, Failure.BAD_ACCOUNT)
    frame.distinct(("authority", "config"))
    creates(frame)
    frame.stage()
    loaded = frame.account(frame.key("program_data"))
    kind, _, known, authority = PROGRAM_DATA.unpack_from(loaded.data.encode().ljust(PROGRAM_DATA.size, b"\0"))
    is_ours = loaded.owner == LOADER and kind == 3 and known == 1 and authority == frame.key("authority")
    frame.expect(is_ours, Failure.NOT_ADMIN)
    frame.expect(frame.number("fee_bps") <= FEE_BPS_MAX, Failure.BAD_AMOUNT)
    frame.expect(frame.number("timeout_s") >= 1, Failure.BAD_AMOUNT)
    frame.expect(ZERO not in (frame.hash("treasury"), frame.hash("genesis")), Failure.BAD_ACCOUNT, Failure.BAD_AMOUNT)
    frame.stage()
    config = Config(
        version=1,
        bump=bump,
        fee_bps=frame.number("fee_bps"),
        paused=False,
        min_bond=frame.number("min_bond"),
        timeout_s=frame.number("timeout_s"),
        admin=frame.key("authority"),
        pending_admin=ZERO,
        treasury=frame.hash("treasury"),
        genesis=frame.hash("genesis"),
    )
    frame.create(frame.key("authority"), address, program, config, Config.SIZE)
    _tell(frame, config)


def _tell(frame: Frame, config: Config) -> None:
    told = (config.admin, config.pending_admin, config.treasury, config.min_bond, config.fee_bps, config.paused)
    frame.events.append(events.ConfigChanged(*told))


def _admin(frame: Frame, slot: str = "admin") -> Config:
    frame.signed(slot)
    config = frame.read("config", Config)
    frame.stage()
    assert config is not None
    expected = config.pending_admin if slot == "new_admin" else config.admin
    frame.expect(expected != ZERO and frame.key(slot) == expected, Failure.NOT_ADMIN)
    frame.stage()
    return config


def _change_config(frame: Frame, config: Config) -> None:
    frame.put(frame.key("config"), config)
    _tell(frame, config)


def set_config(frame: Frame) -> None:
    config = _admin(frame)
    frame.expect(frame.number("fee_bps") <= FEE_BPS_MAX, Failure.BAD_AMOUNT)
    frame.expect(frame.hash("treasury") != ZERO, Failure.BAD_ACCOUNT, Failure.BAD_AMOUNT)
    frame.stage()
    treasury, fee_bps, min_bond = frame.hash("treasury"), frame.number("fee_bps"), frame.number("min_bond")
    _change_config(frame, replace(config, treasury=treasury, fee_bps=fee_bps, min_bond=min_bond))


def propose_admin(frame: Frame) -> None:
    _change_config(frame, replace(_admin(frame), pending_admin=frame.hash("new_admin")))


def accept_admin(frame: Frame) -> None:
    config = _admin(frame, "new_admin")
    _change_config(frame, replace(config, admin=config.pending_admin, pending_admin=ZERO))


def set_pause(frame: Frame) -> None:
    config = _admin(frame)
    frame.expect(frame.call.data[8] <= 1, Failure.BAD_AMOUNT)
    frame.stage()
    _change_config(frame, replace(config, paused=bool(frame.args["paused"])))


def set_mint_rule(frame: Frame) -> None:
    frame.distinct(("admin", "mint_rule"))
    creates(frame)
    _admin(frame)
    mint = frame.account(frame.key("mint"))
    frame.expect(mint.owner == TOKEN and isinstance(mint.data, Mint), Failure.MINT_NOT_ALLOWED)
    frame.expect(frame.call.data[8] <= 1, Failure.BAD_AMOUNT)
    frame.expect(1 <= frame.number("base_units_per_cent") <= UNITS_PER_CENT_MAX, Failure.BAD_AMOUNT)
    address, bump = derive(frame.world.program_id, b"mint", frame.key("mint"))
    frame.expect(frame.key("mint_rule") == address, Failure.WRONG_ADDRESS)
    frame.stage()
    assert isinstance(mint.data, Mint)
    rule = MintRule(
        version=1,
        bump=bump,
        allowed=bool(frame.args["allowed"]),
        decimals=mint.data.decimals,
        mint=frame.key("mint"),
        base_units_per_cent=frame.number("base_units_per_cent"),
    )
    if frame.account(address).owner == frame.world.program_id:
        frame.put(address, rule)
    else:
        frame.create(frame.key("admin"), address, frame.world.program_id, rule, MintRule.SIZE)
    frame.events.append(events.MintRuleSet(rule.mint, rule.base_units_per_cent, rule.allowed))


# Participants


def register(frame: Frame) -> None:
    frame.signed("wallet")
    config = frame.read("config", Config)
    wallet, key, role = frame.key("wallet"), frame.hash("signing_key"), frame.number("role")
    address, bump = derive(frame.world.program_id, b"part", wallet)
    frame.expect(frame.key("participant") == address, Failure.WRONG_ADDRESS)
    frame.expect(frame.account(frame.key("participant")).owner == SYSTEM, Failure.BAD_STATE)
    frame.expect(config and not config.paused, Failure.PAUSED)
    frame.expect(1 <= role <= 3, Failure.BAD_AMOUNT)
    frame.expect(key not in (ZERO, wallet), Failure.BAD_KEY)
    frame.distinct(("wallet", "participant"))
    creates(frame)
    frame.stage()
    config = whole(config)
    require(frame, new_key(frame, config.genesis, wallet, key))
    participant = Participant(1, bump, role, wallet, key, ZERO, 0, 0, 0, 0, 0, 0, 0, 0)
    frame.create(wallet, address, frame.world.program_id, participant, Participant.SIZE)
    frame.events.append(events.Registered(wallet, key, role))


def rotate_key(frame: Frame) -> None:
    frame.signed("wallet")
    config = frame.read("config", Config)
    one = frame.read("participant", Participant)
    frame.expect(one and one.wallet == frame.key("wallet"), Failure.BAD_ACCOUNT)
    frame.stage()
    config, one = whole(config, one)
    key = frame.hash("new_key")
    frame.expect(key not in (ZERO, one.wallet, one.signing_key), Failure.BAD_KEY)
    frame.expect(frame.clock.now >= one.previous_until, Failure.KEY_TOO_YOUNG)
    frame.stage()
    require(frame, new_key(frame, config.genesis, one.wallet, key))
    until = frame.clock.now + RELEASE_DELAY_S
    frame.put(
        frame.key("participant"),
        replace(one, signing_key=key, previous_key=one.signing_key, previous_until=until),
    )
    frame.events.append(events.KeyRotated(one.wallet, key, until))
