"""Runs on a mirror: python3 -c TEXT DATA PERIOD. Adds up what a cache takes on disk, until its input ends.

Prints one JSON object: how often it looked, the largest sum in bytes, and what of that was being fetched.
"""

import contextlib
import json
import os
import select
import sys
import time
from pathlib import Path

BLOCK = 512


def below(path: Path, name: str) -> int:
    """The bytes on disk of all files of that name."""
    total = 0
    for folder, _, files in os.walk(path):
        if name in files:
            with contextlib.suppress(OSError):
                total += (Path(folder) / name).stat().st_blocks * BLOCK
    return total


def main() -> None:
    root, period = Path(sys.argv[1]) / "docker" / "registry" / "v2", float(sys.argv[2])
    result = {"samples": 0, "largest": 0, "uploading": 0, "longest_gap": 0.0}
    last = time.monotonic()
    while not select.select([sys.stdin], [], [], period)[0]:
        blobs, uploading = below(root / "blobs", "data"), 0
        for folder, names, _ in os.walk(root / "repositories"):
            if "_uploads" in names:
                uploading += below(Path(folder) / "_uploads", "data")
            names[:] = [name for name in names if not name.startswith("_")]
        result["samples"] += 1
        if blobs + uploading > result["largest"]:
            result["largest"], result["uploading"] = blobs + uploading, uploading
        now = time.monotonic()
        result["longest_gap"] = round(max(result["longest_gap"], now - last), 2)
        last = now
    print(json.dumps(result))


main()
