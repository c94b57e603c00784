"""One read-only SSH session for each host, all at once, and what came of it."""

from __future__ import annotations

import base64
import binascii
import gzip
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from components.lib.remote import HostFailed, Remote, ask_all
from components.stack_hosts import StackHosts

SESSION_SECONDS = 90


@dataclass(frozen=True)
class Answers:
    """What a host said. Question by question, ``said`` is the answer and ``failed`` what went wrong.

    ``ahead`` is how far its clock is before this machine's, in seconds.
    """

    said: Mapping[str, str]
    failed: Mapping[str, str]
    ahead: float = 0.0


def ask(hosts: StackHosts, since: float) -> dict[str, Answers | HostFailed]:
    """Every host's answers by its name, or why it gave none."""
    settings = hosts.settings
    places = {
        mirror.name: settings.data_directory(mirror, settings.upstreams[0]) for mirror in settings.mirrors
    }

    def one(host: Remote) -> Answers:
        roles = [
            role
            for role, those in (("mirror", hosts.mirrors), ("client", hosts.clients))
            if host.name in those
        ]
        begin = time.time()
        text = host.feed("status.sh", [str(int(since)), places.get(host.name, "/"), *roles], SESSION_SECONDS)
        return understood(text, host.name, begin, time.time())

    return ask_all(hosts.all, one)


def understood(text: str, name: str, begin: float, end: float) -> Answers:
    """The answers in what status.sh printed between two moments of this machine's clock.

    Raises HostFailed where it is something else.
    """
    said: dict[str, str] = {}
    failed: dict[str, str] = {}
    try:
        for line in text.splitlines():
            question, answer = line.split(" ")
            words = gzip.decompress(base64.b64decode(answer[1:], validate=True)).decode(errors="replace")
            complaints = [part[1:] for part in words.splitlines() if part.startswith("!")]
            rest = [part for part in words.splitlines() if not part.startswith("!")]
            if answer[0] == "+":
                said[question] = "\n".join(rest)
            else:
                failed[question] = "; ".join([*complaints, *rest]) or "it said nothing"
        now = float(said["now"])
    except (ValueError, KeyError, IndexError, EOFError, OSError, binascii.Error, zlib.error):
        raise HostFailed(f"{name}: status.sh answered something else: {text[:200]!r}") from None
    # What lies between the two moments needs no clock that goes wrong.
    return Answers(said, failed, max(0.0, now - end) + min(0.0, now - begin))
