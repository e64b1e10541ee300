"""Which network addresses a stranger's URL may lead to: public ones, judged by what a packet would reach.

`ipaddress` alone is not enough (Python 3.11): `is_private` is False for 100.64.0.0/10, and `is_global` is
True for NAT64, 6to4, v4-compatible and multicast addresses. So an IPv6 address that carries an IPv4 one is
judged by that, and whole ranges that no public server has are refused by name.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# Source: IANA IPv4 and IPv6 Special-Purpose Address Registries, and what the clouds put elsewhere.
_REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata is 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent, a public address that every machine there reaches
        "169.254.0.0/16",  # link-local: 169.254.169.254 and 169.254.170.2 hand out credentials
        "172.16.0.0/12",
        "192.0.0.0/24",  # 192.0.0.192 is Oracle's metadata
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")  # the only block that public servers have addresses from
_REFUSED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo (2001::/32), benchmarking, ORCHID: tunnels and identifiers, not servers
        "2001:db8::/32",
        "2002::/16",  # 6to4 wraps any IPv4 address
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # DNS64 networks reach public IPv4 servers through it (RFC 6052)


@lru_cache(maxsize=256)  # of the hosts of one job
def parse_address(text: str) -> Address | None:
    """The address that `text` spells in its standard form, or None; "127.1" and "0x7f000001" are no addresses."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def reached(address: Address) -> Address:
    """What a packet to `address` reaches: the IPv4 address inside a v4-mapped or NAT64 one, else itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if IPv6Address(int(address)) in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether a stranger's URL may lead there; an address with a zone ("fe80::1%eth0") never may."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    inner = reached(address)
    if isinstance(inner, IPv4Address):
        return inner.is_global and not any(inner in network for network in _REFUSED_V4)
    if inner not in _GLOBAL_V6 or any(inner in network for network in _REFUSED_V6):
        return False
    # ISATAP: the last 64 bits are 0000:5efe or 0200:5efe and an IPv4 address.
    isatap = (int(inner) >> 32) & 0xFDFFFFFF == 0x5EFE
    return inner.is_global and not inner.is_multicast and not isatap


def is_loopback(address: Address) -> bool:
    """Whether it is this machine itself: 127.0.0.0/8 or ::1, v4-mapped or not."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
