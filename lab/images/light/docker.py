#!/usr/bin/python3
"""A stand-in for the docker command on light hosts: what is configured, and pulls that keep nothing.

It knows what the program asks of a client (`info -f`, `pull`, `image inspect`, `image rm`), and refuses the
rest. As a client of Docker 28 does, it trusts the CA in /etc/docker/certs.d/HOST:PORT/, and pulls from the
first mirror that serves the image. It has no fallback to Docker Hub: a pull that goes past the mirrors fails.
"""

import hashlib
import json
import re
import ssl
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

VERSION = "28.5.2"
DRIVER_STATUS = "[[Backing Filesystem extfs] [Supports d_type true]]"
LIVE = Path("/run/docker/daemon.json")
"""What dockerd's stand-in read at its start or at the last reload."""

CERTIFICATES = Path("/etc/docker/certs.d")
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.index.v1+json"
)


class Refused(Exception):
    """The command cannot be carried out; the text says why."""


def mirrors() -> list[str]:
    """The live daemon's mirrors, in order, each ending in a slash as the real one shows them."""
    try:
        settings: dict[str, Any] = json.loads(LIVE.read_text() or "{}")
    except FileNotFoundError as error:
        raise Refused("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.") from error
    return [url.rstrip("/") + "/" for url in settings.get("registry-mirrors", [])]


def info(template: str) -> str:
    """`docker info -f`, for the templates that the program uses."""
    if template == "{{range .RegistryConfig.Mirrors}}{{println .}}{{end}}":
        return "".join(f"{url}\n" for url in mirrors())
    if template == "{{json .RegistryConfig.Mirrors}}":
        return json.dumps(mirrors()) + "\n"
    if template == "{{.ServerVersion}} {{.DriverStatus}}":
        return f"{VERSION} {DRIVER_STATUS}\n"
    if template == "{{.DriverStatus}}":
        return DRIVER_STATUS + "\n"
    if template == "{{.ServerVersion}}":
        return VERSION + "\n"
    raise Refused(f"this stand-in for docker does not know info -f {template}")


def fetch(url: str) -> bytes:
    """The body that `url` answers with."""
    context = ssl.create_default_context()
    for authority in sorted((CERTIFICATES / urlsplit(url).netloc).glob("*.crt")):
        context.load_verify_locations(authority)
    request = urllib.request.Request(url, headers={"Accept": MANIFESTS})  # noqa: S310 - a mirror's URL
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body


def pull_through(mirror: str, repository: str, reference: str) -> None:
    """Fetch the manifest and every blob, and check each digest."""
    base = f"{mirror}v2/{repository}"
    manifest: dict[str, Any] = json.loads(fetch(f"{base}/manifests/{reference}"))
    if "manifests" in manifest:
        manifest = json.loads(fetch(f"{base}/manifests/{manifest['manifests'][0]['digest']}"))
    for blob in [manifest["config"], *manifest["layers"]]:
        content = fetch(f"{base}/blobs/{blob['digest']}")
        if "sha256:" + hashlib.sha256(content).hexdigest() != blob["digest"]:
            raise Refused(f"filesystem layer verification failed for digest {blob['digest']}")


REFERENCE = re.compile(
    r"(?:docker\.io/)?(?P<name>[a-z0-9_./-]+?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def pull(image: str) -> None:
    """Pull through the first mirror that serves the image; only images of docker.io, as for real mirrors."""
    parts = REFERENCE.fullmatch(image)
    if parts is None:
        raise Refused(f"invalid reference format: {image}")
    repository = parts["name"] if "/" in parts["name"] else f"library/{parts['name']}"
    failures = []
    for mirror in mirrors():
        try:
            pull_through(mirror, repository, parts["digest"] or parts["tag"] or "latest")
        except (OSError, KeyError, ValueError, Refused) as error:
            failures.append(f"{mirror}: {error}")
        else:
            return
    raise Refused("; ".join(failures) or "no mirror is configured, and this stand-in goes nowhere else")


def main(arguments: Sequence[str]) -> int:
    """Carry out one docker command line; the exit code."""
    try:
        match list(arguments):
            case ["--version"]:
                print(f"Docker version {VERSION}, build lab")
            case ["info", "-f" | "--format", template]:
                sys.stdout.write(info(template))
            case ["pull", "-q", image] | ["pull", image]:
                pull(image)
                print(image)
            case ["image", "inspect" | "rm", *_, image]:
                raise Refused(f"No such image: {image}")
            case _:
                raise Refused(f"this stand-in for docker does not know: docker {' '.join(arguments)}")
    except Refused as error:
        print(f"Error response from daemon: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
