"""The aggregator's table of batteries, the budgets, and when a battery announces itself."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from etp.discovery import Announcements, Bucket, Budget, Directory, DiscoveryRules, Endpoint, Seen

E1, E2, E3, E4 = (
    Endpoint("192.0.2.1", 4084),
    Endpoint("192.0.2.2", 4084),
    Endpoint("192.0.2.3", 4085),
    Endpoint("::1", 4),
)
KEY, OTHER = b"k" * 32, b"o" * 32
SILENT_MS = 180_000


def listed(directory: Directory) -> set[Endpoint]:
    return {listing.endpoint for listing in directory}


def test_endpoint_reads_like_an_address() -> None:
    assert str(E1) == "192.0.2.1:4084"
    assert str(E4) == "[::1]:4"


def test_first_datagram_makes_an_endpoint_worth_dialling() -> None:
    directory = Directory()
    assert directory.saw(E1, 7, None, 0) is Seen.NEW
    assert directory.saw(E1, 7, None, 10) is Seen.KNOWN
    assert directory.saw(E2, 7, None, 10) is Seen.NEW
    listing = directory.get(E1)
    assert listing is not None
    assert (listing.device_id, listing.proven, listing.static, listing.seen_ms) == (7, False, False, 10)
    assert len(directory) == 2


def test_battery_is_forgotten_after_three_missed_registers() -> None:
    directory = Directory()
    directory.saw(E1, 7, None, 0)
    directory.saw(E2, 8, None, 0)
    directory.registered(E2, 8, None, 0)
    directory.alive(E2, 50_000)
    assert directory.expire(SILENT_MS) == ()
    assert directory.expire(SILENT_MS + 1) == (E1,)
    assert directory.expire(50_000 + SILENT_MS + 1) == (E2,)
    assert directory.saw(E1, 7, None, 400_000) is Seen.NEW


def test_static_endpoint_is_never_forgotten() -> None:
    directory = Directory(static=[E1])
    assert listed(directory) == {E1}
    assert directory.expire(10 * SILENT_MS) == ()
    directory.refused(E1, 0)
    assert listed(directory) == {E1}
    assert directory.saw(E1, 7, KEY, 0) is Seen.KNOWN
    assert directory.registered(E1, 7, KEY, 0) == ()
    assert directory.expire(10 * SILENT_MS) == ()


def test_signed_battery_moves_when_the_new_endpoint_proves_its_key() -> None:
    directory = Directory()
    directory.saw(E1, 7, KEY, 0)
    directory.registered(E1, 7, KEY, 0)
    assert directory.saw(E2, 7, KEY, 10) is Seen.NEW  # worth dialling, no more
    home = directory.home(KEY)
    assert home is not None
    assert home.endpoint == E1
    assert directory.registered(E2, 7, KEY, 20) == (E1,)
    home = directory.home(KEY)
    assert home is not None
    assert home.endpoint == E2
    assert listed(directory) == {E2}


def test_endpoint_that_does_not_prove_its_key_changes_nothing_and_waits() -> None:
    directory = Directory()
    directory.registered(E1, 7, KEY, 0)
    directory.saw(E2, 7, KEY, 0)
    directory.refused(E2, 0)
    assert listed(directory) == {E1}
    assert directory.saw(E2, 7, KEY, 14_999) is Seen.IGNORED
    assert directory.saw(E2, 7, KEY, 15_000) is Seen.NEW
    directory.refused(E1, 0)  # proven: a failed redial drops nothing
    assert directory.get(E1) is not None


def test_proven_endpoint_does_not_believe_contradicting_datagrams() -> None:
    directory = Directory()
    directory.registered(E1, 7, KEY, 0)
    assert directory.saw(E1, 9, OTHER, 100) is Seen.IGNORED
    assert directory.saw(E1, 9, None, 100) is Seen.KNOWN
    listing = directory.get(E1)
    assert listing is not None
    assert (listing.device_id, listing.signer, listing.seen_ms) == (7, KEY, 0)


def test_proof_on_tcp_beats_whatever_was_proven_there_before() -> None:
    directory = Directory()
    directory.registered(E1, 7, KEY, 0)
    assert directory.registered(E1, 8, OTHER, 10) == ()
    listing = directory.get(E1)
    assert listing is not None
    assert (listing.device_id, listing.signer) == (8, OTHER)
    assert directory.home(KEY) is None


def test_claim_is_taken_by_the_first_signature() -> None:
    directory = Directory()
    directory.saw(E1, 7, None, 0)
    directory.saw(E1, 7, KEY, 1)
    listing = directory.get(E1)
    assert listing is not None
    assert (listing.signer, listing.proven) == (KEY, False)
    assert directory.home(KEY) is None


def test_unsigned_battery_that_is_connected_stays_refreshed_by_signed_announcements() -> None:
    directory = Directory()
    directory.registered(E1, 7, None, 0)
    assert directory.saw(E1, 7, KEY, 100) is Seen.KNOWN
    assert directory.expire(SILENT_MS + 50) == ()


def test_replays_cannot_crowd_out_a_real_move() -> None:
    directory = Directory()
    directory.registered(E1, 7, KEY, 0)
    forged = [Endpoint("198.51.100.1", port) for port in range(1, 6)]
    assert [directory.saw(endpoint, 7, KEY, 0) for endpoint in forged] == [Seen.NEW] * 4 + [Seen.IGNORED]
    for endpoint in forged:
        directory.refused(endpoint, 0)
    assert directory.saw(E2, 7, KEY, 0) is Seen.NEW


def test_battery_proven_where_the_operator_said_does_not_move() -> None:
    directory = Directory(static=[E1])
    directory.registered(E1, 7, KEY, 0)
    assert directory.saw(E2, 7, KEY, 0) is Seen.IGNORED


def test_static_endpoint_that_is_left_stays_listed_unproven() -> None:
    directory = Directory(static=[E1, E2])
    directory.registered(E1, 7, KEY, 0)
    assert directory.registered(E2, 7, KEY, 0) == (E1,)
    listing = directory.get(E1)
    assert listing is not None
    assert not listing.proven


def test_unknown_endpoint_is_no_one_elses_business() -> None:
    directory = Directory()
    directory.alive(E1, 0)
    directory.refused(E1, 0)
    assert len(directory) == 0
    assert directory.get(E1) is None


def test_full_table_gives_up_the_oldest_that_was_only_heard_of() -> None:
    directory = Directory(DiscoveryRules(batteries=3))
    for endpoint in (E1, E2, E3):
        directory.saw(endpoint, 1, None, 0)
    directory.registered(E1, 1, None, 0)
    assert directory.saw(E4, 1, None, 0) is Seen.NEW
    assert listed(directory) == {E1, E3, E4}
    for endpoint in (E3, E4):
        directory.registered(endpoint, 1, None, 0)
    assert directory.saw(E2, 1, None, 0) is Seen.FULL


def test_one_host_cannot_fill_the_table() -> None:
    directory = Directory(DiscoveryRules(per_host=2))
    directory.saw(E1, 1, None, 0)
    for port in range(10):
        directory.saw(Endpoint("198.51.100.1", port + 1), 1, None, 0)
    assert len(directory) == 3
    assert directory.get(E1) is not None
    assert directory.get(Endpoint("198.51.100.1", 10)) is not None


def test_new_endpoints_come_at_a_bounded_rate() -> None:
    directory = Directory(DiscoveryRules(new_per_s=10, new_burst=5, per_host=1000))
    seen = [directory.saw(Endpoint("198.51.100.1", port + 1), 1, None, 1_000) for port in range(8)]
    assert seen == [Seen.NEW] * 5 + [Seen.FULL] * 3
    assert directory.saw(E1, 1, None, 1_100) is Seen.NEW


def test_refusals_are_bounded_and_forgotten() -> None:
    directory = Directory(DiscoveryRules(batteries=2, new_per_s=0))
    endpoints = [Endpoint("198.51.100.1", port + 1) for port in range(3)]
    for endpoint in endpoints:
        directory.saw(endpoint, 1, None, 0)
        directory.refused(endpoint, 0)
    assert directory.saw(endpoints[0], 1, None, 0) is Seen.NEW
    assert directory.saw(endpoints[1], 1, None, 0) is Seen.IGNORED
    directory.expire(15_000)
    assert directory.saw(endpoints[1], 1, None, 15_000) is Seen.NEW


def test_bucket_has_a_burst_and_a_rate() -> None:
    bucket = Bucket(2, 3, 0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(499)
    assert bucket.take(500)
    assert [bucket.take(60_000) for _ in range(4)] == [True, True, True, False]
    assert all(Bucket(0, 0, 0).take(0) for _ in range(1_000))


def test_budget_bounds_each_host_and_all_together() -> None:
    budget = Budget((1, 5), (1, 2), 0)
    assert [budget.take("a", 0) for _ in range(3)] == [True, True, False]
    assert [budget.take(host, 0) for host in "bcde"] == [True, True, True, False]
    assert budget.take("f", 1_000)


def test_budget_remembers_a_bounded_number_of_hosts() -> None:
    budget = Budget((0, 0), (1, 1), 0)
    assert budget.take("first", 0)
    assert not budget.take("first", 0)
    for number in range(Budget.HOSTS):
        assert budget.take(f"host {number}", 0)
    assert budget.take("first", 0)  # forgotten, and the total still bounds everybody


def test_battery_announces_at_once_every_minute_and_soon_after_a_change() -> None:
    plan = Announcements(DiscoveryRules(), 5_000)
    assert plan.due_ms == 5_000
    plan.sent(5_000)
    assert plan.due_ms == 65_000
    plan.changed(5_100)
    assert plan.due_ms == 6_000  # not more than one a second
    plan.changed(5_200)
    assert plan.due_ms == 6_000
    plan.sent(6_000)
    plan.changed(30_000)
    assert plan.due_ms == 30_000
    plan.sent(30_000)
    assert plan.due_ms == 90_000


class DirectoryWalk(RuleBasedStateMachine):
    """Whatever comes in whatever order: the table is bounded, and no datagram moves a proven battery."""

    endpoints = st.builds(Endpoint, st.sampled_from(["192.0.2.1", "192.0.2.2", "::1"]), st.integers(1, 6))
    signers = st.sampled_from([None, KEY, OTHER])

    @initialize(static=st.lists(endpoints, max_size=2, unique=True))
    def begin(self, static: list[Endpoint]) -> None:
        self.static = static
        self.bounds = DiscoveryRules(batteries=6, per_host=4)
        self.directory = Directory(self.bounds, static=static)
        self.now_ms = 0

    def homes(self) -> dict[bytes, Endpoint]:
        return {item.signer: item.endpoint for item in self.directory if item.proven and item.signer is not None}

    @rule(endpoint=endpoints, signer=signers)
    def hear(self, endpoint: Endpoint, signer: bytes | None) -> None:
        homes = self.homes()
        seen = self.directory.saw(endpoint, 1, signer, self.now_ms)
        assert self.homes() == homes
        assert (self.directory.get(endpoint) is not None) or seen in {Seen.FULL, Seen.IGNORED}

    @rule(endpoint=endpoints, signer=signers)
    def register(self, endpoint: Endpoint, signer: bytes | None) -> None:
        if self.directory.get(endpoint) is None:
            return
        left = self.directory.registered(endpoint, 1, signer, self.now_ms)
        assert endpoint not in left
        if signer is not None:
            assert self.homes()[signer] == endpoint

    @rule(endpoint=endpoints)
    def refuse(self, endpoint: Endpoint) -> None:
        homes = self.homes()
        self.directory.refused(endpoint, self.now_ms)
        assert self.homes() == homes

    @rule(ms=st.integers(0, 100_000))
    def wait(self, ms: int) -> None:
        self.now_ms += ms
        for endpoint in self.directory.expire(self.now_ms):
            assert endpoint not in self.static

    @invariant()
    def bounded(self) -> None:
        assert len(self.directory) <= self.bounds.batteries + len(self.static)
        assert set(self.static) <= listed(self.directory)
        proven = [item.signer for item in self.directory if item.proven and item.signer is not None]
        assert len(proven) == len(set(proven))


TestDirectoryWalk = DirectoryWalk.TestCase
TestDirectoryWalk.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.integers(1, 50), st.integers(1, 50), st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_bucket_never_lets_more_through_than_rate_and_burst(per_s: int, burst: int, gaps_ms: list[int]) -> None:
    bucket = Bucket(per_s, burst, 0)
    now_ms = passed = 0
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        passed += bucket.take(now_ms)
    assert passed <= burst + per_s * now_ms / 1_000
