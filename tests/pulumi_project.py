"""A Pulumi project in a folder of a test's own, driven by the real CLI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

STACK = "test"
SECONDS = 600
"""How long one CLI command may take; minutes more than it does, for machines with other work."""


@dataclass(frozen=True)
class Result:
    """What one CLI command came to."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """All that a person would have seen."""
        return self.stdout + self.stderr


class CommandFailed(AssertionError):
    """A CLI command that was expected to succeed; its text is all that it printed."""


@dataclass(frozen=True)
class Project:
    """One project with one stack, whose state nobody else shares.

    Commands that fail raise CommandFailed unless `check=False`.

    `environment` is that of every command; a test may start the CLI itself with it (to kill it, say).
    """

    directory: Path
    environment: dict[str, str]

    @property
    def state(self) -> Path:
        """The folder of its backend."""
        url = self.environment["PULUMI_BACKEND_URL"]
        return Path(url.removeprefix("file://").removesuffix("?metadata=skip"))

    @classmethod
    def of_program(
        cls, directory: Path, plugins: Path, program: str, config: Mapping[str, object]
    ) -> Project:
        """A project whose __main__.py is the text `program`."""
        directory.mkdir(parents=True)
        (directory / "Pulumi.yaml").write_text("name: test-project\nruntime: python\n")
        (directory / "__main__.py").write_text(program)
        return cls._started(directory, plugins, config)

    @classmethod
    def of_clone(cls, directory: Path, plugins: Path, root: Path, config: Mapping[str, object]) -> Project:
        """A project that is a copy of the clone's program, so that its stack files and state stay its own."""
        directory.mkdir(parents=True)
        for file in ("Pulumi.yaml", "__main__.py"):
            shutil.copyfile(root / file, directory / file)
        for folder in ("components", "policy"):
            shutil.copytree(root / folder, directory / folder, ignore=shutil.ignore_patterns("__pycache__"))
        return cls._started(directory, plugins, config)

    @classmethod
    def _started(cls, directory: Path, plugins: Path, config: Mapping[str, object]) -> Project:
        if shutil.which("pulumi") is None:
            raise CommandFailed(
                "no `pulumi` on PATH: run the tests by `make test` or `toolchain/run pytest …`"
            )
        state = directory.with_name(f"{directory.name}.state")
        home = directory.with_name(f"{directory.name}.home")
        state.mkdir(mode=0o700)
        home.mkdir(mode=0o700)
        (home / "plugins").symlink_to(plugins)
        passphrase = home / "passphrase"
        passphrase.write_text("a test's own stack\n")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        environment.pop("STACK", None)
        environment |= {
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{state}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        project = cls(directory, environment)
        project.cli("stack", "init", STACK)
        project.configure(config)
        return project

    def write(self, program: str) -> None:
        """Replaces the program."""
        (self.directory / "__main__.py").write_text(program)

    def configure(self, config: Mapping[str, object]) -> None:
        """Replaces the stack's configuration: full keys, plain values of any YAML shape."""
        file = self.directory / f"Pulumi.{STACK}.yaml"
        settings: dict[str, Any] = yaml.safe_load(file.read_text()) if file.exists() else {}
        file.write_text(yaml.safe_dump({**settings, "config": dict(config)}))

    def set_secret(self, key: str, value: str) -> None:
        """Sets a secret value, encrypted in the stack file. `configure` afterwards would drop it."""
        self.cli("config", "set", "--secret", key, stdin=value)

    def set_secret_at(self, path: str, value: str) -> None:
        """Sets a secret value inside a key, as in `project:key[0].name`."""
        self.cli("config", "set", "--secret", "--path", path, stdin=value)

    def cli(self, *arguments: str, check: bool = True, stdin: str | None = None) -> Result:
        """Any CLI command, without a terminal."""
        done = subprocess.run(
            ["pulumi", "--non-interactive", *arguments],
            cwd=self.directory,
            env=self.environment,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        if check and result.code != 0:
            raise CommandFailed(f"pulumi {' '.join(arguments)}: exit code {result.code}\n{result.text}")
        return result

    def up(self, *arguments: str, check: bool = True) -> Result:
        """`pulumi up`, with the diff shown and without questions."""
        return self.cli("up", "--yes", "--skip-preview", "--diff", *arguments, check=check)

    def preview(self, *arguments: str, check: bool = True) -> Result:
        """`pulumi preview --diff`."""
        return self.cli("preview", "--diff", *arguments, check=check)

    def refresh(self, *arguments: str, check: bool = True) -> Result:
        """`pulumi refresh`, without questions."""
        return self.cli("refresh", "--yes", "--skip-preview", "--diff", *arguments, check=check)

    def destroy(self, *arguments: str, check: bool = True) -> Result:
        """`pulumi destroy`, without questions."""
        return self.cli("destroy", "--yes", "--skip-preview", *arguments, check=check)

    def planned(self, *arguments: str) -> list[dict[str, Any]]:
        """What a preview would do: its steps, each with `op`, `urn`, `newState`, `detailedDiff`, …"""
        steps = json.loads(self.cli("preview", "--json", *arguments).stdout)["steps"]
        return [dict(step) for step in steps]

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets shown."""
        return dict(json.loads(self.cli("stack", "output", "--json", "--show-secrets").stdout))

    def export(self) -> dict[str, Any]:
        """The stack's state as `pulumi stack export` gives it: secrets encrypted."""
        return dict(json.loads(self.cli("stack", "export").stdout))

    def resources(self) -> list[dict[str, Any]]:
        """The resources in the state."""
        return [dict(resource) for resource in self.export()["deployment"].get("resources", [])]
