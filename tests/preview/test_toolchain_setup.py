"""`toolchain/setup` on a cache of a test's own, with a made-up release host that offers our own CLI."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from toolchain.cache import cache_directory
from toolchain.official import plugin_directories
from toolchain.pins import read_pins

ROOT = Path(__file__).resolve().parents[2]

CURL = """#!/bin/sh
# Answers for the installer's address, not for the plugins'.
for argument; do
    case $argument in
        --output) next=1 ;;
        https://get.pulumi.com) ;;
        https://*) exit 22 ;;
        *) [ -z "$next" ] || { cp "$INSTALLER" "$argument"; next=; } ;;
    esac
done
"""
INSTALLER = """#!/bin/sh
# As the official one is called: --version V --install-root DIR --no-edit-path
set -e
echo "$@" >>"$CALLS"
while [ -e "$HOLD" ]; do sleep 0.05; done
cp "$OFFERED"/pulumi* "$4/bin/"
"""


@dataclass(frozen=True)
class Machine:
    """A user's machine: a clone, a cache and a home of its own, with this machine's Python packages."""

    home: Path
    environment: Mapping[str, str]

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Starts one of the toolchain's entry points."""
        return subprocess.Popen(
            [str(self.home / "clone" / "toolchain" / command[0]), *command[1:]],
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str) -> tuple[str, str]:
        """The standard output and error of an entry point that succeeds."""
        process = self.start(*command)
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        return stdout, stderr

    @property
    def installer_calls(self) -> list[str]:
        """How the installer was called, one line each."""
        calls = self.home / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def wait_for_installer(self) -> None:
        """Until the installer has been started."""
        deadline = time.monotonic() + 60
        while not self.installer_calls:
            assert time.monotonic() < deadline, "the installer was never started"
            time.sleep(0.02)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine whose own Pulumi is too old."""
    cli = shutil.which("pulumi")
    assert cli is not None, "run the tests by `make test` or `toolchain/run pytest …`"
    cache = tmp_path / "cache" / "registry-cache"
    cache.mkdir(parents=True)
    (cache / "venv").symlink_to(cache_directory(os.environ) / "venv")
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "toolchain", clone / "toolchain", ignore=shutil.ignore_patterns("__pycache__"))
    for requirements in read_pins(ROOT).requirements:
        shutil.copyfile(requirements, clone / requirements.name)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "curl").write_text(CURL)
    (programs / "curl").chmod(0o755)
    (tmp_path / "installer").write_text(INSTALLER)
    (programs / "pulumi").write_text("#!/bin/sh\necho v3.1.0\n")
    (programs / "pulumi").chmod(0o755)
    return Machine(
        tmp_path,
        {
            "HOME": str(tmp_path),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "OFFERED": str(Path(cli).parent),
            "INSTALLER": str(tmp_path / "installer"),
            "CALLS": str(tmp_path / "calls"),
            "HOLD": str(tmp_path / "hold"),
        },
    )


def test_the_official_installer_is_taken_where_its_host_answers_and_asked_only_once(machine: Machine) -> None:
    said, _ = machine.run("setup")
    pins = read_pins(ROOT)
    assert f"Pulumi {pins.cli}, from Pulumi's installer" in said
    assert "not the official ones" in said, "the plugins' host did not answer"
    assert machine.run("run", "pulumi", "version")[0].strip().removeprefix("v") == pins.cli
    (call,) = machine.installer_calls
    assert call.startswith(f"--version {pins.cli} --install-root ")
    assert not (machine.home / ".pulumi").exists(), "the user's own Pulumi is left alone"


@pytest.fixture
def machine_with_pulumi(machine: Machine) -> Machine:
    """A machine whose own Pulumi is new enough."""
    programs = machine.home / "programs"
    (programs / "pulumi").unlink()
    for program in Path(machine.environment["OFFERED"]).glob("pulumi*"):
        (programs / program.name).symlink_to(program)
    return machine


def test_a_pulumi_on_path_is_taken_as_it_is(machine_with_pulumi: Machine) -> None:
    machine = machine_with_pulumi
    assert "from PATH; plugins: this project's offline ones" in machine.run("setup")[0]
    assert machine.installer_calls == []
    where = machine.run("run", "sh", "-c", "command -v pulumi")[0].strip()
    assert where == str(machine.home / "programs" / "pulumi")


def test_make_shell_is_in_its_own_stack_whichever_was_selected_last(machine_with_pulumi: Machine) -> None:
    machine = machine_with_pulumi
    clone = machine.home / "clone"
    shutil.copyfile(ROOT / "Makefile", clone / "Makefile")
    (clone / "Pulumi.yaml").write_text("name: several\nruntime: python\n")

    def shell(stack: str, typed: str) -> tuple[int, str]:
        done = subprocess.run(
            ["make", "-s", "shell", f"STACK={stack}"],
            cwd=clone,
            env={**machine.environment, "SHELL": "/bin/sh", "PULUMI_CONFIG_PASSPHRASE": "staging and prod"},
            input=f"{typed}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    for stack in ("prod", "staging"):
        code, said = shell(stack, f"pulumi stack init {stack}")
        assert code == 0, said
    assert shell("prod", "pulumi stack --show-name")[1].splitlines()[-1] == "prod"
    assert shell("staging", "pulumi stack --show-name")[1].splitlines()[-1] == "staging"
    code, said = shell("dev", "pulumi --non-interactive preview")
    assert code != 0
    assert "no stack selected" in said, "a stack that is not there is not another one"


def test_set_up_inside_a_run_comes_to_the_same(machine_with_pulumi: Machine) -> None:
    machine = machine_with_pulumi
    inside, _ = machine.run("run", str(machine.home / "clone" / "toolchain" / "setup"))
    assert "from PATH; plugins: this project's offline ones" in inside


def test_official_plugins_that_are_there_are_taken_and_the_home_is_left_alone(
    machine_with_pulumi: Machine,
) -> None:
    machine = machine_with_pulumi
    for folder in plugin_directories(read_pins(ROOT), machine.home / ".pulumi"):
        folder.mkdir(parents=True)
    assert "from PATH; plugins: official" in machine.run("setup")[0]
    assert machine.run("run", "sh", "-c", "echo ${PULUMI_HOME-none}")[0] == "none\n"


def test_two_set_ups_at_once_install_once(machine: Machine) -> None:
    (machine.home / "hold").touch()
    first = machine.start("setup")
    machine.wait_for_installer()
    second = machine.start("setup")
    assert second.stderr is not None
    assert "another set-up is running" in second.stderr.readline()
    (machine.home / "hold").unlink()
    for process in (first, second):
        assert "from Pulumi's installer" in process.communicate(timeout=120)[0]
    assert len(machine.installer_calls) == 1


def test_a_set_up_that_is_killed_half_way_is_completed_by_the_next_one(machine: Machine) -> None:
    (machine.home / "hold").touch()
    killed = machine.start("setup")
    machine.wait_for_installer()
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    (machine.home / "hold").unlink()
    assert "from Pulumi's installer" in machine.run("setup")[0]
    toolchains = machine.home / "cache" / "registry-cache" / "toolchain"
    assert [file.name for file in toolchains.iterdir()] == [read_pins(ROOT).toolchain_key]


def test_a_command_gets_its_arguments_folder_and_exit_code_through(machine: Machine, tmp_path: Path) -> None:
    said, _ = machine.run("run", "printf", "%s|", "a b", "", "$HOME", "--help")
    assert said == "a b||$HOME|--help|"
    process = machine.start("run", "sh", "-c", "exit 7")
    process.communicate(timeout=120)
    assert process.returncode == 7


def test_a_warm_set_up_takes_less_than_a_second(machine: Machine) -> None:
    machine.run("setup")
    # The best of three: other tests run beside this one.
    times = []
    for _ in range(3):
        begin = time.monotonic()
        machine.run("setup")
        times.append(time.monotonic() - begin)
    assert min(times) < 1
