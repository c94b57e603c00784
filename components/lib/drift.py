"""What was changed on a host since the last ``up``, as components/scripts/observe.sh prints it, in words.

A step that ran leaves a stamp on its host: its mark, which is how often it was put right, and what it
watches. The mark is part of the step's command, so a step that has to be put right is one whose command has
the next mark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SHOWN_LINES = 20
"""Of one file's changed lines."""
SHOWN_CHARACTERS = 160
"""Of one changed line."""
# Our files that are shown have no secrets, but somebody may have written one into them.
_IN_URL = re.compile(r"://[^/@\s]+@")
_ASSIGNED = re.compile(
    r"(?i)((?:pass\w*|secret\w*|\w*token\w*|auth\w*|credential\w*|(?:api|access|private)_?key)[\"']?\s*[:=]\s*)\S.*"
)

Applied = Mapping[str, int]
"""The steps that the last ``up`` left on a host, with their marks."""


@dataclass(frozen=True)
class Difference:
    """One fact that is not as its step left it. ``lines`` are a text's changed ones, where it may show."""

    kind: str
    name: str
    was: str
    now: str
    lines: Sequence[str] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self._subject}: {self._change}", *self._shown()])

    @property
    def _subject(self) -> str:
        return _SUBJECTS.get(self.kind, "{}").format(self.name)

    @property
    def _change(self) -> str:
        if self.now == "gone":
            return "gone"
        if self.kind == "file":
            return _file_change(self.was.split(), self.now.split())
        if self.kind in {"nft", "settings"}:
            return "changed"
        if self.kind == "inside":
            return "it runs on files that were replaced meanwhile"
        if self.kind in {"configured", "holder"}:
            return self.now
        if self.kind == "mirrors":
            return f"{'none' if self.now == '-' else self.now.strip()} instead of {self.was} first"
        return f"{self.now} instead of {self.was}"

    def _shown(self) -> list[str]:
        if any("PRIVATE KEY" in line for line in self.lines):
            return ["    (not shown: a private key is in it)"]
        shown = [_printable(line) for line in self.lines[:SHOWN_LINES]]
        more = len(self.lines) - len(shown)
        return [f"    {line}" for line in shown] + ([f"    … and {more} more lines"] if more > 0 else [])


_SUBJECTS = {
    "package": "package {}",
    "unit": "{}",
    "nft": "the firewall's table {}",
    "settings": "the settings of the container {}",
    "inside": "the container {}",
    "state": "the container {}",
    "holder": "the container {}",
    "mirrors": "the running Docker's mirrors",
    "opening": "the opening ({})",
    "member": "the group's member ({})",
}


@dataclass(frozen=True)
class Stamp:
    """What a host says of one step. ``unfinished``: its last run did not end well."""

    mark: int
    unfinished: bool = False
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The mark that a step's command is to have, and why, where that is another one than before."""

    mark: int
    reasons: tuple[str, ...] = field(default=())


def read(answer: str) -> dict[str, Stamp]:
    """The stamps of a host by step, none where it has none.

    Raises ValueError for an answer that is not whole.
    """
    stamps: dict[str, Stamp] = {}
    step = ""
    lines = answer.split("\n")
    if lines[-2:] != ["end", ""]:
        raise ValueError("the answer is not whole")
    for text in lines[:-2]:
        word, *rest = text.split("\t")
        if word == "step":
            step = rest[0]
            stamps[step] = Stamp(int(rest[1]))
        elif word == "unfinished":
            stamps[step] = Stamp(stamps[step].mark, unfinished=True)
        elif word == "differs":
            found = Difference(*rest[:4])
            stamps[step] = Stamp(stamps[step].mark, False, (*stamps[step].differences, found))
        elif word == "line":
            *others, last = stamps[step].differences
            grown = Difference(last.kind, last.name, last.was, last.now, (*last.lines, text[len("line\t") :]))
            stamps[step] = Stamp(stamps[step].mark, False, (*others, grown))
        else:
            raise ValueError(f"the answer has a line that begins with {word!r}")
    return stamps


def verdict(step: str, applied: Applied | None, stamps: Mapping[str, Stamp] | None) -> Verdict:
    """What is to become of a step.

    ``applied`` is None for a host that no ``up`` has ended on, ``stamps`` where the host was not asked or
    gave no answer: then all stays as it was applied, so nothing shows as changed.
    """
    before = (applied or {}).get(step)
    if applied is None or stamps is None:
        return Verdict(before or 0)
    stamp = stamps.get(step)
    if stamp is None:
        if before is None:
            return Verdict(0)
        return Verdict(before + 1, ("the record of this step is gone",))
    following = max(stamp.mark, before or 0) + 1
    if before is not None and stamp.mark < before:
        return Verdict(following, ("the host is as it was before an earlier up",))
    if stamp.unfinished:
        return Verdict(following, ("its last run did not end well",))
    if stamp.differences:
        return Verdict(following, tuple(map(str, stamp.differences)))
    return Verdict(stamp.mark)


def suffix(mark: int) -> str:
    """How a mark stands at the end of a command's digest; the first one does not."""
    return f"+{mark}" if mark else ""


def mark_in(command: str, step: str) -> int | None:
    """The mark in a step's command, None where the command is of another form."""
    found = re.search(rf" {re.escape(step)} [0-9a-f]{{12}}(?:\+([0-9]+))? ", f"{command} ")
    return None if found is None else int(found[1] or 0)


def write_applied(marks: Mapping[str, int]) -> str:
    """The steps of a host and their marks as one line."""
    return " ".join(f"{step}{suffix(mark)}" for step, mark in marks.items())


def read_applied(line: str) -> dict[str, int]:
    """The opposite."""
    parts = [part.partition("+") for part in line.split()]
    return {step: int(mark or 0) for step, _, mark in parts}


def _file_change(was: Sequence[str], now: Sequence[str]) -> str:
    if len(was) != 3 or len(now) != 3:
        return f"{' '.join(now)} instead of a file"
    names = ("mode", "owner")
    changes = [
        f"{name} {new} instead of {old}"
        for name, old, new in zip(names, was, now, strict=False)
        if old != new
    ]
    if was[2] != now[2]:
        changes.append("content changed")
    return ", ".join(changes)


def _printable(line: str) -> str:
    line = _IN_URL.sub("://[hidden]@", _ASSIGNED.sub(r"\1[hidden]", line))
    text = "".join(character if character.isprintable() or character == "\t" else "�" for character in line)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
