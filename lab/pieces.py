"""What the lab's images are made of: a table of pieces, each a build script with its inputs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.hosts import HostSpec
from lab.places import SOURCES
from lab.userland import Userland


@dataclass(frozen=True)
class Piece:
    """One build step. `sources` are paths below lab/images; `needs` are built before.

    The script finds its output folder in OUT, its image tag in IMAGE, lab/images in SOURCES, its name in
    PIECE, and for each need its folder and image tag in NAME and NAME_IMAGE, NAME being the need's name up to
    a hyphen. `settings` are further variables. `suffixes` end the tags of the images that the script makes.
    """

    name: str
    script: str
    sources: tuple[str, ...]
    needs: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    def digest(self, ids_of_needs: Sequence[str]) -> str:
        """Changes with all that goes into the piece: sources, settings, and each need as it was built."""
        hashed = hashlib.sha256()
        for source in sorted(self.sources):
            for file in _files(SOURCES / source):
                hashed.update(f"{file.relative_to(SOURCES)} {file.stat().st_mode & 0o111}\n".encode())
                hashed.update(hashlib.sha256(file.read_bytes()).digest())
        hashed.update(repr((self.name, self.script, self.settings, tuple(ids_of_needs))).encode())
        return hashed.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def _piece(name: str, *needs: str, also: tuple[str, ...] = (), suffixes: tuple[str, ...] = ("",)) -> Piece:
    return Piece(name, f"{name}/build.sh", (name, *also), needs, suffixes)


SHARED = (
    _piece("debs", suffixes=()),
    _piece("pki", suffixes=()),
    _piece("base"),
    _piece("services", also=("base/build.sh",)),
    _piece("packages", "debs", suffixes=()),
    _piece("registry", "debs", "pki", suffixes=("-2", "-3")),
    _piece("internet", "services", "packages", "pki"),
    _piece("upstream", "services", "registry", "pki"),
    Piece(
        name="host",
        script="host/build.sh",
        sources=("host/build.sh", "host/Dockerfile", "host/turn-into-el.sh", "host/files"),
        needs=("base", "packages", "pki"),
        suffixes=("",),
    ),
)
"""The pieces that every lab needs, needs first."""


def host_pieces(spec: HostSpec) -> tuple[Piece, ...]:
    """The image of one kind of host, last, after what it needs; hosts that differ only in name share it."""
    settings = {
        "RELEASE": spec.release,
        "FIREWALL": spec.firewall,
        "DOCKER": spec.docker or "none",
        "IPTABLES_PLACE": spec.iptables_place,
    }
    variant = Piece(
        name="-".join(["host", *settings.values()]),
        script="host/variant.sh",
        sources=("host/variant.sh", "host/variant.Dockerfile", "host/choose-variant.sh", "host/releases"),
        needs=("host", "packages"),
        suffixes=("",),
        settings=tuple(settings.items()),
    )
    light = Piece("light", "light/build.sh", ("light",), (variant.name,), ("",))
    return (variant, light) if spec.light else (variant,)


def real_host_pieces(spec: HostSpec, userland: Userland) -> tuple[Piece, ...]:
    """The image of one kind of host on a real userland; it is made of nothing of ours but a few files."""
    if spec.light or spec.release != HostSpec.release:
        raise LabError(f"{spec.name} is a host of the prototype's userland alone, for what that makes of it")
    settings = {
        "BASE_IMAGE": userland.image,
        "FIREWALL": spec.firewall,
        "DOCKER": spec.docker or "none",
        "IPTABLES_PLACE": spec.iptables_place,
    }
    kind = "-".join([spec.firewall, spec.docker or "none", spec.iptables_place])
    return (
        Piece(
            name=f"real-{userland.name}-{kind}",
            script="real/build.sh",
            sources=("real", "host/files"),
            suffixes=("",),
            settings=tuple(settings.items()),
        ),
    )
