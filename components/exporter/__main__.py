"""The server: `python3 -m exporter SETTINGS`, started as root to reach the files, and nobody from then on."""

import http.server
import ipaddress
import json
import os
import pwd
import socket
import socketserver
import sys
from typing import Any, List, Mapping, Sequence

from .sources import Removed, Sources

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
UNPRIVILEGED = "nobody"


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Answers the allowed networks and this host. The firewall keeps others away; this does so without it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, networks: Sequence[str], sources: Sources) -> None:
        self.sources = sources
        self.removed = False
        self._networks: List[Any] = [ipaddress.ip_network(network) for network in networks]
        by_ipv6 = any(network.version == 6 for network in self._networks)
        self.address_family = socket.AF_INET6 if by_ipv6 else socket.AF_INET
        super().__init__(("::" if by_ipv6 else "0.0.0.0", port), Handler)

    def server_bind(self) -> None:
        """Binds to both IP versions where one of the networks is IPv6."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's, which asks a name server for this host's name.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "", self.server_address[1]

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether the client may ask at all."""
        address: Any = ipaddress.ip_address(client_address[0].partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return address.is_loopback or any(
            address.version == network.version and address in network for network in self._networks
        )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    """/metrics, and nothing else."""

    server: Server
    timeout = 10

    def do_GET(self) -> None:  # the base class's name
        """The metrics of this moment."""
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404, "Metrics are at /metrics")
            return
        try:
            body = self.server.sources.text().encode()
        except Removed:
            self.server.removed = True
            self.send_error(503, "Starting again")
            self.server.shutdown()
            return
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def version_string(self) -> str:
        """Not which Python this is."""
        return "registry-cache"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: a line for each scrape would bury the journal."""


def open_all(settings: Mapping[str, Any]) -> Server:
    """What needs root. Raises OSError."""
    sources = Sources(settings["metrics"], settings["registries"])
    return Server(settings["port"], settings["networks"], sources)


def give_up_root() -> None:
    """From here on this process may do what nobody may, and read what it has opened."""
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam(UNPRIVILEGED)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.chdir("/")


def main(settings_file: str) -> int:
    """Serves until it is told to stop, or a directory was replaced: then systemd starts it again."""
    with open(settings_file) as file:
        settings = json.load(file)
    try:
        server = open_all(settings)
    except OSError as error:
        print("{}: {}".format(error.filename or "port {}".format(settings["port"]), error.strerror))
        return 1
    give_up_root()
    server.serve_forever()
    return 1 if server.removed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
