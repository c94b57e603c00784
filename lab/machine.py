"""One host of a lab, as seen from the machine that the lab stands on."""

import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.command import docker
from lab.errors import LabError
from lab.hosts import HostSpec

READY_SECONDS = 90.0


@dataclass(frozen=True)
class Completed:
    """What a command on a host answered."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class LabHost:
    """A host: `run` logs in as its user over SSH, with its host key verified.

    Attributes:
        host_key: its public host key, `ssh-ed25519 AAAA…`.
        jump: the host through which alone it is reached, or None.
    """

    spec: HostSpec
    container: str
    address: str
    address6: str
    host_key: str
    private_key_file: Path
    known_hosts_file: Path
    jump: "LabHost | None" = None

    @property
    def name(self) -> str:
        """Its name in the lab; `NAME.lab.test` resolves on all hosts of the lab."""
        return self.spec.name

    @property
    def dns_name(self) -> str:
        """The name by which other hosts of the lab find it."""
        return f"{self.spec.name}.lab.test"

    def ssh_command(self) -> list[str]:
        """The ssh command line up to the remote command, host key pinned."""
        options: Mapping[str, str] = {
            "IdentityFile": f'"{self.private_key_file}"',
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": f'"{self.known_hosts_file}"',
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": "5",
            "LogLevel": "ERROR",
        }
        argv = ["ssh", "-F", "none"]
        for key, value in options.items():
            argv += ["-o", f"{key}={value}"]
        if self.jump is not None:
            through = [*self.jump.ssh_command()[:-1], "-W", "%h:%p", self.jump.ssh_command()[-1]]
            argv += ["-o", f"ProxyCommand={shlex.join(through)}"]
        return [*argv, f"{self.spec.user}@{self.address}"]

    def run(
        self, command: str, stdin: str | bytes | None = None, *, check: bool = True, timeout: float = 120
    ) -> Completed:
        """Run `command` in the login shell of the host's user; with `check`, a failure raises LabError."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        try:
            done = subprocess.run(
                [*self.ssh_command(), command],
                input=data,
                stdin=subprocess.DEVNULL if data is None else None,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.name}: `{command}` did not end within {timeout:.0f} s") from error
        answer = Completed(
            done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if check and answer.code != 0:
            words = (answer.stderr + answer.stdout).strip() or "(it said nothing)"
            raise LabError(f"{self.name}: `{command}` failed with exit code {answer.code}:\n{words}")
        return answer

    def read(self, path: str) -> bytes:
        """The bytes of a file on the host, whoever owns it."""
        argv = ["docker", "exec", self.container, "cat", path]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            raise LabError(f"{self.name}: {path}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def stop(self) -> None:
        """Shut the host down."""
        docker("stop", "-t", "10", self.container)

    def start(self) -> None:
        """Boot the host and wait until it is ready; its files and addresses are as they were."""
        docker("start", self.container)
        self.wait_ready()

    def reboot(self) -> None:
        """Shut the host down, boot it, and wait until it is ready."""
        self.stop()
        self.start()

    def _require_running(self) -> None:
        if docker("container", "inspect", "-f", "{{.State.Running}}", self.container) == "true":
            return
        last = docker("logs", "--tail", "5", self.container).strip()
        raise LabError(
            f"{self.name} ended while it booted. All hosts on a machine share its inotify instances (sysctl "
            "fs.inotify.max_user_instances): too many may stand, see `python -m lab status`; remove those "
            f"that nobody needs. Its last words: {last or '(none)'}"
        )

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Wait until SSH logs in and the boot is over; LabError after `timeout` seconds."""
        check = "systemctl is-system-running"
        deadline = time.monotonic() + timeout
        answer = Completed(255, "", "")
        while time.monotonic() < deadline:
            answer = self.run(check, check=False)
            if answer.code == 0 or answer.stdout.strip() == "degraded":
                return
            self._require_running()
            time.sleep(0.1)
        raise LabError(
            f"{self.name} is not ready after {timeout:.0f} s: {(answer.stdout + answer.stderr).strip()}"
        )
