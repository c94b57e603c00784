"""The hosts of the bench: a lab of its own, blank at every begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab import Lab
from lab.command import docker
from tests.bench.job import Job, Machine

MIRROR = "mirror-1"
MIRROR_NAME = "mirror.bench.test"
"""A second way to write the mirror's address, for the step that changes a line on all clients."""


@dataclass(frozen=True)
class Scale:
    """How many hosts: the mirror and these clients of the lab's catalogue."""

    title: str
    clients: tuple[str, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """All hosts, the mirror first."""
        return (MIRROR, *self.clients)


def light(count: int) -> Scale:
    """One real mirror, and `count` clients whose Docker is a stand-in."""
    return Scale(f"1 mirror and {count} light clients", tuple(f"light-{n}" for n in range(1, count + 1)))


def scale_named(name: str) -> Scale:
    """`dev`, or a number of light clients."""
    if name == "dev":
        return Scale("1 mirror and 3 clients", ("client-1", "client-2", "client-3"))
    return light(int(name))


class BenchLab:
    """The lab named `bench`."""

    def __init__(self, state: Path) -> None:
        self._lab = Lab("bench", state)

    def blank(self, scale: Scale) -> None:
        """Has exactly this scale's hosts, all new."""
        self._lab.down()
        self._lab.up(scale.hosts)
        line = f"{self._lab.host(MIRROR).address} {MIRROR_NAME}\n"
        for name in scale.hosts:
            self._lab.host(name).run("cat >>/etc/hosts", line)

    def down(self) -> None:
        """Removes the hosts."""
        self._lab.down()

    def settings(self, scale: Scale) -> dict[str, object]:
        """The program's configuration for these hosts."""
        return self._lab.stack([MIRROR], list(scale.clients))

    def job(self, scale: Scale, directory: Path) -> Job:
        """The same job, for the others."""
        machines = [
            Machine(host.name, host.address, host.host_key) for host in map(self._lab.host, scale.hosts)
        ]
        settings = self.settings(scale)
        verification = settings["verification"]
        assert isinstance(verification, dict)
        return Job(
            directory=directory,
            private_key_file=self._lab.private_key_file,
            mirror=machines[0],
            clients=machines[1:],
            networks=self._lab.network.allowed,
            registry=self._lab.registry_images["3"],
            image=str(verification["image"]),
            mirror_name=MIRROR_NAME,
        )

    def connections(self, scale: Scale) -> int:
        """How many TCP connections these hosts have accepted so far: SSH, but for the mirror's own registry.

        That one is reached by DNAT, past the host's own sockets.
        """
        return sum(self._accepted(name) for name in scale.hosts)

    def _accepted(self, name: str) -> int:
        pid = docker("inspect", "-f", "{{.State.Pid}}", self._lab.host(name).container)
        lines = Path(f"/proc/{pid}/net/snmp").read_text().splitlines()
        keys, values = (line.split() for line in lines if line.startswith("Tcp:"))
        return int(values[keys.index("PassiveOpens")])
