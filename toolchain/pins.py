"""What this clone pins: versions and the keys under which the cache holds what is made of them."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from toolchain.cache import files_key, key_of

CLI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
LANGUAGE_HOST = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
SDK = "github.com/pulumi/pulumi/sdk/v3"
BUILD_FLAGS = ("-v", "-mod=readonly", "-trimpath", "-buildvcs=false")
LINK_FLAGS = "-s -w"
PYTHON_FILES = ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python")
"""What the language host starts, inside the SDK module's python folder."""

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
    modules = [
        toolchain / name / file for name in ("cli", "language-python") for file in ("go.mod", "go.sum")
    ]
    cli_module = (toolchain / "cli" / "go.mod").read_text()
    requirements = (root / "requirements.txt").read_text()
    # What decides the binaries, and not the text of this package: a reworded comment must not cost a build.
    recipe = (CLI, LANGUAGE_HOST, SDK, *BUILD_FLAGS, LINK_FLAGS, *PYTHON_FILES)
    return Pins(
        root=root,
        cli=_only(r"^\s*github\.com/pulumi/pulumi/pkg/v3 v(\S+)", cli_module, "toolchain/cli/go.mod"),
        go=_only(r"^go (\S+)", cli_module, "toolchain/cli/go.mod"),
        plugins={
            name: _only(rf"^pulumi-{name}==(\S+)", requirements, "requirements.txt") for name in PLUGINS
        },
        toolchain_key=key_of(files_key(modules, root), *recipe, sys.platform, platform.machine()),
        # base_prefix: an environment dies with the interpreter that it was made of.
        python_key=key_of(
            files_key((root / "requirements.txt", root / "requirements-dev.txt"), root),
            sys.version,
            sys.base_prefix,
        ),
    )


def _only(pattern: str, text: str, place: str) -> str:
    found = re.findall(pattern, text, re.MULTILINE)
    if len(found) != 1:
        raise ValueError(f"{place}: {len(found)} lines match {pattern}, expected one")
    return str(found[0])
