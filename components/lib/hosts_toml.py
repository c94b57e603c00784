"""hosts.toml, by which the containerd image store of Docker 29 and later finds a mirror."""

from __future__ import annotations

import json
from collections.abc import Sequence

DOCKER_HUB = "https://registry-1.docker.io"
DIAL_TIMEOUT_SECONDS = 5
"""Without one, a mirror that swallows packets costs some 30 s a request."""


def render(mirrors: Sequence[str], ca_file: str | None) -> str:
    """Return hosts.toml for docker.io with `mirrors` (URLs) in order, then Docker Hub itself.

    `ca_file` is the path on the host of the CA that the https mirrors' certificates are signed by. Format:
    github.com/containerd/containerd docs/hosts.md.
    """
    lines = [f"server = {_text(DOCKER_HUB)}"]
    for url in mirrors:
        lines += ["", f"[host.{_text(url)}]", '  capabilities = ["pull", "resolve"]']
        if ca_file is not None and url.startswith("https:"):
            lines.append(f"  ca = {_text(ca_file)}")
        lines.append(f"  dial_timeout = {_text(f'{DIAL_TIMEOUT_SECONDS}s')}")
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML basic string: JSON's rules for what paths and URLs are made of."""
    return json.dumps(value, ensure_ascii=False)
