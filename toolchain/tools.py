"""Sets up what is missing, in order: Python packages, CLI, plugins."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain import go_build, official
from toolchain.cache import cache_directory, key_of, locked, make_once, replace_link
from toolchain.choice import Way, choose
from toolchain.offline_plugins import install_offline_plugins, plugins_key
from toolchain.pins import Pins, read_pins
from toolchain.python_environment import is_complete, make_environment
from toolchain.steps import SetupFailed, run

WAY_FILE = "way"
"""Beside an installed CLI: the way by which it came."""


@dataclass(frozen=True)
class Tools:
    """What a machine has after set-up.

    `cli_directory` holds `pulumi` and the language host. `plugins` is the `plugins` folder of this project's
    offline plugins, None where the official ones are used. `pulumi_home` is this clone's home for those.
    """

    python: Path
    cli_directory: Path
    cli_version: str
    way: Way
    plugins: Path | None
    pulumi_home: Path

    def summary(self) -> str:
        """One line: which CLI by which way, and whose plugins."""
        plugins = "official" if self.plugins is None else "this project's offline ones, not the official ones"
        return f"Pulumi {self.cli_version}, {self.way.value}; plugins: {plugins}"


def set_up(root: Path, environment: Mapping[str, str]) -> Tools:
    """Makes what is missing and returns where all is. Raises SetupFailed with what to do."""
    pins = read_pins(root)
    cache = cache_directory(environment)
    python = _python(pins, cache)
    home = root / ".state" / "pulumi-home"
    outside = _outside(environment, cache, home)
    directory, version, way = _cli(pins, cache, python, outside)
    plugins: Path | None = None
    if not _official_plugins(pins, cache, way, directory / "pulumi", outside):
        plugins = offline_plugins(pins, cache, python) / "plugins"
        home.parent.mkdir(mode=0o700, exist_ok=True)
        replace_link(home / "plugins", plugins)
    return Tools(python, directory, version, way, plugins, home)


def offline_plugins(pins: Pins, cache: Path, python: Path) -> Path:
    """The folder with the offline plugins for exactly this clone's code, made if need be."""
    place = cache / "plugins" / plugins_key(pins, python)
    if not place.is_dir():
        with locked(cache):
            install_offline_plugins(pins, python, place)
    return place


def _python(pins: Pins, cache: Path) -> Path:
    place = cache / "venv" / pins.python_key
    if not is_complete(place):
        with locked(cache):
            # Another set-up may have made it while this one waited.
            if not is_complete(place):
                make_environment(pins, place)
    return place / "bin" / "python"


def _outside(environment: Mapping[str, str], cache: Path, home: Path) -> dict[str, str]:
    """The environment outside `toolchain/run`, which may run inside another one: the user's PATH and home."""
    result = dict(environment)
    path = environment.get("PATH", os.defpath).split(os.pathsep)
    result["PATH"] = os.pathsep.join(part for part in path if not Path(part).is_relative_to(cache))
    if environment.get("PULUMI_HOME") == str(home):
        # What `toolchain/run` sets the credentials' folder to is where the user's own home is.
        result["PULUMI_HOME"] = environment.get("PULUMI_CREDENTIALS_PATH", "")
    return result


def _cli(pins: Pins, cache: Path, python: Path, environment: Mapping[str, str]) -> tuple[Path, str, Way]:
    """The CLI's folder, version and way. One that is in the cache is taken before any host is asked."""
    place = cache / "toolchain" / pins.toolchain_key
    found = shutil.which("pulumi", path=environment["PATH"])
    says = _version(found, environment) if found is not None else None
    host = shutil.which("pulumi-language-python", path=environment["PATH"]) is not None

    def installer_answers() -> bool:
        return not place.exists() and official.answers(official.INSTALLER, environment)

    way = choose(
        on_path=says, language_host_on_path=host, minimum=pins.cli, installer_answers=installer_answers
    )
    if way is Way.ON_PATH:
        assert found is not None
        assert says is not None
        return Path(found).parent, says.strip().removeprefix("v"), way
    if not place.exists():
        with locked(cache):
            make_once(
                place, lambda unfinished: _install_cli(pins, cache, way, python, unfinished, environment)
            )
    return place / "bin", pins.cli, Way((place / WAY_FILE).read_text())


def _version(cli: str, environment: Mapping[str, str]) -> str | None:
    try:
        return run(
            [cli, "version"], environment={**environment, "PULUMI_SKIP_UPDATE_CHECK": "true"}, remedy=""
        )
    except SetupFailed:
        return None


def _install_cli(
    pins: Pins, cache: Path, way: Way, python: Path, target: Path, environment: Mapping[str, str]
) -> None:
    (target / "bin").mkdir()
    if way is Way.INSTALLER:
        official.install_cli(pins, target, environment)
    else:
        go = go_build.ensure_go(pins, python, cache, environment)
        go_build.build(pins, go, target / "bin", environment)
    # A CLI that does not start must not be kept.
    run([target / "bin" / "pulumi", "version"], environment=environment, remedy="Run it again.")
    (target / WAY_FILE).write_text(way.value)


def _official_plugins(pins: Pins, cache: Path, way: Way, cli: Path, environment: Mapping[str, str]) -> bool:
    """Whether the official plugins are there to use. They are tried for once for each CLI and versions."""
    if way is Way.GO_MODULES:
        return False
    home = Path(environment.get("PULUMI_HOME") or Path(environment.get("HOME") or "/") / ".pulumi")
    if official.installed(pins, home):
        return True
    tried = cache / "offline-for" / key_of(str(cli), str(home), repr(sorted(pins.plugins.items())))
    if tried.exists():
        return False
    if official.install_plugins(pins, cli, environment):
        return True
    tried.parent.mkdir(parents=True, exist_ok=True)
    tried.touch()
    return False
