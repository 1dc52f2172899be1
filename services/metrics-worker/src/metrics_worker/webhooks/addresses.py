"""The addresses that a webhook may have: public ones only, checked on registration and again on connection."""

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import httpcore

_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE
)
_URL: Final = re.compile(r"[!-\[\]-~]{1,2000}")  # printable ASCII without the backslash, which parsers disagree about
_BRACKETED: Final = re.compile(r"\[[0-9a-fA-F:.]+\](:[0-9]*)?")
_CARRIERS: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))
"""IPv6 addresses that end in an IPv4 address and lead to it."""
_PUBLIC: Final = IPv6Network("2000::/3")
"""The assigned part of IPv6. Python also calls the former site-local addresses outside of it global."""


class AddressRefused(Exception):
    """The address is not allowed; the message gives its owner the reason."""


def check_address(url: str, *, allow_loopback: bool) -> None:
    """Raise `AddressRefused` for what is wrong without asking a name server.

    `allow_loopback`, for tests and the local stack, also takes plain HTTP, and this machine.
    """
    if not _URL.fullmatch(url):
        raise AddressRefused("must be printable ASCII without spaces, 2,000 characters at most")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise AddressRefused("has brackets that hold no IPv6 address") from None
    if parts.scheme != "https" and not (allow_loopback and parts.scheme == "http"):
        raise AddressRefused("must begin with https://")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise AddressRefused("must not carry credentials")
    if "#" in url:
        raise AddressRefused("must not have a fragment")
    _check_port(parts)
    host = parts.hostname or ""
    if ("[" in parts.netloc or "]" in parts.netloc) and not _BRACKETED.fullmatch(parts.netloc):
        raise AddressRefused("has brackets that hold no IPv6 address")
    try:
        address = ip_address(host)
    except ValueError:
        # Also what only some resolvers take for an address: 2130706433, 0177.0.0.1, 0x7f.1.
        if not _NAME.fullmatch(host):
            raise AddressRefused("must name a host with its domain, or a public IP address") from None
    else:
        check_ip(address, allow_loopback=allow_loopback)


def _check_port(parts: SplitResult) -> None:
    try:
        port = parts.port
    except ValueError:
        raise AddressRefused("has a port that does not exist") from None
    if port == 0:
        raise AddressRefused("has a port that does not exist")


def check_ip(address: IPv4Address | IPv6Address, *, allow_loopback: bool) -> None:
    """Raise `AddressRefused` unless the address is public. Whatever carries an IPv4 address within is refused."""
    if allow_loopback and address.is_loopback:
        return
    beyond = isinstance(address, IPv6Address) and address not in _PUBLIC
    if beyond or not address.is_global or address.is_multicast or address.is_reserved or _carries_ipv4(address):
        raise AddressRefused("must not lead to a private, local or reserved address")


def _carries_ipv4(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return False
    tunnelled = address.ipv4_mapped or address.sixtofour or address.teredo
    return tunnelled is not None or any(address in network for network in _CARRIERS)


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the very address that it has checked: the name may resolve to another the next time."""

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- the interface's
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to the host. Raise `AddressRefused` when any of its addresses is not allowed."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"no address is known: {error}") from error
        addresses = [ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
        for address in addresses:
            check_ip(address, allow_loopback=self._allow_loopback)
        return await self._network.connect_tcp(str(addresses[0]), port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await self._network.sleep(seconds)
