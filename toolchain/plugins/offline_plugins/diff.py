"""The structural difference between a resource's old and new inputs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from offline_plugins.spec import Path
from offline_plugins.values import UNKNOWN, Archive, Asset, Properties, Value, reveal

_PATH_PART = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\[\*\]|\["((?:[^"\\]|\\.)*)"\]')


class ChangeKind(Enum):
    """What happened to one property."""

    ADD = "ADD"
    DELETE = "DELETE"
    UPDATE = "UPDATE"


@dataclass(frozen=True)
class Change:
    """One property that differs.

    `of_inputs` says between what: the old and the new inputs, or else the state and the new inputs (a
    resource that is no longer as it was made, although the program asks for the same). It decides what a
    person is shown.
    """

    path: Path
    kind: ChangeKind
    of_inputs: bool = True


def changes(old: Properties, new: Properties) -> list[Change]:
    """Every property that differs, in a stable order.

    A property that is None counts as absent. An unknown differs from everything. Whether a value is secret
    does not matter, only the value. Assets and archives are compared by hash.
    """
    return list(_object_changes(reveal(old), reveal(new), ()))


def _object_changes(old: Properties, new: Properties, path: Path) -> Iterable[Change]:
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        yield from _value_changes(before, after, (*path, name))


def _value_changes(old: Value, new: Value, path: Path) -> Iterable[Change]:
    if old is None and new is None:
        return
    if old is None:
        yield Change(path, ChangeKind.ADD)
    elif new is None:
        yield Change(path, ChangeKind.DELETE)
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _object_changes(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            if index >= len(new):
                yield Change((*path, index), ChangeKind.DELETE)
            elif index >= len(old):
                yield Change((*path, index), ChangeKind.ADD)
            else:
                yield from _value_changes(old[index], new[index], (*path, index))
    elif new is UNKNOWN or not _same(old, new):
        yield Change(path, ChangeKind.UPDATE)


def _same(old: Value, new: Value) -> bool:
    if isinstance(old, Asset | Archive) and isinstance(new, Asset | Archive) and old.hash and new.hash:
        return type(old) is type(new) and old.hash == new.hash
    # True == 1 in Python, but not in Pulumi
    return isinstance(old, bool) == isinstance(new, bool) and old == new


def parse_path(text: str) -> tuple[str | int | None, ...]:
    """The parts of a property path in Pulumi's notation; None stands for the wildcard `*`.

    ValueError where the text is not a path.
    """
    parts: list[str | int | None] = []
    position = 0
    while position < len(text):
        found = _PATH_PART.match(text, position)
        if found is None:
            raise ValueError(f"'{text}' is not a property path (at character {position + 1})")
        name, index, quoted = found.groups()
        if name is not None:
            parts.append(None if name == "*" else name)
        elif index is not None:
            parts.append(int(index))
        elif quoted is not None:
            parts.append(quoted.replace('\\"', '"'))
        else:
            parts.append(None)
        position = found.end()
    return tuple(parts)


def without_ignored(found: Iterable[Change], ignore_changes: Iterable[str]) -> list[Change]:
    """The changes that stand neither at nor below a path of `ignore_changes`."""
    ignored = [parse_path(text) for text in ignore_changes]
    return [change for change in found if not any(_covers(pattern, change.path) for pattern in ignored)]


def _covers(pattern: tuple[str | int | None, ...], path: Path) -> bool:
    return len(pattern) <= len(path) and all(
        wanted is None or wanted == part for wanted, part in zip(pattern, path, strict=False)
    )
