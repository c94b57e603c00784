"""The way from a mirror to a server: straight, or through the proxy that the caches use."""

import contextlib
import http.client
import ipaddress
import select
import socket
import ssl
import threading
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

SECONDS = 10.0
"""For each wait on the network."""
LARGEST_ANSWER = 1 << 20
PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5


class Proxies(NamedTuple):
    """What the caches' environment says: URLs, and the names, domains and networks reached without them."""

    http: Optional[str]
    https: Optional[str]
    exceptions: Sequence[str]

    def serving(self, url: SplitResult) -> Optional[SplitResult]:
        """The proxy for a URL, or None."""
        proxy = self.https if url.scheme == "https" else self.http
        if not proxy or self._excepted(url.hostname or "", url.port or PORTS[url.scheme]):
            return None
        return urlsplit(proxy)

    def _excepted(self, host: str, port: int) -> bool:
        # As golang.org/x/net/http/httpproxy reads NO_PROXY, since a cache's registry does.
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            address = None
        if host == "localhost" or (address is not None and address.is_loopback):
            return True
        return any(_matches(exception.strip().lower(), host, address, port) for exception in self.exceptions)


def _matches(exception: str, host: str, address: Any, port: int) -> bool:
    if exception == "*":
        return True
    if address is not None:
        with contextlib.suppress(ValueError):
            return address in ipaddress.ip_network(exception, strict=False)
    name, _, only_port = exception.partition(":") if exception.count(":") == 1 else (exception, "", "")
    if only_port and only_port != str(port):
        return False
    if name.startswith("*."):
        name = name[1:]
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith("." + name)


class Response(NamedTuple):
    """An answer, with all of its body. The names of ``headers`` are in any case; ``url`` is whose it is."""

    status: int
    headers: Any
    body: bytes
    url: str


class Way:
    """Requests by one upstream's way: its proxies, and the certificates that it is trusted by."""

    def __init__(self, proxies: Proxies, ca: Optional[str]) -> None:
        self._proxies = proxies
        self._trusted = ssl.create_default_context()
        if ca is not None:
            self._trusted.load_verify_locations(cafile=ca)

    def request(self, method: str, address: str, headers: Dict[str, str]) -> Response:
        """Follows redirects, as a registry does: registry.k8s.io has no image itself.

        Raises OSError, http.client.HTTPException, or for a certificate ValueError (Python 3.6).
        """
        response = self._request_once(method, address, headers)
        for _ in range(MOST_REDIRECTS):
            onward = _onward(response)
            if onward is None:
                break
            if _place(urlsplit(onward)) != _place(urlsplit(response.url)):
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            response = self._request_once(method, onward, headers)
        return response

    def _request_once(self, method: str, address: str, headers: Dict[str, str]) -> Response:
        url = urlsplit(address)
        proxy = self._proxies.serving(url)
        host, port = _place(proxy or url)
        connection: http.client.HTTPConnection
        if url.scheme == "https":
            connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=self._trusted)
            if proxy is not None:
                connection.set_tunnel(*_place(url))
        else:
            connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
        if proxy is not None and proxy.scheme == "https":
            # The one hook that http.client has for how a connection comes about.
            connection._create_connection = self._dial_secured  # type: ignore[attr-defined]  # noqa: SLF001
        path = (url.path or "/") + ("?" + url.query if url.query else "")
        try:
            connection.request(method, address if proxy and url.scheme == "http" else path, headers=headers)
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read(LARGEST_ANSWER), address)
        finally:
            connection.close()

    def _dial_secured(self, place: Tuple[str, int], *rest: Any) -> socket.socket:
        # TLS inside of TLS: the ssl module secures real sockets only, so the inner one gets a pair.
        outer = self._trusted.wrap_socket(socket.create_connection(place, SECONDS), server_hostname=place[0])
        near, far = socket.socketpair()
        near = _End(fileno=near.detach())
        near.settimeout(SECONDS)
        threading.Thread(target=_pass_on, args=(far, outer), daemon=True).start()
        return near


class _End(socket.socket):
    """One of a pair of sockets, for http.client, which sets options that only TCP has."""

    def setsockopt(self, *option: Any) -> None:
        """Nothing."""


def _onward(response: Response) -> Optional[str]:
    """Where a redirect leads, if it is one and leads to where a request may go."""
    location = response.headers.get("Location")
    if response.status not in REDIRECTS or not location:
        return None
    onward = urljoin(response.url, quote(location, safe="%/:?#[]@!$&'()*+,;=~"))
    schemes = ("https",) if urlsplit(response.url).scheme == "https" else ("http", "https")
    return onward if urlsplit(onward).scheme in schemes and urlsplit(onward).hostname else None


def _place(url: SplitResult) -> Tuple[str, int]:
    return url.hostname or "", url.port or PORTS[url.scheme]


def _pass_on(inner: socket.socket, outer: ssl.SSLSocket) -> None:
    """Both ways, until one of them ends. By one thread: OpenSSL does not read and write at the same time."""
    with inner, outer, contextlib.suppress(OSError):
        while True:
            ready, _, _ = select.select((inner, outer), (), ())
            if inner in ready:
                outer.settimeout(SECONDS)
                outer.sendall(_some(inner))
            if outer in ready:
                # What came may be no data but TLS' own; of data, some may wait where select does not look.
                outer.settimeout(0)
                with contextlib.suppress(ssl.SSLWantReadError):
                    while True:
                        inner.sendall(_some(outer))


def _some(source: socket.socket) -> bytes:
    data = source.recv(1 << 14)
    if not data:
        raise ConnectionResetError
    return data
