"""A preview of a stack that was brought up before, while its hosts do not answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.pulumi_project import STACK, Project
from tests.unit.settings_sample import SAMPLE, make_home, read

HOSTS = ("mirror-1", "web-1")
GENERATIONS = {"mirror-1": "scripts docker-engine firewall+3", "web-1": "scripts mirror-client+1"}


def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def preview(
    clone_project: Callable[[Mapping[str, object]], Project], tmp_path: Path
) -> Callable[..., Project]:
    """The clone's program on hosts that refuse connections, after an `up` that left GENERATIONS."""
    make_home(tmp_path / "user")
    raw: dict[str, Any] = read(SAMPLE) | {"ssh": {"privateKeyFile": str(tmp_path / "user/.ssh/id_ed25519")}}
    raw["access"] = {"networks": ["127.0.0.0/8"]}
    port = closed_port()
    for index, entry in enumerate([*raw["mirrors"], *raw["clients"]]):
        entry |= {"address": f"127.0.1.{index + 1}", "port": port}

    def project(observe: str) -> Project:
        stack = clone_project(
            {f"registry-cache:{key}": value for key, value in (raw | {"observe": observe}).items()}
        )
        state = stack.export()
        state["deployment"]["resources"] = [
            {
                "urn": f"urn:pulumi:{STACK}::registry-cache::pulumi:pulumi:Stack::registry-cache-{STACK}",
                "custom": False,
                "type": "pulumi:pulumi:Stack",
                "outputs": {"generations": GENERATIONS},
            }
        ]
        stack.cli("stack", "import", stdin=json.dumps(state))
        return stack

    return project


def create(steps: list[dict[str, Any]], name: str) -> str:
    (text,) = [s["newState"]["inputs"]["create"] for s in steps if s["urn"].endswith(f"::{name}")]
    return str(text)


def test_a_host_that_does_not_answer_is_a_warning_and_its_steps_stay_as_they_were_applied(
    preview: Callable[..., Project],
) -> None:
    answer = json.loads(preview("auto").cli("preview", "--json").stdout)
    (warning,) = [one["message"] for one in answer["diagnostics"] if one["severity"] == "warning"]
    for name in HOSTS:
        assert f"  {name}: " in warning
    assert "refused" in warning
    assert "+3 apply " in create(answer["steps"], "mirror-1-firewall")
    assert "+1 apply " in create(answer["steps"], "web-1-mirror-client")
    assert "+" not in create(answer["steps"], "mirror-1-docker-engine").split(" apply ")[0]


def test_where_every_host_must_be_looked_at_the_preview_fails_with_a_remedy_and_without_a_stack_trace(
    preview: Callable[..., Project],
) -> None:
    failed = preview("always").preview(check=False)
    assert failed.code != 0
    assert "observe: always, and not every host lets itself be looked at" in failed.text
    for words in ("  mirror-1: ", "refused", "write observe: auto to go on without them"):
        assert words in failed.text
    assert "Traceback" not in failed.text


def test_where_none_is_to_be_looked_at_there_is_no_warning(preview: Callable[..., Project]) -> None:
    answer = json.loads(preview("never").cli("preview", "--json").stdout)
    assert [one for one in answer.get("diagnostics", []) if one["severity"] == "warning"] == []
    assert "+3 apply " in create(answer["steps"], "mirror-1-firewall")
