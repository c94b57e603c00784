"""A proposal as the text of a stack file, with its reasons as comments."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

PREFIX = "registry-cache"
WIDTH = 110
ORDER = ("ssh", "mirrors", "clients", "mirrorsAreClients", "access", "upstreams", "tls", "cache", "proxy")


def render(
    sections: Mapping[str, Any], reasons: Mapping[str, Sequence[str]], rest: Mapping[str, Any] | None = None
) -> str:
    """Return the file. ``rest`` are the keys that stand beside ``config`` in it."""
    known = [key for key in ORDER if key in sections]
    parts = []
    for key in [*known, *(key for key in sections if key not in ORDER)]:
        comments = "".join(
            textwrap.fill(reason, WIDTH, initial_indent="# ", subsequent_indent="# ") + "\n"
            for reason in reasons.get(key, [])
        )
        parts.append(textwrap.indent(comments + _yaml({f"{PREFIX}:{key}": sections[key]}), "  "))
    return "config:\n" + "\n".join(parts) + (_yaml(dict(rest)) if rest else "")


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, width=1000)
