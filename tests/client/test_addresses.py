"""Only addresses of public servers pass, however they are wrapped."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchlab.addresses import Address, is_loopback, is_public, parse_address, reached

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e", "64:ff9b::8.8.8.8",
    "::ffff:8.8.8.8",
]  # fmt: skip
INSIDE = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
    "64:ff9b::a9fe:a9fe", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::127.0.0.1", "100::1",
    "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2002:808:808::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
    "fec0::1", "ff02::1", "ff0e::1", "2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1",
    "2606:4700:4700::1111%eth0",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_server_passes(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", INSIDE)
def test_an_address_inside_the_network_does_not(text: str) -> None:
    assert not is_public(ip_address(text))


def unwrapped(address: Address) -> list[Address]:
    """Every address that hides in this one, by the standard library's own readings."""
    found = [address]
    if isinstance(address, IPv6Address):
        low = int(address) & 0xFFFFFFFF
        found += [inner for inner in (address.ipv4_mapped, address.sixtofour) if inner is not None]
        found += list(address.teredo or ())
        if int(address) >> 32 in (0, 0xFFFF0000, 0x0064FF9B << 64):
            found.append(IPv4Address(low))
    return found


wrappers = [
    lambda v4: IPv4Address(v4),
    lambda v4: IPv6Address(v4),
    lambda v4: IPv6Address(0xFFFF << 32 | v4),
    lambda v4: IPv6Address(0xFFFF << 48 | v4),
    lambda v4: IPv6Address(0x0064FF9B << 96 | v4),
    lambda v4: IPv6Address(0x0064FF9B0001 << 80 | v4),
    lambda v4: IPv6Address(0x2002 << 112 | v4 << 80 | 1),
    lambda v4: IPv6Address(0x20010000 << 96 | v4 << 64),
    lambda v4: IPv6Address(0x20010000 << 96 | v4 ^ 0xFFFFFFFF),
    lambda v4: IPv6Address(0x26064700 << 96 | 0x5EFE << 32 | v4),
]
any_v4 = st.one_of(
    st.integers(0, 2**32 - 1), st.ip_addresses(v=4).map(int),
    st.sampled_from(INSIDE[:22]).map(lambda t: int(IPv4Address(t)))
)  # fmt: skip
any_address = st.one_of(
    st.builds(lambda wrap, v4: wrap(v4), st.sampled_from(wrappers), any_v4),
    st.integers(0, 2**128 - 1).map(IPv6Address),
    st.ip_addresses(v=6),
)


@given(any_address)
@example(IPv6Address("64:ff9b::a9fe:a9fe"))
@example(IPv6Address("2002:a9fe:a9fe::1"))
def test_what_the_standard_library_does_not_call_global_never_passes(address: Address) -> None:
    if is_public(address):
        inner = reached(address)
        assert (
            inner.is_global and not inner.is_multicast and not inner.is_loopback and not inner.is_link_local
        )
        if inner == address:
            assert all(hidden.is_global and not hidden.is_multicast for hidden in unwrapped(address))


@given(any_address)
def test_nothing_is_loopback_and_public_at_once(address: Address) -> None:
    assert not (is_loopback(address) and is_public(address))


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_this_machine(text: str) -> None:
    assert is_loopback(ip_address(text))


@pytest.mark.parametrize(
    "text", ["0.0.0.0", "10.0.0.1", "169.254.169.254", "64:ff9b::127.0.0.1", "2002:7f00:1::", "fe80::1"]
)
def test_what_only_may_lead_to_this_machine_is_not_loopback(text: str) -> None:
    assert not is_loopback(ip_address(text))


@pytest.mark.parametrize(
    "text", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.01", "", "localhost", "1.2.3.4 "]
)
def test_an_odd_spelling_is_no_address(text: str) -> None:
    assert parse_address(text) is None
