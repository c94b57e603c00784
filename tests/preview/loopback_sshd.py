"""A real OpenSSH server on the loopback interface, for tests that need a host but no lab."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

STOCK = """
AuthorizedKeysFile {directory}/authorized_keys
HostKey {directory}/host_key
ListenAddress 127.0.0.1
LogLevel DEBUG1
PasswordAuthentication no
PidFile none
Port {port}
StrictModes no
Subsystem sftp internal-sftp
UsePAM no
"""
"""What it takes to run sshd as oneself; the rest is sshd's default, above all AcceptEnv (nothing)."""


def make_key(file: Path, passphrase: str = "") -> str:
    """Makes a key pair; returns the public key."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", str(file)]
    subprocess.run(command, check=True)
    return file.with_suffix(".pub").read_text().strip()


@dataclass
class LoopbackSshd:
    """One running sshd; the user that runs the tests can log in with its key."""

    directory: Path
    port: int
    host_key: str
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, directory: Path, rules: str = "") -> LoopbackSshd:
        """Starts one with keys of its own. `rules` go before the stock configuration."""
        if SSHD is None:
            raise AssertionError("no sshd on this machine: install OpenSSH's server (openssh-server)")
        directory.mkdir(parents=True)
        if os.geteuid() == 0:
            # sshd started by root insists on its privilege separation directory, which init makes elsewhere
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        host_key = make_key(directory / "host_key")
        (directory / "authorized_keys").write_text(make_key(directory / "login_key") + "\n")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        server = cls(directory, port, host_key, cls._run(directory, port, rules))
        server._wait_ready()
        return server

    @staticmethod
    def _run(directory: Path, port: int, rules: str) -> subprocess.Popen[bytes]:
        (directory / "config").write_text(rules + STOCK.format(directory=directory, port=port))
        command = [str(SSHD), "-D", "-f", str(directory / "config"), "-E", str(directory / "log")]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def _wait_ready(self) -> None:
        while "Server listening" not in self.log():
            if self.process.poll() is not None:
                raise AssertionError(f"sshd did not start:\n{self.log()}")
            time.sleep(0.02)

    def log(self) -> str:
        """All that this server logged."""
        file = self.directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def connections(self) -> int:
        """How many connections were made so far."""
        return self.log().count("Connection from 127.0.0.1")

    def connection(self, **changes: Any) -> dict[str, Any]:
        """The `connection` input for this server; `changes` replace its parts, None takes one out."""
        whole = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "privateKey": (self.directory / "login_key").read_text(),
            "hostKey": self.host_key,
            **changes,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def stop(self) -> None:
        """Ends the server; connections that are open stay."""
        self.process.terminate()
        self.process.wait()
