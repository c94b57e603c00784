"""A stack of the project's own program on the lab, and what its tests look at on the hosts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import Lab
from lab.machine import LabHost
from tests.pulumi_project import Project, Result

ROOT = Path(__file__).resolve().parent.parent.parent
HUB = "docker.io/library"

# Everything that an operator would call the host's configuration, and what the program itself keeps.
WATCHED = ("/etc", "/usr/lib/systemd", "/var/lib/registry-cache", "/usr/local", "/root", "/var/tmp")
# What the system or a login writes by itself.
UNSTEADY = ("/etc/mtab", "/root/.docker", "/root/.bash_history", "/etc/resolv.conf")


@dataclass(frozen=True)
class Stage:
    """A stack on the lab. `settings` are the sections of its configuration."""

    lab: Lab
    project: Project
    settings: dict[str, Any]

    @classmethod
    def of(
        cls,
        lab: Lab,
        directory: Path,
        plugins: Path,
        mirrors: Sequence[str],
        clients: Sequence[str],
        **sections: object,
    ) -> Stage:
        """A new stack, not brought up; `sections` replace whole sections of the lab's own."""
        settings = {**lab.stack(mirrors, clients), **sections}
        project = Project.of_clone(directory, plugins, ROOT, _keys(settings))
        return cls(lab, project, settings)

    def set(self, **sections: object) -> None:
        """Replaces whole sections of the configuration."""
        self.settings.update(sections)
        self.project.configure(_keys(self.settings))

    def pull_as_proof(self, image: str) -> None:
        """Has the next `up` prove itself by another image."""
        self.set(verification={"image": image})

    def up(self, *, check: bool = True) -> Result:
        """`pulumi up`."""
        return self.project.up(check=check)

    def changes(self) -> dict[str, str]:
        """What a preview would do, by resource name, without what stays the same."""
        return {
            step["urn"].rsplit("::", 1)[-1]: step["op"]
            for step in self.project.planned()
            if step["op"] not in {"same", "read"}
        }


def _keys(settings: Mapping[str, object]) -> dict[str, object]:
    return {f"registry-cache:{key}": value for key, value in settings.items()}


def entry(lab: Lab, name: str) -> dict[str, Any]:
    """A host as the configuration lists it."""
    clients: Any = lab.stack([], [name])["clients"]
    return dict(clients[0])


def files_of(host: LabHost, places: Sequence[str] = WATCHED) -> dict[str, str]:
    """Every file, link and directory below `places`: type, mode, owner, and content or target."""
    there = " ".join(shlex.quote(place) for place in places)
    left_out = " ".join(f"! -path {place} ! -path '{place}/*'" for place in UNSTEADY)
    listing = host.run(
        f"sudo find {there} {left_out} -printf '%p\\t%y %m %u:%g %l\\n' 2>/dev/null; true"
    ).stdout
    sums = host.run(
        f"sudo find {there} {left_out} -type f -exec sha256sum {{}} + 2>/dev/null; true", timeout=240
    ).stdout
    content = {path: digest for digest, path in (line.split("  ", 1) for line in sums.splitlines())}
    found = dict(line.split("\t", 1) for line in listing.splitlines())
    return {path: f"{about} {content.get(path, '')}".strip() for path, about in found.items()}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """What is not as before, by path."""
    return {
        path: f"{before.get(path, 'was not there')} -> {after.get(path, 'is gone')}"
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    }


def live_mirrors(host: LabHost) -> list[str]:
    """The mirrors that the running Docker has, without a slash at the end."""
    answer = host.run("sudo docker info -f '{{json .RegistryConfig.Mirrors}}'").stdout
    return [url.rstrip("/") for url in json.loads(answer) or []]


def process_of(host: LabHost, container: str) -> str:
    """When a container was started, and as which process: another pair means a restart."""
    return host.run(f"docker inspect -f '{{{{.State.StartedAt}}}} {{{{.State.Pid}}}}' {container}").stdout


def run_container(host: LabHost, name: str) -> str:
    """Starts somebody's container, and gives its process."""
    host.run(f"docker rm -f {name} >/dev/null 2>&1; docker run -d --name {name} {HUB}/redis:latest")
    return process_of(host, name)


def reload_docker(host: LabHost, mirrors: Sequence[str]) -> None:
    """Has Docker read its daemon.json, and waits until it has these mirrors."""
    host.run("systemctl reload docker")
    shown = json.dumps(list(mirrors)) if mirrors else "[]"
    host.run(
        f"for try in $(seq 150); do got=$(docker info -f '{{{{json .RegistryConfig.Mirrors}}}}'); "
        f'[ "$(echo "$got" | sed \'s,/",",g; s,null,[],\')" = {shlex.quote(shown.replace(", ", ","))} ]'
        ' && exit 0; sleep 0.2; done; echo "mirrors: $got" >&2; exit 1'
    )
