"""hosts.toml, by which the containerd image store of Docker 29 and later finds a mirror."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

DOCKER_HUB = "docker.io"
DIAL_TIMEOUT_SECONDS = 5
"""Without one, a mirror that swallows packets costs some 30 s a request."""


def render_all(mirrors: Mapping[str, Sequence[str]], ca_file: str | None) -> str:
    """Return the hosts.toml of each registry after a line with its name, as mirror_client.sh takes them."""
    return "".join(
        f"==== {registry}\n{render(registry, urls, ca_file)}" for registry, urls in mirrors.items()
    )


def render(registry: str, mirrors: Sequence[str], ca_file: str | None) -> str:
    """Return hosts.toml for a registry with `mirrors` (URLs) in order, then the registry itself.

    `ca_file` is the path on the host of the CA that the https mirrors' certificates are signed by. Format:
    github.com/containerd/containerd docs/hosts.md.
    """
    server = "registry-1.docker.io" if registry == DOCKER_HUB else registry
    lines = [f"server = {_text(f'https://{server}')}"]
    for url in mirrors:
        lines += ["", f"[host.{_text(url)}]", '  capabilities = ["pull", "resolve"]']
        if ca_file is not None and url.startswith("https:"):
            lines.append(f"  ca = {_text(ca_file)}")
        lines.append(f"  dial_timeout = {_text(f'{DIAL_TIMEOUT_SECONDS}s')}")
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML basic string: JSON's rules for what paths and URLs are made of."""
    return json.dumps(value, ensure_ascii=False)
