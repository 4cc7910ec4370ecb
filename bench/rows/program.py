"""Compute units of every instruction of the program over random wallets, mints and program ids, on the real ELF.

Addresses of the program are found by trying bumps from 255 down, so what an instruction costs depends on whose it is;
the budgets hold for fixed ones, and here is what others pay. No ledger, no time: any machine says the same.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from bench.report import Figure
from bench.stats import percentile
from settlement.program.elf import program_elf
from settlement.program.schema import CALLS
from tests.settlement.program.bench import Bench, Sent
from tests.settlement.program.pieces import RELEASE_DELAY_S, TIMEOUT_S, keypair, party

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solders.instruction import Instruction
    from solders.keypair import Keypair

    from bench.settings import Settings

_WORLDS: Final = 200
_NAMES: Final = {call.discriminator: call.name for call in CALLS}
_MONEY: Final = 1_000_000


class _Meter(Bench):
    """A bench that writes down what each instruction costs."""

    def __post_init__(self) -> None:
        self.units: dict[str, list[int]] = defaultdict(list)
        self.sizes: dict[str, int] = {}
        self.label = ""
        super().__post_init__()

    def send(self, *instructions: Instruction, signers: Sequence[Keypair] = (), payer: Keypair | None = None) -> Sent:
        sent = super().send(*instructions, signers=signers, payer=payer)
        name = _NAMES[bytes(instructions[-1].data)[:8]] + self.label
        self.units[name].append(sent.units)
        self.sizes[name] = max(sent.size, self.sizes.get(name, 0))
        return sent


def run(settings: Settings) -> list[Figure]:
    """Let every instruction run once or more in each of many worlds."""
    units: dict[str, list[int]] = defaultdict(list)
    sizes: dict[str, int] = {}
    worlds = settings.count(_WORLDS, 2)
    for number in range(worlds):
        meter = _world(number)
        for name, found in meter.units.items():
            units[name] += found
        sizes |= {name: max(size, sizes.get(name, 0)) for name, size in meter.sizes.items()}
    missing = {call.name for call in CALLS} - set(units)
    if missing:
        raise RuntimeError(f"not measured: {', '.join(sorted(missing))}")
    figures = [_figure(name, found) for name, found in sorted(units.items())]
    for name in ("settle", "claim"):
        size = Figure(key=f"program.{name}.bytes", value=sizes[name], target=1_232, note="relayed, two signatures")
        figures.append(size)
    return [*figures, Figure(key="program.elf_bytes", value=len(program_elf()), target=40 * 1024)]


def _figure(name: str, units: list[int]) -> Figure:
    middle = percentile(units, 0.5)
    note = f"p50 {middle:,.0f}, most {max(units):,} of {len(units)}"
    return Figure(key=f"program.{name}.cu_p99", value=percentile(units, 0.99), unit="CU", note=note)


def _world(number: int) -> _Meter:
    """Return a world of its own keys in which everything has happened."""
    meter = _Meter.ready(
        program=keypair(f"program {number}").pubkey(),
        mint=keypair(f"mint {number}").pubkey(),
        battery=party(f"battery {number}"),
        buyer=party(f"buyer {number}"),
    )
    if not isinstance(meter, _Meter):
        raise TypeError(f"{type(meter).__name__} counts nothing")
    _trades(meter)
    _leave(meter)
    _operate(meter)
    return meter


def _trades(meter: _Meter) -> None:
    for _ in range(2):
        contract = meter.contract()
        receipt = meter.receipt(contract)
        meter.settle(contract, receipt)
        meter.label = "_again"
        meter.settle(contract, receipt)
        meter.label = ""
    meter.label = "_wallets"
    contract = meter.contract()
    meter.settle(contract, meter.receipt(contract), ("battery", "buyer"))
    meter.label = ""
    contract = meter.claimed()
    meter.wait(contract.dispute_window_s)
    meter.finalize(contract)
    _prefunded(meter)
    contract = meter.disputed()
    meter.attest(contract, meter.receipt(contract, 1_500, final=False))
    meter.resolve(contract, 2_000)
    contract = meter.disputed()
    meter.wait(TIMEOUT_S)
    meter.timeout(contract)


def _prefunded(meter: _Meter) -> None:
    """Claim at an address to which somebody has sent lamports, with the payee's account gone."""
    contract = meter.contract()
    meter.svm.airdrop(meter.at.trade(contract.trade_id), 1_000_000)
    meter.wait(contract.ends_at_s - meter.now)
    meter.label = "_prefunded"
    meter.claim(contract, meter.receipt(contract))
    meter.label = "_to_unpaid"
    meter.wait(contract.dispute_window_s)
    meter.set_token(meter.payee, meter.battery.key, state=2)
    meter.finalize(contract)
    meter.label = ""
    meter.set_token(meter.payee, meter.battery.key)
    meter.send(meter.call("collect", destination=meter.payee))


def _leave(meter: _Meter) -> None:
    number = meter.line_account().base_no
    meter.send(meter.call("void", contract_no=number), signers=[meter.battery.wallet])
    meter.by_buyer("request_release", amount=meter.line_account().amount)
    meter.wait(RELEASE_DELAY_S)
    meter.by_buyer("release")
    meter.by_buyer("withdraw", destination=meter.purse, amount=_MONEY)
    meter.by_buyer("close")
    treasury = meter.set_token(keypair("treasury purse").pubkey(), meter.treasury)
    meter.send(meter.call("sweep_fees", destination=treasury))


def _operate(meter: _Meter) -> None:
    meter.rotate_key(meter.battery, party("renewed").identity)
    admin = [meter.admin]
    treasury = bytes(meter.treasury)
    meter.send(meter.call("set_config", treasury=treasury, fee_bps=1, min_bond=1), signers=admin)
    meter.send(meter.call("set_pause", paused=True), signers=admin)
    after = keypair("next admin")
    meter.send(meter.call("propose_admin", new_admin=bytes(after.pubkey())), signers=admin)
    meter.send(meter.call("accept_admin", new_admin=after.pubkey()), signers=[after])
