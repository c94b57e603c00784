"""Sizes as people write them."""

from __future__ import annotations

import re

_UNITS = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def bytes_of(text: str) -> int:
    """The bytes of a size such as `1.5GiB`. Raises ValueError for what is none."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(MiB|GiB|TiB|MB|GB|TB)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a size")
    return int(float(match[1]) * _UNITS[match[2]])
