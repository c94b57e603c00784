"""What the program declares where hosts were changed since the last ``up``, or do not answer."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import observation
from components.host import script_text
from components.lib.drift import Difference, Stamp
from components.lib.remote import HostFailed, Remote, Unreachable
from tests.unit.recording_engine import RecordingEngine, run_program
from tests.unit.test_graph import host

Answers = Mapping[str, "Mapping[str, Stamp] | HostFailed"]
Run = Callable[..., RecordingEngine]
STEPS = {
    "mirror-1": "scripts docker-engine firewall certificate configuration-docker.io credentials-docker.io "
    "container-docker.io answers-docker.io collector upstreams proof-image mirror-client",
    "web-1": "scripts mirror-client",
}
GONE = Difference("package", "docker-ce", "installed", "gone")
EDITED = Difference(
    "file", "/etc/registry-cache/firewall.nft", "600 0:0 a", "600 0:0 b", ("-    counter drop", "+    accept")
)


def stamps(host_name: str, **changed: Stamp) -> dict[str, Stamp]:
    """All of a host's steps as they were left, but for these (`_` for `-`)."""
    steps: dict[str, Stamp] = {step.partition("+")[0]: Stamp(0) for step in STEPS[host_name].split()}
    return steps | {step.replace("_", "-"): stamp for step, stamp in changed.items()}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the program on hosts that the last `up` has ended on: a mirror and a client that say `answers`."""
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)

    def with_answers(
        answers: Answers, generations: Mapping[str, str] | None = None, **sections: Any
    ) -> RecordingEngine:
        def look(hosts: Sequence[Remote]) -> Answers:
            assert all("StrictHostKeyChecking=yes" in remote.options for remote in hosts)
            return {remote.name: answers[remote.name] for remote in hosts}

        configuration = {
            "ssh": {"privateKeyFile": str(key)},
            "mirrors": [host("mirror-1", 10)],
            "clients": [host("web-1", 21)],
            "access": {"networks": ["203.0.113.0/24"]},
            **sections,
        }
        outputs = {"generations": STEPS if generations is None else generations}
        return run_program(configuration, outputs, look)

    return with_answers


def create(engine: RecordingEngine, name: str) -> str:
    return str(engine.registered[name].inputs["create"])


def labels(engine: RecordingEngine) -> dict[str, str]:
    entries = engine.registered["mirror-1-docker.io-container"].inputs["labels"]
    return {entry["label"]: entry["value"] for entry in entries}


def commands(engine: RecordingEngine) -> dict[str, str]:
    return {one.name: one.inputs["create"] for one in engine.of_type("command:remote:Command")}


UNTOUCHED = {"mirror-1": stamps("mirror-1"), "web-1": stamps("web-1")}
DEAF = {"mirror-1": stamps("mirror-1"), "web-1": Unreachable("web-1: no answer")}


def test_on_hosts_as_they_were_left_nothing_is_declared_otherwise_than_without_looking(run: Run) -> None:
    looked, never = run(UNTOUCHED), run({}, observe="never")
    assert commands(looked) == commands(never)
    assert "registry-cache.generation" not in labels(looked)
    assert looked.generations == STEPS


def test_only_the_step_whose_things_were_changed_gets_another_command(run: Run) -> None:
    changed = run({**UNTOUCHED, "mirror-1": stamps("mirror-1", firewall=Stamp(0, differences=(EDITED,)))})
    before, after = commands(run(UNTOUCHED)), commands(changed)
    assert {name for name in before if before[name] != after[name]} == {"mirror-1-firewall"}
    assert "+1 apply 443 " in f"{after['mirror-1-firewall']} "
    assert changed.generations["mirror-1"] == STEPS["mirror-1"].replace("firewall", "firewall+1")


def test_what_was_put_right_keeps_its_mark(run: Run) -> None:
    answers = {**UNTOUCHED, "mirror-1": stamps("mirror-1", firewall=Stamp(3))}
    assert "+3 apply" in create(run(answers), "mirror-1-firewall")


def test_the_scripts_themselves_are_sent_again_where_they_were_changed(run: Run) -> None:
    script = Difference("file", "/var/lib/registry-cache/scripts/file.sh", "600 0:0 a", "gone")
    engine = run({**UNTOUCHED, "web-1": stamps("web-1", scripts=Stamp(0, differences=(script,)))})
    assert "+1 daemon_json.py@" in create(engine, "web-1-scripts")
    assert engine.generations["web-1"] == "scripts+1 mirror-client"


def test_a_container_that_was_changed_gets_a_label_that_has_it_made_anew(run: Run) -> None:
    gone = Difference("settings", "registry-cache-docker.io", "a", "gone")
    mirror = stamps("mirror-1") | {"container-docker.io": Stamp(0, differences=(gone,))}
    engine = run({**UNTOUCHED, "mirror-1": mirror})
    assert labels(engine)["registry-cache.generation"] == "1"
    assert commands(engine) == commands(run(UNTOUCHED))
    assert "container-docker.io+1 " in engine.generations["mirror-1"]


def test_what_was_changed_is_said_with_the_host_and_the_lines(run: Run, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        run({**UNTOUCHED, "mirror-1": stamps("mirror-1", firewall=Stamp(0, differences=(EDITED, GONE)))})
    assert (
        "changed on mirror-1 since the last up: /etc/registry-cache/firewall.nft: content changed\n"
        "    -    counter drop\n"
        "    +    accept"
    ) in caplog.messages
    assert "changed on mirror-1 since the last up: package docker-ce: gone" in caplog.messages
    assert len(caplog.messages) == 2


def test_a_host_that_does_not_answer_is_one_warning_and_no_change(run: Run, caplog: Any) -> None:
    applied = {**STEPS, "web-1": "scripts mirror-client+2"}
    with caplog.at_level(logging.WARNING):
        engine = run(DEAF, applied)
    assert "+2 apply" in create(engine, "web-1-mirror-client")
    assert engine.generations == applied
    (warning,) = caplog.messages
    assert "web-1: no answer" in warning


def test_where_every_host_is_to_be_looked_at_one_that_does_not_answer_ends_the_program(run: Run) -> None:
    with pytest.raises(pulumi.RunError, match=r"(?s)observe: always.*web-1: no answer.*observe: auto"):
        run(DEAF, observe="always")


def test_where_none_is_to_be_looked_at_all_stays_as_it_was_applied(run: Run) -> None:
    applied = {**STEPS, "mirror-1": STEPS["mirror-1"].replace("container-docker.io", "container-docker.io+2")}
    engine = run({}, applied, observe="never")
    assert labels(engine)["registry-cache.generation"] == "2"
    assert engine.generations == applied


def test_a_host_that_no_up_has_ended_on_is_not_looked_at(run: Run) -> None:
    engine = run({"mirror-1": stamps("mirror-1")}, {"mirror-1": STEPS["mirror-1"]})
    assert "+" not in create(engine, "web-1-mirror-client").split(" apply ")[0]


def test_all_steps_run_again_on_a_host_that_was_made_anew(run: Run) -> None:
    engine = run({**UNTOUCHED, "web-1": {}})
    assert engine.generations["web-1"] == "scripts+1 mirror-client+1"
    assert engine.generations["mirror-1"] == STEPS["mirror-1"]


def test_a_line_with_a_carriage_return_in_it_does_not_blind_the_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, stamps_of_host = tmp_path / "rules", tmp_path / "stamps"
    texts = stamps_of_host / "firewall.texts"
    texts.mkdir(parents=True)
    (texts / f"file.{str(file).replace('/', '%2F')}").write_text("was\n")
    file.write_bytes(b"one\rword\n")

    def here(name: str) -> str:
        return script_text(name).replace("/var/lib/registry-cache", str(tmp_path))

    monkeypatch.setattr(observation, "script_text", here)
    digest = hashlib.sha256(here("facts.sh").encode()).hexdigest()
    (stamps_of_host / "firewall").write_text(f"mark\t2\t-\nfacts\t{digest}\t-\nfile\t{file}\t600 0:0 0\n")
    ssh = tmp_path / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text('#!/bin/sh\nfor line; do :; done\nexec sh -c "$line"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")

    found = observation.look_at([Remote("web-1", "web-1", [], sudo=False)])["web-1"]

    assert not isinstance(found, HostFailed), found
    (difference,) = found["firewall"].differences
    assert difference.lines == ("-was", "+one word")
