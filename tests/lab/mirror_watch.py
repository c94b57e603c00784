"""What a mirror looks like from another host: does it answer, and was it ever open to a stranger."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.machine import LabHost

TIMED_OUT = 28
"""curl's exit code where nothing came back: a firewall drops what arrives."""

# A connection every 10 ms, each given a second: a gap of one packet's length is seen.
_PROBE = """
import select, socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
waiting, opened, tried = {}, 0, 0
while not select.select([sys.stdin], [], [], 0.01)[0]:
    attempt = socket.socket(family)
    attempt.setblocking(False)
    attempt.connect_ex((sys.argv[1], int(sys.argv[2])))
    waiting[attempt] = time.monotonic()
    tried += 1
    done = [s for s in select.select([], list(waiting), [], 0)[1]]
    opened += sum(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 for s in done)
    for s in done + [s for s, since in waiting.items() if since < time.monotonic() - 1]:
        if s in waiting:
            del waiting[s]
            s.close()
print(opened, tried)
"""


def status_of(host: LabHost, url: str, *, seconds: int = 60) -> str:
    """The HTTP status that a host gets from a URL; tries again while nobody answers there."""
    retry = f"--retry-all-errors --retry {seconds} --retry-delay 1 --retry-max-time {seconds}"
    question = f"curl -gsk --connect-timeout 3 --max-time 10 {retry} -o /dev/null -w '%{{http_code}}'"
    return host.run(f"{question} {url}").stdout


def ways_in(host: LabHost, urls: Sequence[str]) -> list[str]:
    """Those of the URLs that something comes back from, be it a refusal."""
    each = [f"{{ curl -gsk --max-time 2 -o /dev/null {url}; echo $? {url}; }} &" for url in urls]
    answers = [line.split() for line in host.run(" ".join([*each, "wait"])).stdout.splitlines()]
    assert sorted(url for _, url in answers) == sorted(urls)
    return [url for code, url in answers if int(code) != TIMED_OUT]


@dataclass
class Watch:
    """How many connections came about, of how many that were tried; filled in when the watch ends."""

    opened: int = field(default=-1)
    tried: int = field(default=-1)


@contextmanager
def watching(host: LabHost, address: str, port: int) -> Iterator[Watch]:
    """Tries to connect from a host, all the time, while the block runs."""
    watch = Watch()
    command = [*host.ssh_command(), f"python3 -c '{_PROBE}' {address} {port}"]
    probe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield watch
    finally:
        answer, _ = probe.communicate("stop\n", timeout=30)
    opened, tried = answer.split()
    watch.opened, watch.tried = int(opened), int(tried)
