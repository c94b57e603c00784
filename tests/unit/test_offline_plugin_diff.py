"""The difference between old and new inputs."""

import pytest

from offline_plugins.diff import Change, ChangeKind, changes, parse_path, without_ignored
from offline_plugins.spec import Path
from offline_plugins.values import UNKNOWN, Archive, Asset, Properties, Secret

ADD, DELETE, UPDATE = ChangeKind.ADD, ChangeKind.DELETE, ChangeKind.UPDATE

CASES: list[tuple[str, Properties, Properties, list[tuple[Path, ChangeKind]]]] = [
    ("nothing", {"a": [1, {"b": "c"}]}, {"a": [1, {"b": "c"}]}, []),
    ("changed", {"a": "x"}, {"a": "y"}, [(("a",), UPDATE)]),
    ("added", {}, {"a": "y"}, [(("a",), ADD)]),
    ("removed", {"a": "x"}, {}, [(("a",), DELETE)]),
    ("None is absent", {"a": None}, {"b": None}, []),
    ("None to a value", {"a": None}, {"a": 0}, [(("a",), ADD)]),
    ("nested", {"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [(("a", "b", 1), UPDATE)]),
    ("list grew", {"a": [1]}, {"a": [1, 2]}, [(("a", 1), ADD)]),
    ("list shrank", {"a": [1, 2]}, {"a": [1]}, [(("a", 1), DELETE)]),
    ("other type", {"a": [1]}, {"a": {"b": 1}}, [(("a",), UPDATE)]),
    ("True is not 1", {"a": True}, {"a": 1}, [(("a",), UPDATE)]),
    ("unknown", {"a": "x"}, {"a": UNKNOWN}, [(("a",), UPDATE)]),
    ("nested unknown", {"a": {"b": "x", "c": 1}}, {"a": {"b": UNKNOWN, "c": 1}}, [(("a", "b"), UPDATE)]),
    ("only secretness", {"a": "x"}, {"a": Secret("x")}, []),
    ("inside a secret", {"a": Secret({"b": 1})}, {"a": Secret({"b": 2})}, [(("a", "b"), UPDATE)]),
    ("secret unknown", {"a": Secret("x")}, {"a": Secret(UNKNOWN)}, [(("a",), UPDATE)]),
    ("asset with the same hash", {"a": Asset(hash="1", path="/x")}, {"a": Asset(hash="1")}, []),
    (
        "asset with another hash",
        {"a": Asset(hash="1", path="/x")},
        {"a": Asset(hash="2")},
        [(("a",), UPDATE)],
    ),
    ("asset to archive", {"a": Asset(hash="1")}, {"a": Archive(hash="1")}, [(("a",), UPDATE)]),
]


@pytest.mark.parametrize(("old", "new", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_difference(old: Properties, new: Properties, expected: list[tuple[Path, ChangeKind]]) -> None:
    assert [(change.path, change.kind) for change in changes(old, new)] == expected


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        ("a[0].b", ("a", 0, "b")),
        ('a["b.c"].d', ("a", "b.c", "d")),
        ('["a"]', ("a",)),
        ("a[*].b", ("a", None, "b")),
        ("a.*", ("a", None)),
    ],
)
def test_a_property_path_is_read(text: str, parts: tuple[str | int | None, ...]) -> None:
    assert parse_path(text) == parts


def test_what_is_no_path_is_an_error() -> None:
    with pytest.raises(ValueError, match="'a\\[' is not a property path"):
        parse_path("a[")


@pytest.mark.parametrize(
    ("ignored", "left"),
    [
        ([], [("a", 0, "b"), ("a", 1, "b"), ("c", "d.e")]),
        (["a"], [("c", "d.e")]),
        (["a[0]"], [("a", 1, "b"), ("c", "d.e")]),
        (["a[*].b"], [("c", "d.e")]),
        (['c["d.e"]'], [("a", 0, "b"), ("a", 1, "b")]),
        (["a[0].b.x"], [("a", 0, "b"), ("a", 1, "b"), ("c", "d.e")]),
        (["a", "c"], []),
    ],
)
def test_ignored_changes_are_left_out_at_any_depth(ignored: list[str], left: list[Path]) -> None:
    found = [Change(("a", 0, "b"), UPDATE), Change(("a", 1, "b"), UPDATE), Change(("c", "d.e"), UPDATE)]
    assert [change.path for change in without_ignored(found, ignored)] == left
