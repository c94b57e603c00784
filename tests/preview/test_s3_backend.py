"""The state in S3-compatible storage, by the real CLI against a real server."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.preview.s3_server import S3Server
from tests.pulumi_project import STACK, Project
from tests.unit.settings_sample import SAMPLE, make_home, read

PASSWORD = "open-sesame"  # pragma: allowlist secret
PROGRAM = """
import pulumi
from pulumi_command import local

config = pulumi.Config()
write = "cat >note"
note = local.Command("note", create=write, update=write, delete="rm note", stdin=config.require("text"))
pulumi.export("password", config.require_secret("password"))
pulumi.export("note", note.stdout)
"""
SLOW = """
from pulumi_command import local

local.Command("slow", create="touch started; while [ ! -e go-on ]; do sleep 0.1; done")
"""

pytestmark = pytest.mark.timeout(900, func_only=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    started = S3Server.start(tmp_path_factory.mktemp("s3"))
    yield started
    started.stop()


@pytest.fixture
def project(pulumi_project: Callable[..., Project], server: S3Server) -> Project:
    """A project whose stack is in the bucket."""
    local = pulumi_project(PROGRAM)
    environment = {**local.environment, **server.login, "PULUMI_BACKEND_URL": server.backend}
    remote = dataclasses.replace(local, environment=environment)
    remote.cli("stack", "init", "--stack", f"organization/test-project/{STACK}")
    remote.configure({"test-project:text": "one"})
    remote.set_secret("test-project:password", PASSWORD)
    return remote


def test_up_preview_refresh_and_destroy_work_with_the_state_in_a_bucket(
    project: Project, server: S3Server
) -> None:
    project.up()
    assert (project.directory / "note").read_text() == "one"
    state = server.objects()[f".pulumi/stacks/test-project/{STACK}.json"]
    assert json.loads(state)["checkpoint"]["latest"]["resources"]
    assert PASSWORD.encode() not in b"".join(server.objects().values()), (
        "a secret is encrypted before it leaves"
    )
    assert project.outputs()["password"] == PASSWORD
    project.preview("--expect-no-changes")
    project.refresh("--expect-no-changes")

    project.cli("config", "set", "text", "two")
    (step,) = [step for step in project.planned() if step["op"] != "same" and "note" in step["urn"]]
    assert step["op"] == "update"
    project.up()
    assert (project.directory / "note").read_text() == "two"
    project.destroy()
    assert not (project.directory / "note").exists()
    project.cli("stack", "rm", "--yes", STACK)
    assert f".pulumi/stacks/test-project/{STACK}.json" not in server.objects()


def test_while_one_up_runs_a_second_is_refused(project: Project, server: S3Server) -> None:
    project.write(SLOW)
    first = subprocess.Popen(
        ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview"],
        cwd=project.directory,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(project.directory / "started", first)
        assert [key for key in server.objects() if key.startswith(".pulumi/locks/")]
        second = project.up(check=False)
        assert second.code != 0
        assert "the stack is currently locked by 1 lock(s)" in second.text
    finally:
        (project.directory / "go-on").touch()
        assert first.wait(120) == 0
    assert not [key for key in server.objects() if key.startswith(".pulumi/locks/")]
    project.up()
    project.destroy()
    project.cli("stack", "rm", "--yes", STACK)


def test_a_stack_moves_from_this_machines_file_into_the_bucket(
    pulumi_project: Callable[..., Project], server: S3Server
) -> None:
    local = pulumi_project(PROGRAM, {"test-project:text": "one"})
    local.set_secret("test-project:password", PASSWORD)
    local.up()
    exported = local.cli("stack", "export").stdout
    environment = {**local.environment, **server.login, "PULUMI_BACKEND_URL": server.backend}
    remote = dataclasses.replace(local, environment=environment)
    remote.cli("stack", "init", "--stack", f"organization/test-project/{STACK}")
    remote.cli("stack", "import", stdin=exported)
    remote.preview("--expect-no-changes")
    assert remote.outputs()["password"] == PASSWORD
    remote.destroy()
    remote.cli("stack", "rm", "--yes", STACK)


def wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    """Waits until a command has begun."""
    while not file.exists():
        assert process.poll() is None, "up ended before its slow command began"
        time.sleep(0.05)


def test_the_program_itself_reads_its_own_stack_from_the_bucket(
    clone_project: Callable[[Mapping[str, object]], Project], server: S3Server, tmp_path: Path
) -> None:
    """Renewal reads the stack's own outputs, from whatever backend they are in."""
    make_home(tmp_path / "user")
    raw = read(SAMPLE) | {"ssh": {"privateKeyFile": str(tmp_path / "user/.ssh/id_ed25519")}}
    local = clone_project({f"registry-cache:{key}": value for key, value in raw.items()})
    environment = {**local.environment, **server.login, "PULUMI_BACKEND_URL": server.backend}
    remote = dataclasses.replace(local, environment=environment)
    remote.cli("stack", "init", f"organization/registry-cache/{STACK}")
    remote.preview()
    remote.cli("stack", "rm", "--yes", STACK)
