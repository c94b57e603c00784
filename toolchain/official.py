"""Pulumi's own release hosts: the CLI's installer and the official plugins."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from toolchain.pins import Pins
from toolchain.steps import SetupFailed, run, say, step

INSTALLER = "https://get.pulumi.com"
PLUGINS = "https://get.pulumi.com/releases/plugins"
CURL = ("--fail", "--silent", "--show-error", "--location")
ANSWER_SECONDS = 5
"""How long a release host may take to answer before the toolchain does without it."""
DOWNLOAD_SECONDS = 600


def answers(url: str, environment: Mapping[str, str]) -> bool:
    """Whether `url` can be had within a few seconds, over the proxy that curl is set up with, if any."""
    curl = shutil.which("curl", path=environment.get("PATH", os.defpath))
    if curl is None:
        return False
    try:
        run(
            [curl, *CURL, "--head", "--max-time", str(ANSWER_SECONDS), url],
            environment=environment,
            seconds=ANSWER_SECONDS + 2,
            remedy="",
        )
    except SetupFailed:
        return False
    return True


def install_cli(pins: Pins, target: Path, environment: Mapping[str, str]) -> None:
    """Runs the official installer for the pinned version into `target`; ~/.pulumi is left alone."""
    remedy = "Install Pulumi yourself (https://www.pulumi.com/docs/install/): what is on PATH is taken."
    script = target / "install.sh"
    with step(f"installing Pulumi {pins.cli} by its own installer"):
        run(
            ["curl", *CURL, "--output", script, INSTALLER],
            environment=environment,
            seconds=60,
            remedy=remedy,
        )
        run(
            ["sh", script, "--version", pins.cli, "--install-root", target, "--no-edit-path"],
            environment=environment,
            seconds=DOWNLOAD_SECONDS,
            remedy=remedy,
        )
    script.unlink()


def plugin_directories(pins: Pins, home: Path) -> list[Path]:
    """Where the CLI keeps the pinned plugins under the PULUMI_HOME `home`."""
    return [home / "plugins" / f"resource-{name}-v{version}" for name, version in pins.plugins.items()]


def installed(pins: Pins, home: Path) -> bool:
    """Whether `home` has every pinned plugin, whole: the CLI marks one that is not by a `.partial` file."""
    return all(
        folder.is_dir() and not folder.with_name(f"{folder.name}.partial").exists()
        for folder in plugin_directories(pins, home)
    )


def plugin_archive(name: str, version: str) -> str:
    """The address of a plugin's archive for this machine."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{PLUGINS}/pulumi-resource-{name}-v{version}-{sys.platform}-{machine}.tar.gz"


def install_plugins(pins: Pins, cli: Path, environment: Mapping[str, str]) -> bool:
    """Tries to install the official plugins by the official CLI. False where it cannot be done."""
    if not all(answers(plugin_archive(name, version), environment) for name, version in pins.plugins.items()):
        return False
    try:
        for name, version in pins.plugins.items():
            with step(f"installing the official plugin {name} {version}"):
                run(
                    [cli, "plugin", "install", "resource", name, f"v{version}"],
                    environment=environment,
                    seconds=DOWNLOAD_SECONDS,
                    remedy="",
                )
    except SetupFailed as error:
        say(f"the official plugins cannot be had, so the offline ones are taken: {error}")
        return False
    return True
