"""The Docker engine of this machine: one that runs is used as it is, else one is started for the lab."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO

from lab.command import docker, missing_programs, output_of
from lab.errors import LabError
from lab.places import cache_directory
from lab.progress import step
from toolchain.cache import locked

PROGRAMS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "iptables": "iptables",
    "ip": "iproute2",
    "ssh": "openssh-client",
}
"""Programs the lab runs on this machine, and the Debian package of each."""

BUILDING = {
    "mmdebstrap": "mmdebstrap",
    "rpmbuild": "rpm",
    "rpmsign": "rpm",
    "createrepo_c": "createrepo-c",
    "gpg": "gnupg",
    "busybox": "busybox-static",
}
"""What making the prototype's userland and its 'internet' takes besides."""

START_SECONDS = 60.0


def install_programs(programs: Mapping[str, str]) -> None:
    """Install, with apt, the packages whose programs this machine lacks."""
    if not missing_programs(list(programs)):
        return
    # Of two labs that begin at once one would find apt's lists locked, and end.
    with locked(_engine_directory()):
        _install({programs[program] for program in missing_programs(list(programs))})


def _install(needed: Collection[str]) -> None:
    if not needed:
        return
    packages = sorted(needed)
    if os.geteuid() != 0:
        raise LabError(f"the lab needs root, and these packages: {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing {' '.join(packages)}"):
        output_of(["apt-get", "-q", "update"], environment=environment)
        install = ["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages]
        output_of(install, environment=environment)


def engine_answers() -> bool:
    """Whether a Docker engine answers on the socket that the docker command uses."""
    try:
        docker("version", "--format", "{{.Server.Version}}", timeout=10)
    except LabError:
        return False
    return True


def _engine_directory() -> Path:
    return cache_directory() / "engine"


def _pid_file() -> Path:
    return _engine_directory() / "dockerd.pid"


def _own_engine_pid() -> int | None:
    """The process id of the engine that a lab started, if it still runs."""
    try:
        pid = int(_pid_file().read_text())
        command_line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if str(_engine_directory() / "data").encode() in command_line else None


def ensure_engine() -> None:
    """Have an engine that answers; start one of the lab's own where none does."""
    if engine_answers():
        return
    directory = _engine_directory()
    # Two labs that begin at once would start two engines, and the second take the first one's pid file away.
    with locked(directory):
        if not engine_answers():
            _start_engine(directory)


def _start_engine(directory: Path) -> None:
    if _own_engine_pid() is None:
        # containerd's pid file outlives a kill; dockerd would then wait for a process that is not containerd.
        for stale in (_pid_file(), directory / "run" / "containerd" / "containerd.pid"):
            stale.unlink(missing_ok=True)
    with step("starting a Docker engine"):
        arguments = [
            "dockerd",
            "--data-root",
            str(directory / "data"),
            f"--exec-root={directory / 'run'}",
            f"--pidfile={_pid_file()}",
        ]
        with (directory / "dockerd.log").open("ab") as log:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not engine_answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"the Docker engine did not start; its log is {directory / 'dockerd.log'}")
            time.sleep(0.1)


@contextlib.contextmanager
def engine_in_use(*, start: bool = True) -> Iterator[None]:
    """Has an engine that answers, and keeps other labs from stopping it while the block runs.

    Without `start`, one is only had where a lab has started one before: what it still holds can be removed.
    """
    with _users() as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        if start or (_engine_directory() / "data").is_dir():
            ensure_engine()
        yield


def _users() -> IO[str]:
    _engine_directory().mkdir(parents=True, exist_ok=True)
    return (_engine_directory() / "users").open("a")


def stop_idle_engine() -> None:
    """Stop the engine if a lab started it and none has a host that runs, or is at work with it.

    Where one is at work, it is the one to call this next.
    """
    with _users() as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if not (engine_answers() and docker("container", "ls", "-q")):
            _stop_own_engine()


def _stop_own_engine() -> None:
    pid = _own_engine_pid()
    if pid is None:
        return
    with step("stopping the lab's Docker engine"):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + START_SECONDS
        while _own_engine_pid() is not None:
            if time.monotonic() > deadline:
                raise LabError(f"the Docker engine (process {pid}) did not end on SIGTERM")
            time.sleep(0.1)
