"""The toolchain's decisions: which Pulumi, under which key, with which environment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from toolchain.cache import cache_directory, files_key, key_of, make_once, replace_link
from toolchain.choice import Way, choose, new_enough, parse_version
from toolchain.environment import variables
from toolchain.official import installed, plugin_directories
from toolchain.offline_plugins import launcher_text
from toolchain.pins import PLUGINS, read_pins
from toolchain.steps import SetupFailed, run, spoken
from toolchain.tools import Tools

ROOT = Path(__file__).resolve().parents[2]


def never() -> bool:
    raise AssertionError("the installer's host was asked, which costs seconds, though it does not matter")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.259.0", (3, 259, 0)),
        ("3.259.0\n", (3, 259, 0)),
        ("go1.26.8", (1, 26, 8)),
        ("go1.27", (1, 27, 0)),
        ("v3.260.0-alpha.1", (3, 260, 0)),
        ("devel", None),
        ("", None),
    ],
)
def test_a_version_is_read_from_what_a_program_says(text: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("found", "minimum", "enough"),
    [
        ("v3.259.0", "3.259.0", True),
        ("v3.260.0", "3.259.0", True),
        ("v3.99.9", "3.259.0", False),
        ("v4.0.0", "3.259.0", False),
        ("go1.25.10", "1.25.11", False),
        ("go1.26.0", "1.25.11", True),
        ("nonsense", "3.259.0", False),
    ],
)
def test_a_version_is_compared_by_numbers_within_its_major_version(
    found: str, minimum: str, enough: bool
) -> None:
    assert new_enough(found, minimum) is enough


def test_a_pulumi_on_path_that_is_new_enough_is_taken_and_no_host_is_asked() -> None:
    way = choose(on_path="v3.270.0", language_host_on_path=True, minimum="3.259.0", installer_answers=never)
    assert way is Way.ON_PATH


@pytest.mark.parametrize(("on_path", "host"), [(None, False), ("v3.258.9", True), ("v3.270.0", False)])
@pytest.mark.parametrize(("answers", "way"), [(True, Way.INSTALLER), (False, Way.GO_MODULES)])
def test_without_a_usable_pulumi_on_path_the_installer_comes_before_the_build(
    on_path: str | None, host: bool, answers: bool, way: Way
) -> None:
    taken = choose(
        on_path=on_path, language_host_on_path=host, minimum="3.259.0", installer_answers=lambda: answers
    )
    assert taken is way


def test_the_plugins_versions_are_those_of_their_locked_sdks() -> None:
    pins = read_pins(ROOT)
    locked = (ROOT / "requirements.txt").read_text()
    assert set(pins.plugins) == set(PLUGINS)
    for name, version in pins.plugins.items():
        assert f"\npulumi-{name}=={version} " in locked


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The pins of this clone, copied, to be changed."""
    modules = [
        f"toolchain/{name}/go.{kind}" for name in ("cli", "language-python") for kind in ("mod", "sum")
    ]
    for name in (*modules, "requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def test_two_clones_with_the_same_pins_share_everything(clone: Path) -> None:
    ours, theirs = read_pins(ROOT), read_pins(clone)
    assert (ours.toolchain_key, ours.python_key) == (theirs.toolchain_key, theirs.python_key)


@pytest.mark.parametrize(
    ("file", "toolchain_changes", "python_changes"),
    [
        ("toolchain/cli/go.sum", True, False),
        ("toolchain/language-python/go.mod", True, False),
        ("requirements.txt", False, True),
        ("requirements-dev.txt", False, True),
    ],
)
def test_a_changed_pin_changes_the_key_of_what_is_made_of_it_and_no_other(
    clone: Path, file: str, toolchain_changes: bool, python_changes: bool
) -> None:
    before = read_pins(clone)
    with (clone / file).open("a") as changed:
        changed.write("\n// one more\n")
    after = read_pins(clone)
    assert (before.toolchain_key != after.toolchain_key) is toolchain_changes
    assert (before.python_key != after.python_key) is python_changes


def test_a_missing_pin_is_named_with_its_file(clone: Path) -> None:
    (clone / "toolchain/cli/go.mod").write_text("module x\n\ngo 1.25.11\n")
    with pytest.raises(ValueError, match=r"toolchain/cli/go\.mod"):
        read_pins(clone)


def test_keys_tell_parts_apart() -> None:
    assert key_of("a", "bc") != key_of("ab", "c")


def test_a_files_key_knows_names_and_contents_but_not_the_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("1")
    second.write_text("2")
    key = files_key([first, second], tmp_path)
    assert key == files_key([second, first], tmp_path)
    second.rename(tmp_path / "c")
    assert key != files_key([first, tmp_path / "c"], tmp_path)


@pytest.mark.parametrize("environment", [{}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}])
def test_the_cache_is_in_the_home_unless_an_absolute_folder_is_set(environment: Mapping[str, str]) -> None:
    assert cache_directory(environment) == Path.home() / ".cache" / "registry-cache"
    assert cache_directory({"XDG_CACHE_HOME": "/var/cache/me"}) == Path("/var/cache/me/registry-cache")


def test_a_fill_that_fails_leaves_nothing_and_the_next_one_starts_afresh(tmp_path: Path) -> None:
    place = tmp_path / "key"

    def fail(unfinished: Path) -> None:
        (unfinished / "half").touch()
        raise SetupFailed("no network")

    with pytest.raises(SetupFailed):
        make_once(place, fail)
    assert list(tmp_path.iterdir()) == []
    make_once(place, lambda unfinished: (unfinished / "whole").touch())
    assert [file.name for file in place.iterdir()] == ["whole"]


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from toolchain.cache import make_once

def fill(unfinished):
    (unfinished / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)

make_once(Path(sys.argv[2]), fill)
"""


def test_a_set_up_that_was_killed_is_made_whole_by_the_next_one(tmp_path: Path) -> None:
    place = tmp_path / "key"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(ROOT), str(place)], check=False)
    assert killed.returncode < 0
    assert not place.exists(), "a half-made folder must not look like a whole one"
    make_once(place, lambda unfinished: (unfinished / "whole").touch())
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*")] == ["key", "key/whole"]


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    def fail(unfinished: Path) -> None:
        raise AssertionError("made again")

    (tmp_path / "key").mkdir()
    make_once(tmp_path / "key", fail)


def test_a_link_is_moved_to_a_new_target(tmp_path: Path) -> None:
    link = tmp_path / "home" / "plugins"
    for target in (tmp_path / "one", tmp_path / "two", tmp_path / "two"):
        replace_link(link, target)
        assert link.readlink() == target
    assert [file.name for file in link.parent.iterdir()] == ["plugins"]


def test_official_plugins_count_only_when_all_are_whole(tmp_path: Path) -> None:
    pins = read_pins(ROOT)
    folders = plugin_directories(pins, tmp_path)
    for folder in folders:
        assert not installed(pins, tmp_path)
        folder.mkdir(parents=True)
    assert installed(pins, tmp_path)
    folders[0].with_name(f"{folders[0].name}.partial").touch()
    assert not installed(pins, tmp_path), "a plugin whose download was cut off is not there"


def test_a_launcher_starts_its_plugin_from_any_folder_name(tmp_path: Path) -> None:
    code = tmp_path / "it's a $folder" / "code"
    (code / "offline_plugins").mkdir(parents=True)
    (code / "offline_plugins" / "tls.py").write_text("import sys\nprint(__name__, sys.argv[1:])\n")
    launcher = tmp_path / "pulumi-resource-tls"
    launcher.write_text(launcher_text("tls", Path(sys.executable), code))
    launcher.chmod(0o755)
    said = subprocess.run([launcher, "a b"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said == "__main__ ['a b']\n"


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(
        python=Path("/cache/venv/bin/python"),
        cli_directory=Path("/cache/toolchain/bin"),
        cli_version="3.259.0",
        way=Way.GO_MODULES,
        plugins=Path("/cache/plugins/key/plugins"),
        pulumi_home=tmp_path / ".state" / "pulumi-home",
    )


def official(tools: Tools) -> Tools:
    return Tools(tools.python, tools.cli_directory, tools.cli_version, Way.ON_PATH, None, tools.pulumi_home)


def test_the_toolchain_comes_first_on_path_and_once(tools: Tools, tmp_path: Path) -> None:
    once = variables({"PATH": "/usr/bin:/bin", "HOME": "/h"}, tmp_path, tools)
    assert once["PATH"] == "/cache/venv/bin:/cache/toolchain/bin:/usr/bin:/bin"
    assert variables(once, tmp_path, tools)["PATH"] == once["PATH"]


def test_the_dev_stack_has_its_own_state_and_passphrase_whatever_the_users_are(
    tools: Tools, tmp_path: Path
) -> None:
    (tmp_path / ".pulumi").mkdir()
    (tmp_path / ".pulumi" / "credentials.json").write_text(json.dumps({"current": "https://api.pulumi.com"}))
    user = {"HOME": str(tmp_path), "PULUMI_CONFIG_PASSPHRASE": "the user's"}
    result = variables(user, tmp_path, tools)
    assert result["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/.state/pulumi?metadata=skip"
    assert result["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{tmp_path}/lab/passphrase"
    assert "PULUMI_CONFIG_PASSPHRASE" not in result


def test_a_stack_of_the_users_own_uses_their_login_and_passphrase(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / ".pulumi").mkdir()
    (tmp_path / ".pulumi" / "credentials.json").write_text(json.dumps({"current": "https://api.pulumi.com"}))
    user = {"HOME": str(tmp_path), "STACK": "prod", "PULUMI_CONFIG_PASSPHRASE": "the user's"}
    result = variables(user, tmp_path, tools)
    assert "PULUMI_BACKEND_URL" not in result
    assert result["PULUMI_CONFIG_PASSPHRASE"] == "the user's"
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in result
    assert result["PULUMI_CREDENTIALS_PATH"] == str(tmp_path / ".pulumi"), "offline plugins must not log out"


@pytest.mark.parametrize("content", [None, "{}", '{"current": ""}', "not json"])
def test_a_stack_of_the_users_own_without_a_login_has_its_state_in_the_clone(
    tools: Tools, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / ".pulumi").mkdir()
        (tmp_path / ".pulumi" / "credentials.json").write_text(content)
    result = variables({"HOME": str(tmp_path), "STACK": "prod"}, tmp_path, tools)
    assert result["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/.state/pulumi?metadata=skip"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_backend_that_the_user_sets_wins(tools: Tools, tmp_path: Path, stack: str) -> None:
    user = {"HOME": "/h", "STACK": stack, "PULUMI_BACKEND_URL": "s3://states"}
    assert variables(user, tmp_path, tools)["PULUMI_BACKEND_URL"] == "s3://states"


def test_official_plugins_leave_the_users_pulumi_home_alone(tools: Tools, tmp_path: Path) -> None:
    result = variables({"HOME": "/h", "PULUMI_HOME": "/mine"}, tmp_path, official(tools))
    assert result["PULUMI_HOME"] == "/mine"
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in result
    assert "not the official ones" not in official(tools).summary()


def test_offline_plugins_are_named_as_such_and_keep_the_cli_off_the_network(
    tools: Tools, tmp_path: Path
) -> None:
    result = variables({"HOME": "/h", "PULUMI_HOME": "/mine"}, tmp_path, tools)
    assert result["PULUMI_HOME"] == str(tools.pulumi_home)
    assert result["PULUMI_CREDENTIALS_PATH"] == "/mine"
    assert result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert "not the official ones" in tools.summary()


def test_a_failing_step_shows_the_last_lines_and_what_to_do() -> None:
    with pytest.raises(SetupFailed) as caught:
        run([sys.executable, "-c", "import sys; sys.exit('no route to host')"], remedy="Plug it in.")
    assert "no route to host" in str(caught.value)
    assert "Plug it in." in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (232.6, "3 min 53 s")],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


def test_a_run_without_a_command_says_how_it_is_used() -> None:
    done = subprocess.run([ROOT / "toolchain" / "run"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "toolchain/run COMMAND" in done.stderr
