"""The SSH host keys that a machine shows to whoever asks, for a person to confirm."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence

from components.lib import ssh_keys, ssh_options
from components.lib.ssh_options import Login

SECONDS = 10


class NoHostKey(Exception):
    """A machine that showed none; the text says which, and what to do."""


def shown_by(address: str, port: int, through: Login | None = None) -> Sequence[str]:
    """The keys of a machine as "type base64", the one to pin first.

    `through` is the jump host, which then does the asking. Nobody vouches for what is shown.
    """
    command = ["ssh-keyscan", "-T", str(SECONDS), "-p", str(port), address]
    if through is not None:
        # An own login there, not a forwarded connection: ssh-keyscan knows no proxies.
        command = ["ssh", *ssh_options.arguments(through), through.destination, shlex.join(command)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=6 * SECONDS, check=False)
    except FileNotFoundError:
        raise NoHostKey("ssh-keyscan is not installed here: install OpenSSH's client.") from None
    except subprocess.TimeoutExpired:
        raise NoHostKey(f"{address}, port {port}, gives no answer within {6 * SECONDS} s.") from None
    keys = list(_keys(done.stdout))
    if not keys:
        said = "".join(
            f" {line}" for line in done.stderr.splitlines()[-1:] if not line.lstrip().startswith("#")
        )
        way = f" from {through.address}" if through else ""
        raise NoHostKey(
            f"{address}, port {port}, shows no host key{way}. Check the address, that sshd runs there,"
            f" and that the way is open.{said}"
        )
    return sorted(keys, key=lambda key: ssh_keys.PREFERENCE.index(key.split()[0]))


def _keys(listing: str) -> Sequence[str]:
    keys: list[str] = []
    for line in listing.splitlines():
        words = line.split()
        if len(words) < 3 or line.startswith("#"):
            continue
        try:
            keys.append(ssh_keys.read_host_key(" ".join(words[1:3])))
        except ssh_keys.KeyProblem:
            # Of a kind, or so weak, that it cannot be pinned; another one may do.
            continue
    return keys
