"""Those that do the job: this project's program, Ansible, pyinfra; each gives the command for each step."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Protocol

import yaml

from tests.bench.job import CONTAINER, Job
from tests.bench.measuring import Command, CommandFailed

ROOT = Path(__file__).resolve().parent.parent.parent
STACK = "bench"


class Step(Enum):
    """What is measured, in this order on the same hosts; the value is what a reader sees."""

    FIRST = "`up` from blank hosts"
    PREVIEW = "preview, nothing to do"
    NOTHING = "`up`, nothing to do"
    CHANGE = "`up`, one line changed on all clients"
    DESTROY = "`destroy`"


class Contestant(Protocol):
    """One way to do the job. Commands are to be run in the order of `Step`, `change` before CHANGE's."""

    @property
    def name(self) -> str:
        """The column's title."""

    def command(self, step: Step) -> Command:
        """What a person would run for this step."""

    def change(self) -> None:
        """Edits the configuration: clients are to use the mirror's name in place of its address."""


class Program:
    """This project's program, copied, with a state of its own."""

    name = "registry-cache"

    def __init__(self, job: Job, directory: Path, settings: Mapping[str, object]) -> None:
        self._directory = directory
        self._settings = dict(settings)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        for file in ("Pulumi.yaml", "__main__.py"):
            shutil.copyfile(ROOT / file, directory / file)
        for folder in ("components", "policy"):
            shutil.copytree(ROOT / folder, directory / folder)
        state = directory / "state"
        state.mkdir(mode=0o700)
        passphrase = directory / "passphrase"
        passphrase.write_text("the bench's own stack, of hosts that live for minutes\n")
        self._environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
        }
        # The name is in the certificate from the start, so that its use changes the clients alone.
        self._mirror = {**_only_mirror(self._settings), "dnsNames": [job.mirror_name]}
        self._changed = {**self._mirror, "hostname": job.mirror_name}
        self._configure(self._mirror)
        done = subprocess.run(
            ["pulumi", "stack", "init", STACK, "--non-interactive"],
            cwd=directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailed(f"pulumi stack init: {done.stderr}")

    def command(self, step: Step) -> Command:
        """The CLI's command."""
        verb = {Step.PREVIEW: "preview", Step.DESTROY: "destroy"}.get(step, "up")
        argv = ["pulumi", verb, "--non-interactive", "--stack", STACK]
        if step is not Step.PREVIEW:
            argv += ["--yes", "--skip-preview"]
        if step in {Step.PREVIEW, Step.NOTHING}:
            argv.append("--expect-no-changes")
        return Command(argv, self._directory, self._environment)

    def change(self) -> None:
        """Gives the mirror its `hostname`."""
        self._configure(self._changed)

    def _configure(self, mirror: Mapping[str, object]) -> None:
        file = self._directory / f"Pulumi.{STACK}.yaml"
        content = yaml.safe_load(file.read_text()) if file.exists() else {}
        settings = {**self._settings, "mirrors": [dict(mirror)]}
        content["config"] = {f"registry-cache:{key}": value for key, value in settings.items()}
        file.write_text(yaml.safe_dump(content))


def _only_mirror(settings: Mapping[str, object]) -> dict[str, object]:
    mirrors = settings["mirrors"]
    if not isinstance(mirrors, list) or len(mirrors) != 1:
        raise ValueError("the bench has one mirror")
    return dict(mirrors[0])


class Ansible:
    """ansible-core with pipelining, enough forks, and kept connections."""

    name = "Ansible"

    def __init__(self, job: Job, binaries: Path) -> None:
        self._job = job
        self._binaries = binaries
        (job.directory / "login.json").write_text(json.dumps({"private_key_file": str(job.private_key_file)}))

    def command(self, step: Step) -> Command:
        """The playbook's command; each run opens connections of its own, as runs hours apart do."""
        play = "undo.yml" if step is Step.DESTROY else "site.yml"
        argv = [str(self._binaries / "ansible-playbook"), "-i", "inventory.json", play]
        if step is Step.PREVIEW:
            argv += ["--check", "--diff"]
        sockets = tempfile.mkdtemp(prefix="bench-", dir="/tmp")
        options = f"-F {self._job.directory / 'ssh_config'} -o ControlMaster=auto -o ControlPersist=30s"
        environment = {
            **_plain_environment(self._binaries),
            "ANSIBLE_CONFIG": str(self._job.directory / "ansible.cfg"),
            "ANSIBLE_SSH_ARGS": options,
            "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
        }
        return Command(argv, self._job.directory, environment)

    def change(self) -> None:
        """Another URL in the variables."""
        self._job.write_variables(self._job.changed_url)


class Pyinfra:
    """pyinfra 3, which keeps one connection a host by itself."""

    name = "pyinfra"

    def __init__(self, job: Job, binaries: Path) -> None:
        self._job = job
        self._binaries = binaries
        (job.directory / "login.json").write_text(json.dumps({"private_key_file": str(job.private_key_file)}))

    def command(self, step: Step) -> Command:
        """The deploy's command."""
        deploy = "undo.py" if step is Step.DESTROY else "deploy.py"
        argv = [str(self._binaries / "pyinfra"), "inventory.py", deploy]
        argv.append("--dry" if step is Step.PREVIEW else "--yes")
        return Command(argv, self._job.directory, _plain_environment(self._binaries))

    def change(self) -> None:
        """Another URL in the variables."""
        self._job.write_variables(self._job.changed_url)


def shell_loop(job: Job, url: str) -> Command:
    """The plain loop of checks; it fails where something does not hold for `url`."""
    argv = [str(job.directory / "loop.sh"), str(job.directory), url, CONTAINER]
    return Command(argv, job.directory, dict(os.environ))


def _plain_environment(binaries: Path) -> dict[str, str]:
    """The environment without this project's own Python first on PATH."""
    environment = dict(os.environ)
    environment["PATH"] = f"{binaries}{os.pathsep}{environment.get('PATH', os.defpath)}"
    return environment
