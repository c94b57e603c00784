"""`make up`, `preview` and `down` on the real engine, with a lab that only keeps a diary."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pulumi_project import Project
from toolchain.stack import CannotGoOn, Stack, main

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60

PROGRAM = """
from pathlib import Path
import pulumi
from pulumi_command import local

assert Path(".state/lab/dev/stack.yaml").exists(), "the settings come from the lab"
local.Command("diary", create="echo create >>diary", delete="echo delete >>diary")
"""
LAB = """
import sys
from pathlib import Path
_, action, _, name = sys.argv
with Path("diary").open("a") as diary:
    diary.write(f"lab {action} {name}\\n")
place = Path(".state/lab") / name
place.mkdir(parents=True, exist_ok=True)
(place / "stack.yaml").touch()
"""
REPORT = """
import sys
from pathlib import Path
with Path("diary").open("a") as diary:
    diary.write(f"report {sys.argv[1]}\\n")
"""
PACK_STARTER = """
plugins:
  analyzers: [{name: policy-registry-cache, path: policy/bin}]
"""


@pytest.fixture
def project(pulumi_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    project = pulumi_project(PROGRAM)
    for name, text in (("lab/__main__.py", LAB), ("components/report.py", REPORT)):
        (project.directory / name).parent.mkdir()
        (project.directory / name).write_text(text)
    (project.directory / "policy").symlink_to(ROOT / "policy")
    with (project.directory / "Pulumi.yaml").open("a") as file:
        file.write(PACK_STARTER)
    for stack in ("dev", "prod"):
        (project.directory / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
    for variable, value in project.environment.items():
        monkeypatch.setenv(variable, value)
    return project


def diary(project: Project) -> list[str]:
    """What has happened, and forgets it."""
    file = project.directory / "diary"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def test_up_makes_the_lab_then_the_stack_then_reports_and_is_the_same_again(project: Project) -> None:
    assert main(["up", "dev"], project.directory) == 0
    assert diary(project) == ["lab up dev", "create", "report dev"]
    assert main(["up", "dev"], project.directory) == 0
    assert diary(project) == ["lab up dev", "report dev"], "a second up must change nothing"


def test_down_destroys_while_the_hosts_are_there_and_then_removes_the_lab(project: Project) -> None:
    main(["up", "dev"], project.directory)
    diary(project)
    stack_file = (project.directory / "Pulumi.dev.yaml").read_text()
    assert main(["down", "dev"], project.directory) == 0
    assert diary(project) == ["delete", "lab down dev"]
    assert (project.directory / "Pulumi.dev.yaml").read_text() == stack_file, "a clone stays clean"


def test_a_destroy_that_fails_keeps_the_lab_and_tells_the_way_out(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    project.write(PROGRAM.replace("echo delete >>diary", "exit 3"))
    main(["up", "dev"], project.directory)
    diary(project)
    assert main(["down", "dev"], project.directory) != 0
    assert diary(project) == []
    assert "make down FORCE=1" in capfd.readouterr().err
    assert main(["down", "dev", "--force"], project.directory) == 0
    assert diary(project) == ["lab down dev"]
    assert main(["up", "dev"], project.directory) == 0, "after a forced down all starts afresh"


def test_preview_makes_the_lab_only_where_its_settings_are_missing(project: Project) -> None:
    assert main(["preview", "dev"], project.directory) == 0
    assert diary(project) == ["lab up dev"]
    assert main(["preview", "dev"], project.directory) == 0
    assert diary(project) == []


def test_a_lab_of_another_name_serves_the_same_stack(project: Project) -> None:
    assert main(["up", "dev", "--lab", "second"], project.directory) == 0
    assert diary(project) == ["lab up second", "create", "report dev"]
    assert main(["down", "dev", "--lab", "second"], project.directory) == 0
    assert diary(project) == ["delete", "lab down second"]


def test_a_lab_of_another_name_does_not_push_out_the_one_that_stands(project: Project) -> None:
    main(["up", "dev"], project.directory)
    with pytest.raises(CannotGoOn, match="`make down` before LAB=second"):
        Stack(project.directory, "dev", lab="second").up()


def test_a_stack_of_the_users_own_touches_no_lab(project: Project) -> None:
    (project.directory / ".state/lab/dev").mkdir(parents=True)
    (project.directory / ".state/lab/dev/stack.yaml").touch()
    assert main(["up", "prod", "--yes"], project.directory) == 0
    assert diary(project) == ["create", "report prod"]
    assert main(["down", "prod", "--force"], project.directory) != 0, "force would forget what stands"
    assert main(["down", "prod", "--yes"], project.directory) == 0
    assert diary(project) == ["delete"]


def test_a_failing_up_ends_with_its_exit_code_and_no_report(project: Project) -> None:
    project.write(PROGRAM.replace("echo create >>diary", "exit 3"))
    assert main(["up", "dev"], project.directory) != 0
    assert diary(project) == ["lab up dev"]


@pytest.mark.parametrize("action", ["preview", "up"])
def test_a_broken_rule_ends_it_before_anything_runs(
    project: Project, action: str, capfd: pytest.CaptureFixture[str]
) -> None:
    project.write(PROGRAM.replace('delete="', 'triggers=["x"], delete="'))
    assert main([action, "dev"], project.directory) != 0
    assert "diary: triggers are set" in capfd.readouterr().out
    assert diary(project) == ["lab up dev"]


def test_after_ctrl_c_the_next_up_completes(project: Project) -> None:
    project.write(PROGRAM.replace("echo create >>diary", "touch started; exec sleep 600"))
    start = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; "
        "from toolchain.stack import main; sys.exit(main(['up', 'dev'], Path.cwd()))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start], cwd=project.directory, stdin=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + SECONDS
    while not (project.directory / "started").exists():
        assert process.poll() is None, "up ended before its slow command began"
        assert time.monotonic() < deadline, "the slow command never began"
        time.sleep(0.05)
    # As a terminal does it: to make, to this project's code and to pulumi alike.
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(SECONDS) != 0
    diary(project)

    project.write(PROGRAM)
    assert main(["up", "dev"], project.directory) == 0
    assert diary(project) == ["lab up dev", "create", "report dev"]


def test_a_stack_without_a_file_is_refused_and_not_made(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", "ofice"], project.directory) != 0
    assert "cp Pulumi.prod.yaml Pulumi.ofice.yaml" in capfd.readouterr().err
    assert "ofice" not in project.cli("stack", "ls").text
