"""What this clone pins: versions and the keys under which the cache holds what is made of them."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from toolchain.cache import files_key, key_of

PLUGINS = ("command", "tls", "docker")
"""The resource plugins that the program uses; each has a Python SDK `pulumi-NAME` of the same version."""


@dataclass(frozen=True)
class Pins:
    """The pins of one clone. `plugins` maps a plugin's name to its version, the one of its locked SDK."""

    root: Path
    cli: str
    go: str
    plugins: dict[str, str]
    toolchain_key: str
    python_key: str

    @property
    def requirements(self) -> tuple[Path, ...]:
        """The locked Python packages, all with hashes."""
        return (self.root / "requirements.txt", self.root / "requirements-dev.txt")


def read_pins(root: Path) -> Pins:
    """Reads the pins from go.mod, go.sum and requirements files under `root`, the clone's directory."""
    toolchain = root / "toolchain"
    modules = [toolchain / name / file for name in ("cli", "language-python") for file in ("go.mod", "go.sum")]
    cli_module = (toolchain / "cli" / "go.mod").read_text()
    requirements = (root / "requirements.txt").read_text()
    # The key holds what decides the binaries: modules, this build's own recipe, and the machine's kind.
    recipe = [*modules, toolchain / "go_build.py"]
    return Pins(
        root=root,
        cli=_only(r"^\s*github\.com/pulumi/pulumi/pkg/v3 v(\S+)", cli_module, "toolchain/cli/go.mod"),
        go=_only(r"^go (\S+)", cli_module, "toolchain/cli/go.mod"),
        plugins={name: _only(rf"^pulumi-{name}==(\S+)", requirements, "requirements.txt") for name in PLUGINS},
        toolchain_key=key_of(files_key(recipe, root), sys.platform, platform.machine()),
        # base_prefix: an environment dies with the interpreter that it was made of.
        python_key=key_of(
            files_key((root / "requirements.txt", root / "requirements-dev.txt"), root), sys.version, sys.base_prefix
        ),
    )


def _only(pattern: str, text: str, place: str) -> str:
    found = re.findall(pattern, text, re.MULTILINE)
    if len(found) != 1:
        raise ValueError(f"{place}: {len(found)} lines match {pattern}, expected one")
    return str(found[0])
