"""daemon.json: our mirrors go in and out, and what others wrote stays byte for byte."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from components.lib import daemon_json
from components.lib.daemon_json import Unreadable, merge, remove

SOURCE = Path(daemon_json.__file__)
OURS = ["https://m1", "https://m2:5000"]

# (what it is, before, after merging OURS)
MERGES = [
    ("no file", "", '{\n  "registry-mirrors": [\n    "https://m1",\n    "https://m2:5000"\n  ]\n}\n'),
    ("blank", " \n", '{\n  "registry-mirrors": [\n    "https://m1",\n    "https://m2:5000"\n  ]\n}\n'),
    (
        "empty object",
        "{}\n",
        '{\n  "registry-mirrors": [\n    "https://m1",\n    "https://m2:5000"\n  ]\n}\n',
    ),
    (
        "two spaces",
        '{\n  "debug": true\n}\n',
        '{\n  "debug": true,\n  "registry-mirrors": [\n    "https://m1",\n    "https://m2:5000"\n  ]\n}\n',
    ),
    (
        "tabs and no newline at the end",
        '{\n\t"debug": true\n}',
        '{\n\t"debug": true,\n\t"registry-mirrors": [\n\t\t"https://m1",\n\t\t"https://m2:5000"\n\t]\n}',
    ),
    (
        "Windows line ends",
        '{\r\n    "debug": true\r\n}\r\n',
        '{\r\n    "debug": true,\r\n    "registry-mirrors": [\r\n        "https://m1",\r\n'
        '        "https://m2:5000"\r\n    ]\r\n}\r\n',
    ),
    ("one line", '{"debug": true}', '{"debug": true, "registry-mirrors": ["https://m1", "https://m2:5000"]}'),
    (
        "byte order mark",
        '\ufeff{"debug": true}',
        '\ufeff{"debug": true, "registry-mirrors": ["https://m1", "https://m2:5000"]}',
    ),
    (
        "others' mirrors come after ours",
        '{\n  "registry-mirrors": ["https://other"],\n  "debug": true\n}\n',
        '{\n  "registry-mirrors": ["https://m1", "https://m2:5000", "https://other"],\n  "debug": true\n}\n',
    ),
    (
        "ours move to the front in our order",
        '{"registry-mirrors": ["https://other", "https://m2:5000/", "https://m1"]}',
        '{"registry-mirrors": ["https://m1", "https://m2:5000", "https://other"]}',
    ),
    (
        "a list over several lines stays one",
        '{\n "registry-mirrors": [\n  "https://other"\n ]\n}\n',
        '{\n "registry-mirrors": [\n  "https://m1",\n  "https://m2:5000",\n  "https://other"\n ]\n}\n',
    ),
    (
        "odd layout, numbers, escapes and unknown keys",
        '{ "a" :1.50 ,\n"b": {"registry-mirrors": 3, "x": [1,2 , 3]},   "\\u00e9": "\\/é"}',
        '{ "a" :1.50 ,\n"b": {"registry-mirrors": 3, "x": [1,2 , 3]},   "\\u00e9": "\\/é",'
        ' "registry-mirrors": ["https://m1", "https://m2:5000"]}',
    ),
]

# (what it is, before, after removing OURS, after removing them with --keep-list)
REMOVALS = [
    ("no entry", '{"debug": true}', '{"debug": true}', '{"debug": true, "registry-mirrors": []}'),
    ("nothing else in it", '{\n  "registry-mirrors": ["https://m1"]\n}\n', "{}\n", None),
    (
        "first of several",
        '{"registry-mirrors": ["https://m1"], "debug": true}',
        '{"debug": true}',
        '{"registry-mirrors": [], "debug": true}',
    ),
    (
        "between others",
        '{\n  "a": 1,\n  "registry-mirrors": ["https://m1/"],\n  "b": 2\n}',
        '{\n  "a": 1,\n  "b": 2\n}',
        '{\n  "a": 1,\n  "registry-mirrors": [],\n  "b": 2\n}',
    ),
    (
        "others' mirrors stay",
        '{"registry-mirrors": ["https://m1", "https://other"]}',
        '{"registry-mirrors": ["https://other"]}',
        '{"registry-mirrors": ["https://other"]}',
    ),
    (
        "only others' mirrors",
        '{"registry-mirrors": [ "https://other" ]}',
        '{"registry-mirrors": [ "https://other" ]}',
        '{"registry-mirrors": [ "https://other" ]}',
    ),
]

# (what it is, the text, where and what)
UNREADABLE = [
    ("a comma too many", '{"a": 1,\n}', "line 2, column 1: expected a name in double quotes (the comma"),
    ("a comma missing", '{\n  "a": 1\n  "b": 2\n}', "line 3, column 3: expected a comma or }"),
    ("a comment", '{\n  // mine\n  "a": 1\n}', "line 2, column 3: expected a name in double quotes"),
    ("single quotes", "{'a': 1}", "line 1, column 2: expected a name in double quotes"),
    ("a bare word", '{"a": yes}', "line 1, column 7: expected a value"),
    ("a number that is none", '{"a": NaN}', "line 1, column 7: expected a value"),
    ("a leading zero", '{"a": 010}', "line 1, column 8: expected a comma or }"),
    ("a colon missing", '{"a" 1}', "line 1, column 6: expected a colon"),
    ("cut short", '{\n  "a": [1,\n', "line 3, column 1: expected a value"),
    ("an open string", '{"a": "b\n}', "line 1, column 7: expected a value"),
    ("something behind it", '{"a": 1}\n{}', "line 2, column 1: something follows the closing brace"),
    ("a list", '["https://m1"]', "line 1, column 1: the file must hold an object"),
    ("text", "debug\n", "line 1, column 1: expected a value"),
    ("deep inside", '{"a": {"b": [{"c": tru}]}}', "line 1, column 20: expected a value"),
    ("mirrors as text", '{"registry-mirrors": "https://m1"}', 'line 1, column 22: "registry-mirrors" is'),
    ("mirrors as numbers", '{"registry-mirrors": [1]}', 'line 1, column 22: "registry-mirrors" is'),
    ("twice", '{"registry-mirrors": [],\n "registry-mirrors": []}', 'line 2, column 2: "registry-mirrors"'),
]


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in MERGES], ids=[case[0] for case in MERGES])
def test_our_mirrors_go_first_and_all_else_stays(before: str, after: str) -> None:
    assert merge(before, OURS) == after
    parsed = json.loads(after.removeprefix("\ufeff"))
    assert parsed["registry-mirrors"][:2] == OURS
    others = json.loads(before.removeprefix("\ufeff")) if before.strip() else {}
    assert {key: parsed[key] for key in others if key != "registry-mirrors"} == {
        key: value for key, value in others.items() if key != "registry-mirrors"
    }


@pytest.mark.parametrize("before", [case[1] for case in MERGES], ids=[case[0] for case in MERGES])
def test_a_second_merge_changes_nothing(before: str) -> None:
    once = merge(before, OURS)
    assert merge(once, OURS) == once


WITHOUT_MIRRORS = [
    before for _, before, _ in MERGES if before.strip() and '"registry-mirrors": [' not in before
]


@pytest.mark.parametrize("before", WITHOUT_MIRRORS)
def test_a_file_without_mirrors_is_the_same_after_merge_and_removal(before: str) -> None:
    assert remove(merge(before, OURS), OURS) == before
    assert remove(remove(merge(before, OURS), OURS, keep_list=True), OURS) == before


@pytest.mark.parametrize(
    ("before", "after", "kept"), [case[1:] for case in REMOVALS], ids=[case[0] for case in REMOVALS]
)
def test_removal_takes_ours_only(before: str, after: str, kept: str | None) -> None:
    assert remove(before, OURS) == after
    json.loads(after)
    if kept is not None:
        assert remove(before, OURS, keep_list=True) == kept


@pytest.mark.parametrize(("text", "place"), [case[1:] for case in UNREADABLE], ids=[c[0] for c in UNREADABLE])
def test_an_unreadable_file_is_told_with_line_and_column(text: str, place: str) -> None:
    for change in (merge, remove):
        with pytest.raises(Unreadable) as caught:
            change(text, OURS)
        assert str(caught.value).startswith(place)


def test_what_python_reads_as_json_is_read_here_too() -> None:
    texts = [
        '{"a": -1.5e+3, "b": [null, false, {}], "c": "\\u00e9\\\\\\"", "": []}',
        '{"a":{"b":{"c":[[]]}}}',
        "{ }",
    ]
    for text in texts:
        assert json.loads(merge(text, OURS)) == json.loads(text) | {"registry-mirrors": OURS}


# The program on the host


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As the script on the host does it: the source on the command line, no files beside it."""
    command = [sys.executable, "-c", SOURCE.read_text(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_program_says_whether_it_changed_the_file(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"debug": true}')
    assert run("merge", str(file), *OURS).stdout == "changed\n"
    assert run("merge", str(file), *OURS).stdout == "unchanged\n"
    assert run("remove", str(file), "--keep-list", *OURS).stdout == "changed\n"
    assert json.loads(file.read_text())["registry-mirrors"] == []
    assert run("remove", str(file), *OURS).stdout == "changed\n"
    assert file.read_text() == '{"debug": true}'


def test_mode_owner_and_link_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "real.json", tmp_path / "daemon.json"
    file.write_text("{}")
    file.chmod(0o640)
    os.chown(file, 12345, 23456)
    link.symlink_to(file)
    assert run("merge", str(link), *OURS).stdout == "changed\n"
    status = file.stat()
    assert link.is_symlink()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, 12345, 23456)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["daemon.json", "real.json"]


def test_a_new_file_can_be_read_by_all_and_gets_its_directory(tmp_path: Path) -> None:
    file = tmp_path / "docker" / "daemon.json"
    assert run("merge", str(file), *OURS).stdout == "changed\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert json.loads(file.read_text()) == {"registry-mirrors": OURS}


def test_removing_from_a_file_that_is_not_there_makes_none(tmp_path: Path) -> None:
    assert run("remove", str(tmp_path / "daemon.json"), "--keep-list", *OURS).stdout == "unchanged\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "place"),
    [(b'{"a": 1,}', "line 1, column 9:"), (b'{\n "a": "\xff"}', "line 2, column 8: not UTF-8 text")],
)
def test_an_unreadable_file_is_left_alone(content: bytes, place: str, tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_bytes(content)
    done = run("merge", str(file), *OURS)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith(f"{file}: {place}")
    assert file.read_bytes() == content


def test_a_check_changes_nothing_and_finds_what_cannot_be_edited(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"debug": true}')
    bad.write_text('{"registry-mirrors": "https://other"}')
    assert run("check", str(good)).stdout == "unchanged\n"
    assert good.read_text() == '{"debug": true}'
    refused = run("check", str(bad))
    assert refused.returncode == 3
    assert refused.stderr.startswith(f"{bad}: line 1, column 22:")


def test_what_a_killed_run_left_is_no_obstacle(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    (tmp_path / ".daemon.json.registry-cache").write_text('{"half": ')
    assert run("merge", str(file), *OURS).stdout == "changed\n"
    assert [path.name for path in tmp_path.iterdir()] == ["daemon.json"]


def test_the_source_runs_on_python_2_7_and_on_3_6() -> None:
    vermin = Path(sys.executable).with_name("vermin")
    command = [vermin, "--target=2.7-", "--target=3.6-", "--violations", SOURCE]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
