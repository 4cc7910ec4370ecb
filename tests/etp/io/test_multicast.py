"""Batteries and aggregators that find each other over the loopback interface, and what strangers may do meanwhile."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from etp.auth import NOBODY, AuthPolicy, sign_frame
from etp.discovery import GROUP_V6, Directory, DiscoveryRules, Seen
from etp.frame import encode_frame
from etp.io.group import MulticastSettings, MulticastUnavailable
from etp.io.multicast import BatteryAnnouncer
from etp.messages import Body, MessageType, ReasonCode
from tests.etp.io.fakes import DEVICE, WALL_MS, wall_ms
from tests.etp.io.group_parties import BATTERY, BUYER, SIGNED, Seller, Stranger, listen, settle
from tests.etp.io.parties import HOST, interface_with_v6_multicast

if TYPE_CHECKING:
    from contextlib import AsyncExitStack


@pytest.fixture
def group() -> MulticastSettings:
    """A group port of this test's own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return MulticastSettings(port=probe.getsockname()[1], interface=HOST)


async def test_several_batteries_on_one_machine_are_found_by_several_aggregators(
    tidy: AsyncExitStack, group: MulticastSettings
) -> None:
    sellers = [Seller(tidy, group) for _ in range(3)]
    early = await listen(tidy, group)
    for seller in sellers:
        await (await seller.start()).join()
    late = await listen(tidy, group)
    expected = {seller.endpoint for seller in sellers}
    await early[1].until(lambda: early[1].endpoints == expected)  # by their Registers
    await late[1].until(lambda: late[1].endpoints == expected)  # by their answers
    assert {device for _, device, _ in late[1].heard_of} == {DEVICE}
    assert {source.port for seller in sellers for source in seller.asked}.isdisjoint({group.port})


async def test_directory_learns_from_a_finder(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    seller = Seller(tidy, group, policy=SIGNED)
    _, ear = await listen(tidy, group, policy=AuthPolicy(peers="signed", signer=BUYER))
    await (await seller.start()).join()
    await ear.until(lambda: ear.heard_of)
    endpoint, device_id, signer = ear.heard_of[0]
    assert signer == BATTERY.public_key
    directory = Directory()
    assert directory.saw(endpoint, device_id, signer, 0) is Seen.NEW
    assert endpoint == seller.endpoint


async def test_unicast_query_is_answered_from_the_service_port_without_multicast(
    tidy: AsyncExitStack, group: MulticastSettings
) -> None:
    seller = Seller(tidy, group)
    await seller.start()
    stranger = Stranger(tidy, group)
    query = encode_frame(Body.query(5, 1))
    stranger.send(query, seller.endpoint)
    answer = await stranger.receive()
    assert Body.decode(answer).message_id == 5
    assert len(answer) <= len(query)  # nobody is hit harder than he asked for
    assert seller.asked == [stranger.endpoint]


async def test_battery_may_stay_silent(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    seller = Seller(tidy, group)
    seller.is_mute = True
    announcer = await seller.start()
    Stranger(tidy, group).send(encode_frame(Body.query(5, 1)), seller.endpoint)
    await settle(announcer, 1)
    assert announcer.counts.sent == 0


async def test_registers_follow_the_plan(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    rules = DiscoveryRules(register_every_ms=150, change_gap_ms=20)
    seller = Seller(tidy, group)
    announcer = BatteryAnnouncer(
        device_id=DEVICE, policy=AuthPolicy(), wall_ms=wall_ms, answer=seller.answer, settings=group, rules=rules
    )
    tidy.callback(announcer.close)
    announcer.changed()  # nobody to tell yet
    announcer.multicast(Body.device_failure(1 << 63, DEVICE))
    _, ear = await listen(tidy, group)
    await announcer.start(seller.doors.udp)
    await announcer.join()
    await announcer.join()
    await ear.until(lambda: len(ear.heard_of) == 2)
    announcer.changed()
    announcer.changed()
    await ear.until(lambda: len(ear.heard_of) == 4)
    assert announcer.counts.sent == 4


async def test_failure_is_told_to_the_group(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    seller = Seller(tidy, group, policy=SIGNED)
    _, ear = await listen(tidy, group, policy=AuthPolicy(peers="signed", signer=BUYER))
    announcer = await seller.start()
    await announcer.join()
    announcer.multicast(Body.device_failure(1 << 63, DEVICE))
    await ear.until(lambda: ear.failures)
    assert ear.failures == [(seller.endpoint, ReasonCode.FAULT, BATTERY.public_key)]


async def test_aggregator_takes_only_what_is_signed_recent_trusted_and_for_everybody(
    tidy: AsyncExitStack, group: MulticastSettings
) -> None:
    policy = AuthPolicy(peers="signed", signer=BUYER, trusted=frozenset({BATTERY.public_key}))
    finder, ear = await listen(tidy, group, policy=policy)
    stranger = Stranger(tidy, group)
    register = encode_frame(Body.register(1 << 63, DEVICE))
    good = sign_frame(register, signer=BATTERY, peer=NOBODY, timestamp_ms=WALL_MS)
    bad = [
        register,
        sign_frame(register, signer=BATTERY, peer=NOBODY, timestamp_ms=WALL_MS - 31_000),
        sign_frame(register, signer=BATTERY, peer=BUYER.public_key, timestamp_ms=WALL_MS),
        sign_frame(register, signer=BUYER, peer=NOBODY, timestamp_ms=WALL_MS),
        good[:-1] + bytes([good[-1] ^ 1]),
    ]
    for frame in bad:
        stranger.send(frame)
    stranger.send(good)
    await ear.until(lambda: ear.heard_of)
    assert ear.heard_of == [(stranger.endpoint, DEVICE, BATTERY.public_key)]
    assert finder.counts.untrusted == len(bad)


async def test_open_aggregator_hears_the_unsigned_but_no_forgery(
    tidy: AsyncExitStack, group: MulticastSettings
) -> None:
    finder, ear = await listen(tidy, group)
    stranger = Stranger(tidy, group)
    register = encode_frame(Body.register(1 << 63, DEVICE))
    good = sign_frame(register, signer=BATTERY, peer=NOBODY, timestamp_ms=WALL_MS)
    stranger.send(good[:-1] + bytes([good[-1] ^ 1]))
    stranger.send(register)
    stranger.send(good)
    await ear.until(lambda: len(ear.heard_of) == 2)
    assert [signer for _, _, signer in ear.heard_of] == [None, BATTERY.public_key]
    assert finder.counts.untrusted == 1


async def test_bad_datagrams_are_counted_and_dropped(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    seller = Seller(tidy, group)
    announcer = await seller.start()
    await announcer.join()
    await settle(announcer, 1)  # it hears its own Register
    assert announcer.counts.other == 1
    stranger = Stranger(tidy, group)
    query = encode_frame(Body.query(5, 1))
    for data in (b"x", query[:83], query + b"\x00", b"\xff" * 84, query + bytes(2_000)):
        stranger.send(data, seller.endpoint)
    stranger.send(encode_frame(Body.query(5, 1)._replace(ttl=0)))
    stranger.send(encode_frame(Body.bid(5, 1, price_e4=1, energy_wh=100)), seller.endpoint)
    stranger.send(query)
    assert Body.decode(await stranger.receive()).message_type == MessageType.QUERY_RESPONSE
    await settle(announcer, 9)
    counts = announcer.counts
    assert (counts.received, counts.malformed, counts.expired, counts.other, counts.limited) == (9, 5, 1, 2, 0)


async def test_answers_are_bounded_for_each_host(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    seller = Seller(tidy, group)
    announcer = await seller.start()
    stranger = Stranger(tidy, group)
    for number in range(1, 201):
        stranger.send(encode_frame(Body.query(number, 1)), seller.endpoint)
        if not number % 50:
            await settle(announcer, number)  # the kernel holds only so many
    assert 64 <= len(seller.asked) < 150  # the burst, and what a loaded machine gains on it
    assert announcer.counts.limited == 200 - len(seller.asked)


async def test_what_is_heard_is_bounded(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    rules = DiscoveryRules(heard_per_host_per_s=1, heard_per_host_burst=3)
    finder, ear = await listen(tidy, group, rules=rules)
    stranger = Stranger(tidy, group)
    for number in range(10):
        stranger.send(encode_frame(Body.register(number, DEVICE)))
    await settle(finder, 11)  # its own Query too
    assert len(ear.heard_of) <= 3
    assert finder.counts.limited >= 7


async def test_aggregator_keeps_asking(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    seller = Seller(tidy, group)
    await (await seller.start()).join()
    finder, ear = await listen(tidy, group, rules=DiscoveryRules(query_every_ms=30))
    await finder.start()
    await ear.until(lambda: len(ear.heard_of) >= 3)
    assert len(set(seller.asked)) == 1


async def test_without_a_way_to_the_group_there_is_a_clear_error_and_unicast_goes_on(
    tidy: AsyncExitStack, group: MulticastSettings
) -> None:
    nowhere = MulticastSettings(port=group.port, interface="no-such-if")
    seller = Seller(tidy, nowhere)
    announcer = await seller.start()
    with pytest.raises(MulticastUnavailable, match=r"239\.192\.84\.14 port \d+ on no-such-if .*; name an interface"):
        await announcer.join()
    with pytest.raises(MulticastUnavailable) as caught:
        await listen(tidy, nowhere)
    assert (caught.value.group, caught.value.interface) == (nowhere.group, "no-such-if")
    stranger = Stranger(tidy, group)
    stranger.send(encode_frame(Body.query(5, 1)), seller.endpoint)
    assert Body.decode(await stranger.receive()).message_id == 5


async def test_join_needs_a_socket(group: MulticastSettings) -> None:
    announcer = BatteryAnnouncer(
        device_id=1, policy=AuthPolicy(), wall_ms=wall_ms, answer=lambda *_: None, settings=group
    )
    with pytest.raises(RuntimeError, match="start"):
        await announcer.join()


async def test_closed_sockets_say_no_more(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    seller = Seller(tidy, group)
    announcer = await seller.start()
    await announcer.join()
    finder, ear = await listen(tidy, group)
    announcer.close()
    announcer.changed()
    announcer.multicast(Body.device_failure(1 << 63, DEVICE))
    finder.close()
    finder.ask()
    assert ear.failures == []
    announcer.close()


async def test_trouble_with_sending_is_told_once_and_so_is_its_end(
    tidy: AsyncExitStack, group: MulticastSettings
) -> None:
    seller = Seller(tidy, group)
    announcer = await seller.start()
    await announcer.join()
    stranger = Stranger(tidy, group)
    with capture_logs() as logs:
        for _ in range(2):
            announcer._send(announcer._doors[0], bytes(70_000), HOST, stranger.endpoint.port)  # larger than a datagram
        announcer.multicast(Body.register(1 << 63, DEVICE))
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("multicast_send_failed", "warning"),
        ("multicast_send_failed", "debug"),
        ("multicast_send_recovered", "info"),
    ]
    assert announcer.counts.send_failed == 2


async def test_ipv6(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    settings = MulticastSettings(group=GROUP_V6, port=group.port, interface=interface_with_v6_multicast())
    if not settings.interface:
        pytest.skip("no interface with IPv6 multicast")
    seller = Seller(tidy, settings, listen="::")
    await (await seller.start()).join()
    _, ear = await listen(tidy, settings, listen="")
    await ear.until(lambda: ear.heard_of)
    ((host, port),) = ear.endpoints
    assert ":" in host
    assert port == seller.doors.port
    assert seller.asked[0].port != port


async def test_policy_may_change_while_it_runs(tidy: AsyncExitStack, group: MulticastSettings) -> None:
    """A signed site whose clock is not to be trusted keeps quiet, and is heard again when it is."""
    seller = Seller(tidy, group, policy=SIGNED)
    finder, ear = await listen(tidy, group, policy=AuthPolicy(peers="signed", signer=BUYER))
    announcer = await seller.start()
    announcer.policy = None
    await announcer.join()
    announcer.multicast(Body.device_failure(1 << 63, DEVICE))
    announcer.changed()
    stranger = Stranger(tidy, group)
    stranger.send(encode_frame(Body.query(5, 1)), seller.endpoint)
    assert Body.decode(await stranger.receive()).message_id == 5
    assert announcer.counts.sent == len(seller.asked)
    assert (ear.failures, finder.counts.untrusted) == ([], 0)
    announcer.policy = SIGNED
    await ear.until(lambda: (seller.endpoint, DEVICE, BATTERY.public_key) in ear.heard_of)
    assert announcer.policy is SIGNED
    assert finder.counts.untrusted == 0
