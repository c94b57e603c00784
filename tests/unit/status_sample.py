"""Hosts' answers as status.sh gives them, made up: a day of a stack with two mirrors and four clients."""

from __future__ import annotations

import base64
import datetime
import gzip
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.lib.remote import HostFailed, Unreachable
from components.settings import Settings
from components.status.asking import Answers
from tests.unit.settings_sample import ECDSA_KEY

NOW = 1_795_600_000.0
GIB = 2**30
ADDRESSES = {
    "mirror-1": "203.0.113.10",
    "mirror-2": "203.0.113.11",
    "web-1": "203.0.113.21",
    "web-2": "203.0.113.22",
    "web-3": "203.0.113.23",
    "db-1": "203.0.113.31",
}
URLS = {"mirror-1": "https://203.0.113.10", "mirror-2": "https://203.0.113.11"}


def settings(tmp_path: Path, **changes: object) -> Settings:
    """The stack's settings."""

    def host(name: str) -> dict[str, object]:
        return {"name": name, "address": ADDRESSES[name], "hostKey": ECDSA_KEY}

    raw: dict[str, object] = {
        "ssh": {"agent": True},
        "mirrors": [host(name) for name in ADDRESSES if name.startswith("mirror")],
        "clients": [host(name) for name in ADDRESSES if not name.startswith("mirror")],
        "upstreams": [{"registry": "docker.io"}, {"registry": "ghcr.io", "port": 5001}],
        "access": {"networks": ["203.0.113.0/24"]},
        "mirrorsAreClients": False,
    }
    return Settings.load({**raw, **changes}, tmp_path)


def printed(answers: Mapping[str, tuple[str, str]]) -> str:
    """What status.sh prints: question, sign and words."""
    lines = [
        f"{question} {sign}{base64.b64encode(gzip.compress(words.encode())).decode()}"
        for question, (sign, words) in answers.items()
    ]
    return "\n".join(lines) + "\n"


def nanoseconds(at: float) -> str:
    """A time as Docker's events have it."""
    return f"{int(at)}{int(at % 1 * 1e9):09}"


def certificate(end: float) -> str:
    """A certificate that ends at a moment, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror")])
    last = datetime.datetime.fromtimestamp(end, datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = builder.not_valid_before(last - datetime.timedelta(days=365)).not_valid_after(last)
    return signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def samples(upstream: str, busy: float, limit: int) -> list[list[object]]:
    """A day's counters, a row every 10 minutes: busy by day, evictions near the limit."""
    rows: list[list[object]] = []
    hits = misses = served = fetched = evicted = errors = 0
    held = int(limit * 0.55)
    for step in range(145):
        at = NOW - 86400 + step * 600
        rush = busy * max(0.05, math.sin((step - 30) / 144 * 2 * math.pi)) * (1.4 if step % 7 == 0 else 1.0)
        asked, new = int(90 * rush), int(90 * rush * (0.35 if step < 50 else 0.12))
        hits, misses = hits + asked - new, misses + new
        served, fetched = served + asked * 9 * 2**20, fetched + new * 9 * 2**20
        held += new * 9 * 2**20
        if held > limit * 0.9:
            evicted += held - int(limit * 0.8)
            held = int(limit * 0.8)
        errors += 1 if upstream == "ghcr.io" and step % 40 == 0 else 0
        rows.append([at, upstream, held, hits, misses, served, fetched, evicted, errors])
    return rows


def collect_json(**changes: object) -> dict[str, Any]:
    """collect.json of a mirror that all clients use."""
    rows = {
        "docker.io": samples("docker.io", 1.0, 15 * GIB),
        "ghcr.io": samples("ghcr.io", 0.3, 12 * GIB),
    }
    upstreams = {}
    for name, of_upstream in rows.items():
        _, _, held, hits, misses, served, fetched, evicted, errors = of_upstream[-1]
        upstreams[name] = {
            "bytes": held,
            "limit": None,
            "requests": {
                "blob": {"hit": hits, "miss": misses, "error": 0},
                "manifest": {"hit": 0, "miss": 0, "error": 0},
            },
            "served": served,
            "fetched": fetched,
            "evictions": {"limit": [40, evicted], "disk": [0, 0]},
            "last_eviction": NOW - 29_000 if evicted else None,
            "last_use": NOW - 120,
            "errors": {"server_error": errors},
            "container_up": True,
        }
    whole = {
        "at": NOW - 7,
        "limit": 24 * GIB,
        "min_free": 25 * GIB,
        "disk": {"size": 500 * GIB, "free": 210 * GIB},
        "last_run": {"at": NOW - 60, "seconds": 0.4, "before": 1, "after": 1, "removed_objects": 0},
        "upstreams": upstreams,
        "clients": {
            ADDRESSES["web-1"]: {"docker.io": {"last": NOW - 300, "requests": 812}},
            ADDRESSES["web-2"]: {"docker.io": {"last": NOW - 7000, "requests": 91}},
        },
        "pulls": [
            [NOW - 7300, "docker.io", ADDRESSES["web-2"], "library/redis"],
            [NOW - 3660, "docker.io", ADDRESSES["web-1"], "library/postgres"],
            [NOW - 305, "docker.io", ADDRESSES["web-1"], "library/nginx"],
        ],
        "proofs": {"db-1": NOW - 40_000},
        "samples": sorted(row for of_upstream in rows.values() for row in of_upstream),
    }
    return {**whole, **changes}


def upstreams_json(**changes: Mapping[str, object]) -> dict[str, Any]:
    """upstreams.json; changes by upstream, with "_" for "."."""
    fine: dict[str, object] = {
        "up": True,
        "refusal": None,
        "detail": "",
        "rate_limit": None,
        "rate_limit_remaining": None,
        "checked": NOW - 20,
    }
    hub = {**fine, "rate_limit": 100, "rate_limit_remaining": 76}
    upstreams = {"docker.io": hub, "ghcr.io": fine}
    for name, change in changes.items():
        upstreams[name.replace("_", ".")] = {**upstreams[name.replace("_", ".")], **change}
    return {"at": NOW - 20, "certificate_not_after": NOW + 200 * 86400, "upstreams": upstreams}


def mirror(name: str, collected: object | None, probed: object | None, **said: str) -> Answers:
    """What a mirror says; None for a record that is not there."""
    words = {
        "now": str(NOW),
        "addresses": f"172.17.0.1 {ADDRESSES[name]}",
        "containers": "\n".join(
            f"registry-cache-{one} Up 3 days (healthy)" for one in ("docker.io", "ghcr.io")
        ),
        "certificate": certificate(NOW + 214 * 86400),
        "disk": f"Filesystem 1-blocks Used Available Capacity Mounted on\n"
        f"/dev/vdb {500 * GIB} {290 * GIB} {210 * GIB} 58% /data",
    }
    if collected is not None:
        words["collected"] = json.dumps(collected)
    if probed is not None:
        words["probed"] = json.dumps(probed)
    return Answers({**words, **said}, {})


def client(name: str, pulls: Mapping[float, str], fallbacks: str = "", **said: str) -> Answers:
    """What a client says; `pulls` are the images by how many seconds ago they were pulled."""
    lines = [
        f"{nanoseconds(NOW - before)} image pull {image}"
        for before, image in sorted(pulls.items(), reverse=True)
    ]
    words = {
        "now": str(NOW),
        "addresses": f"172.17.0.1 {ADDRESSES[name]}",
        "store": "[[Backing Filesystem xfs] [Supports d_type true]]",
        "mirrors": "".join(f"{url}/\n" for url in URLS.values()),
        "docker_since": f"{NOW - 200_000:.0f}",
        "configured_since": f"{NOW - 190_000:.0f}",
        "fallbacks": fallbacks,
        "events": "\n".join([*lines, f"{nanoseconds(NOW - 90_000)} events {len(lines) + 30}"]),
    }
    return Answers({**words, **said}, {})


def given_up(before: float, host: str, reason: str, *, containerd: bool = False) -> str:
    """A line of Docker's log, as 20.10 and 28 write it, or as the containerd image store does."""
    time = datetime.datetime.fromtimestamp(NOW - before, datetime.UTC).isoformat().replace("+00:00", "Z")
    if containerd:
        url = f"https://{host}/v2/library/nginx/manifests/latest?ns=docker.io"
        error = rf"failed to do request: Head \"{url}\": {reason}"
        return f'time="{time}" level=info msg="trying next host" error="{error}" host={host}'
    error = rf"Get \"https://{host}/v2/\": {reason}"
    return f'time="{time}" level=info msg="Attempting next endpoint for pull after error: {error}"'


def a_day() -> dict[str, Answers | HostFailed]:
    """The hosts' answers on a day with some of everything."""
    refused = "dial tcp 203.0.113.10:443: connect: connection refused"
    ghcr = {"up": True, "refusal": "rate_limited", "detail": "429 for ghcr.io/v2/"}
    return {
        "mirror-1": mirror("mirror-1", collect_json(), upstreams_json(ghcr_io=ghcr)),
        "mirror-2": mirror(
            "mirror-2",
            collect_json(clients={}, pulls=[], proofs={}),
            upstreams_json(),
        ),
        "web-1": client("web-1", {3650: "postgres:17", 300: "nginx:latest"}),
        "web-2": client(
            "web-2",
            {7295: "redis:7", 1800: "alpine:3", 1500: "ghcr.io/a/b:1"},
            given_up(1802, "203.0.113.10", refused) + "\n" + given_up(1801, "203.0.113.11", refused),
        ),
        "web-3": Unreachable(
            "web-3: status.sh failed: ssh: connect to host 203.0.113.23 port 22: No route to host"
        ),
        "db-1": client("db-1", {}),
    }
