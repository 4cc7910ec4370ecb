"""One battery's doors: its seller, its delivery, its TCP server and its announcements, made from the site file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.delivery import Delivery
from agent.delivery_ports import DeliveryRules
from agent.doors import Doors
from agent.guardrails import Guardrails
from agent.offer import SellingLimits
from agent.pricing import DynamicTerms, FixedReserve, OwnerReserve
from agent.reputation import Standing
from agent.seller import Seller
from agent.settling import Settling
from agent.site_control import CONTRADICTION, OWNER
from agent.watch import BatteryWatch
from etp.auction import Shield, Terms
from etp.auth import AuthPolicy
from etp.connection import Role
from etp.io.maker import ConnectionMaker
from etp.messages import Body, ReasonCode
from etp.replies import PeerMemories
from etp.units import price_to_wire
from settlement.keys import device_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.appraiser import Appraiser
    from agent.books_types import BookedStanding, Books
    from agent.config_values import BatterySite, Site
    from agent.events import EventHub
    from agent.journal import Journal
    from agent.metrics import Metrics
    from agent.records import RecordBody
    from agent.surroundings import Surroundings
    from agent.trades import Delivered
    from etp.io.crowd import Crowd
    from etp.io.pollclock import PollClock
    from etp.limits import Limits
    from etp.traffic import Traffic


COMMISSIONING: Final = "commissioning"
"""Why nothing is sold outside `lab` (dispatch.md section 7): there is no guard and no commissioning yet."""
CLOCK: Final = "clock"
"""Why selling is stopped while the time of day cannot be trusted."""


class Storefront:
    """Everything of one battery."""

    def __init__(
        self,
        battery_site: BatterySite,
        site: Site,
        *,
        around: Surroundings,
        journal: Journal,
        hub: EventHub,
        metrics: Metrics,
        poll_clock: PollClock,
        crowd: Crowd,
        beat: Callable[[], None] | None,
    ) -> None:
        self.site = battery_site
        self.name = battery_site.name
        self.battery = around.open_battery(battery_site, site)
        self._minimum_e4, fixed = battery_site.reserve_min_e4, battery_site.reserve
        if isinstance(fixed, DynamicTerms):
            self._minimum_e4, fixed = max(self._minimum_e4, fixed.floor_e4), FixedReserve(0)
        self.pricing = OwnerReserve(fixed, minimum_e4=self._minimum_e4)
        self._around = around
        signer = around.signer(battery_site)
        rules = _guardrails(battery_site, site)
        self.seller = Seller(
            battery=self.battery,
            journal=journal,
            pricing=self.pricing,
            limits=_selling_limits(battery_site),
            rules=rules,
            watch=BatteryWatch(self.name, hub=hub, metrics=metrics, wall_ms=around.wall_ms),
            terms_of=_terms_maker(battery_site),
            device_id=device_id(signer.public_key),
            rule=battery_site.rule,
            reputation_floor=battery_site.reputation_floor,
            time_lapse=site.time_lapse,
            lot_seed=lambda: around.random_bytes(32),
            wall_ms=around.wall_ms,
        )
        self.delivery = Delivery(
            self.battery,
            journal,
            self.name,
            rules=_delivery_rules(battery_site, rules, time_lapse=site.time_lapse),
            listener=self.seller,
            wall_ms=around.wall_ms,
            beat=beat,
            papers=self._papers,
        )
        self.settling = self._settle(battery_site, site)
        self.appraiser = self._follow_market(battery_site)
        self.seller.attach(self.delivery)
        if not site.lab:
            self.seller.block(
                COMMISSIONING, "outside a lab only a commissioned battery with a running guard may be sold"
            )
        self._policy = AuthPolicy(peers=site.network.peers, trusted=site.network.trusted_peers, signer=signer)
        self._memories = PeerMemories(site.limits)
        self._is_clock_trusted = False
        self.doors = Doors(
            self.name,
            handler=self.seller.desk,
            maker=self._connection_maker(site.limits, metrics.traffic),
            clock=poll_clock,
            answer=self.seller.answer_datagram,
            crowd=crowd,
        )
        self.seller.on_failure = self.doors.multicast
        self.seller.on_offer_changed = self.doors.changed
        self.seller.on_name_free = self._memories.unpin
        self.seller.on_untold = lambda peer, end: self._memories.note(peer, end, self.seller.now_ms())

    def _settle(self, battery_site: BatterySite, site: Site) -> Settling | None:
        """Return what has signed trades paid, where the site says how."""
        if site.settlement is None:
            return None
        made = self.seller.settling = Settling(battery_site, site.settlement, seller=self.seller, around=self._around)
        return made

    def _papers(self, delivered: Delivered) -> RecordBody:
        return {} if self.settling is None else self.settling.clerk.papers(delivered)

    def _follow_market(self, site: BatterySite) -> Appraiser | None:
        """Return what prices by the market where the site says so; None where the owner has named the prices."""
        if not isinstance(site.reserve, DynamicTerms):
            return None
        appraiser = self.seller.price_by(
            site.reserve, readers=self._around.pricing_executor, rule=site.rule, price_cap_e4=site.price_cap_e4
        )
        self.pricing.follow(appraiser)
        return appraiser

    def _connection_maker(self, limits: Limits, traffic: Traffic) -> ConnectionMaker:
        return ConnectionMaker(
            role=Role.BATTERY,
            device_id=self.seller.device_id,
            policy=self._policy,
            limits=limits,
            wall_ms=self._around.wall_ms,
            traffic=traffic,
            memories=self._memories,
            nonce=self._around.random_bytes(6).hex(),
            price_cap=price_to_wire(self.site.price_cap_e4),
        )

    def trust_clock(self, *, trusted: bool) -> None:
        """Serve signed buyers only while the time of day can be trusted; unsigned selling goes on (architecture 3)."""
        if self.appraiser is not None:
            self.appraiser.trust_clock(trusted=trusted)
        if self.settling is not None:
            self.settling.clerk.trust_clock(trusted=trusted)
        policy = self._policy if trusted else replace(self._policy, trusted=frozenset())
        if not trusted and self._is_clock_trusted:
            # Signed buyers are sent away with what they hold, and none of them is to blame for leaving it.
            self.seller.block(CLOCK, "the time of day is not trusted")
            self.seller.desk.awards.void_all(ReasonCode.WITHDRAWN)
        self._is_clock_trusted = trusted
        self.doors.admit(policy, announce=trusted or policy.peers == "open")
        if trusted or self._policy.peers == "open":
            self.seller.unblock(CLOCK)
        else:
            self.seller.block(CLOCK, "the time of day is not trusted, and every buyer here must sign")

    def restore(self, books: Books) -> None:
        """Take on what an earlier start has left: trades, take-over, reputations, shield, the owner's orders.

        A gateway's clock may have been set back meanwhile: no penalty or shield lasts longer than it did when it began.
        """
        now_ms = self.seller.now_ms()
        wall_ms = self._around.wall_ms()
        for buyer, booked in books.standings.items():
            self.seller.reputation.restore(buyer, _standing(booked, now_ms=now_ms, wall_ms=wall_ms))
        if books.shield is not None and books.shield.until_wall_ms > wall_ms:
            until_ms = now_ms + _left_ms(books.shield.until_wall_ms, wall_ms, self.seller.terms().shield_ms)
            self.seller.desk.lots.restore_shield(Shield(books.shield.price_e4, until_ms))
        if self.appraiser is not None:
            self.appraiser.restore(books.markup, books.sales)
        if books.reserve_e4 is not None:
            self.pricing.set(max(books.reserve_e4, self._minimum_e4))
        for (peer, bid_id), end in books.ends.items():
            told = Body.terminate(bid_id, self.seller.device_id, code=end.code, delivered_wh=end.delivered_wh)
            self.seller.ends.remember(peer, told)
        for peer, bid_id in books.awards:
            if peer.startswith("key:"):
                ended = Body.terminate(bid_id, self.seller.device_id, code=ReasonCode.NOT_CONFIRMED, delivered_wh=0)
                self.seller.ends.remember(peer, ended)
        for key in books.trades:
            self.seller.remember_trade(key)
            self._memories.pin(*key)
        if self.settling is not None:
            self.settling.clerk.restore(books.cheques.values())
            self.settling.cashier.restore_numbers(books.numbers)
        self.delivery.reconcile(books)
        if books.stopped:
            self.seller.block(OWNER, "stopped by the owner before the last start")
        if books.contradictions:
            self.seller.block(CONTRADICTION, f"the journal contradicts itself: {books.contradictions[0]}")


def _standing(booked: BookedStanding, *, now_ms: int, wall_ms: int) -> Standing:
    return Standing(
        score=booked.score,
        seen_ms=now_ms - max(0, wall_ms - booked.at_wall_ms),
        blocked_until_ms=now_ms + _left_ms(booked.blocked_until_wall_ms, wall_ms, booked.next_penalty_ms),
        next_penalty_ms=booked.next_penalty_ms,
        trades=booked.trades,
    )


def _left_ms(until_wall_ms: int, wall_ms: int, longest_ms: int) -> int:
    return min(max(0, until_wall_ms - wall_ms), longest_ms)


def _guardrails(battery_site: BatterySite, site: Site) -> Guardrails:
    return Guardrails(
        temp_min_dc=battery_site.temp_min_dc,
        temp_max_dc=battery_site.temp_max_dc,
        state_age_max_ms=site.state_age_max_ms,
    )


def _delivery_rules(site: BatterySite, guardrails: Guardrails, *, time_lapse: int) -> DeliveryRules:
    return DeliveryRules(
        floor_permille=site.floor_permille,
        capacity_wh=site.capacity_wh,
        efficiency_permille=site.efficiency_permille,
        max_power_w=site.max_power_w,
        time_lapse=time_lapse,
        guardrails=guardrails,
    )


def _selling_limits(site: BatterySite) -> SellingLimits:
    return SellingLimits(
        floor_permille=site.floor_permille,
        share_permille=site.share_permille,
        lot_wh=site.lot_wh,
        max_power_w=site.max_power_w,
        min_power_w=site.min_power_w,
        capacity_wh=site.capacity_wh,
        efficiency_permille=site.efficiency_permille,
    )


def _terms_maker(site: BatterySite) -> Callable[[int], Terms]:
    """Return the terms at a reserve; built once per reserve, because it rarely changes."""
    known: dict[int, Terms] = {}

    def terms(reserve_e4: int) -> Terms:
        made = known.get(reserve_e4)
        if made is None:
            known.clear()
            made = known[reserve_e4] = Terms(
                reserve_e4=reserve_e4,
                increment_e4=site.increment_e4,
                standing_ms=site.standing_ms,
                price_cap_e4=max(site.price_cap_e4, reserve_e4),
            )
        return made

    return terms
