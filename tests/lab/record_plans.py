"""Records the engine's event logs that tests/unit/plans holds, from the program on a lab of its own.

    toolchain/run python -m tests.lab.record_plans

What no test reads is left out, addresses of the lab and paths of this machine are made the same for every run.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab import Lab
from tests.lab.program_stage import ROOT, Stage
from toolchain.cache import cache_directory
from toolchain.pins import read_pins
from toolchain.tools import offline_plugins

PLANS = ROOT / "tests" / "unit" / "plans"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOD8+G0yIAilaUMkDLUnKir+tFIApHMevxc8uHHvxtCX"
TOKEN = "made-up-hub-token"
_LONG = ("entrypoints", "volumes", "healthcheck")
_KEPT = ("op", "urn", "type", "keys", "diffs", "detailedDiff")


def record(stage: Stage) -> None:
    """One log for each kind of change that a review is about."""
    settings = copy.deepcopy(stage.settings)
    networks = [*settings["access"]["networks"], "203.0.113.0/24"]
    arriving = {"address": "203.0.113.21", "hostKey": HOST_KEY}
    changes: dict[str, dict[str, Any]] = {
        "unchanged": {},
        "second-mirror": {"mirrors": [*settings["mirrors"], {**arriving, "name": "mirror-2"}]},
        "networks-and-ttl": {"access": {"networks": networks}, "cache": {"ttl": "72h"}},
        "client-leaves": {"clients": settings["clients"][:1]},
        "new-client": {"clients": [*settings["clients"], {**arriving, "name": "web-1", "docker": "install"}]},
        "rotation": {"tls": {"rotation": 1}},
        "mistakes": {"access": {"networks": []}, "cache": {"ttl": "often"}},
        "credentials": {"upstreams": [{"registry": "docker.io", "username": "example"}]},
    }
    for name, sections in changes.items():
        stage.settings.clear()
        stage.settings.update(copy.deepcopy(settings))
        stage.set(**sections)
        if name == "credentials":
            path = "registry-cache:upstreams[0].password"
            stage.project.cli("config", "set", "--secret", "--path", path, stdin=TOKEN)
        log = PLANS / f"{name}.jsonl"
        stage.project.cli("preview", "--event-log", str(log), check=False)
        text = "".join(scrubbed(log.read_text().splitlines()))
        for host, address in (
            ("mirror-1", "192.0.2.11"),
            ("client-1", "192.0.2.21"),
            ("client-2", "192.0.2.22"),
        ):
            text = text.replace(stage.lab.host(host).address, address)
        for network, stand_in in zip(
            stage.lab.network.allowed, ("192.0.2.0/25", "2001:db8::/112"), strict=True
        ):
            text = text.replace(network, stand_in)
        log.write_text(text.replace(str(stage.lab.state_dir), "/home/operator/.ssh"))
        print(f"{log.name}: {len(text):,} characters")


def scrubbed(lines: list[str]) -> Iterator[str]:
    """The events that matter, each with what is read of it; what stays as it is without its inputs."""
    for line in lines:
        event = json.loads(line)
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            kept = {key: metadata[key] for key in _KEPT if metadata.get(key)}
            if metadata["op"] not in {"same", "read"}:
                kept |= {
                    side: {"inputs": _inputs(metadata[side])} for side in ("old", "new") if metadata.get(side)
                }
            yield _line({"resourcePreEvent": {"metadata": kept}})
        elif event.get("diagnosticEvent", {}).get("severity", "debug") != "debug":
            yield _line({"diagnosticEvent": event["diagnosticEvent"]})
        elif "summaryEvent" in event:
            yield _line({"summaryEvent": event["summaryEvent"]})


def _inputs(side: dict[str, Any]) -> dict[str, Any]:
    inputs = {key: value for key, value in (side.get("inputs") or {}).items() if key not in _LONG}
    if str(side.get("urn", "")).endswith("-scripts"):
        inputs["stdin"] = "H4sIAAAA"
    return inputs


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":")) + "\n"


def main() -> None:
    """Makes the lab, records, and removes it."""
    plugins = offline_plugins(read_pins(ROOT), cache_directory(os.environ), Path(sys.executable)) / "plugins"
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(f"plans-{os.getpid()}", Path(folder) / "lab")
        try:
            lab.up()
            stage = Stage.of(lab, Path(folder) / "clone", plugins, ["mirror-1"], ["client-1", "client-2"])
            stage.up()
            stage.project.environment["PULUMI_DEBUG_COMMANDS"] = "true"
            PLANS.mkdir(exist_ok=True)
            record(stage)
        finally:
            lab.down()


if __name__ == "__main__":
    main()
