"""What is wrong with a configuration, said so that the reader can put it right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import ErrorDetails, PydanticCustomError

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of the stack's configuration down to a value."""

_EXAMPLES = {
    "name": "name: web-1",
    "address": "address: 203.0.113.10",
    "registry": "registry: docker.io",
    "container": "container: registry-cache",
    "hostKey": "hostKey: ssh-ed25519 AAAA…",
}


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what is wrong ("it …"), and what would be right.

    `rests_on` names other values that the judgement was built on: where one of them is itself wrong, this
    problem may be only its echo, and is left out.
    """

    path: KeyPath
    what: str
    remedy: str
    rests_on: tuple[KeyPath, ...] = ()

    def __str__(self) -> str:
        end = "" if self.remedy.endswith("?") else "."
        return f"{render_path(self.path)} {self.what}; {self.remedy}{end}"

    def echoes(self, others: Iterable[Problem]) -> bool:
        """Whether one of `others` is about the same value, one around or in it, or one that this rests on."""
        mine = (self.path, *self.rests_on)
        return any(_related(path, other.path) for other in others for path in mine)


class SettingsError(Exception):
    """Everything that is wrong with the configuration, in one message. Never holds a secret."""

    def __init__(self, problems: Sequence[Problem], origins: Mapping[str, str] | None = None) -> None:
        self.problems = tuple(problems)
        count = "a mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        lines = [f"  {_origin(problem, origins or {})}{problem}" for problem in problems]
        super().__init__("\n".join([f"The configuration has {count}; nothing was touched:", *lines]))


def refuse(what: str, remedy: str) -> PydanticCustomError:
    """Return the error that a validator raises: the two halves of a Problem, without its path."""
    return PydanticCustomError("setting", "{what}", {"what": what, "remedy": remedy})


def render_path(path: KeyPath) -> str:
    """Write a path as in `mirrors[0].hostKey`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def in_order(problems: Sequence[Problem], sections: Sequence[str | None]) -> list[Problem]:
    """Return the problems in the order of the sections, unknown keys at the end."""
    return sorted(problems, key=lambda problem: [*sections, problem.path[0]].index(problem.path[0]))


def show(value: object) -> str:
    """Return a value that is no secret, short enough for a message."""
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}…")


def kind_of(value: object) -> str:
    """Name the kind of a YAML value without showing the value."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false (in YAML yes, no, on and off mean that too)"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a set of keys" if isinstance(value, Mapping) else "a list"


def from_pydantic(error: ErrorDetails, known: Mapping[KeyPath, Sequence[str]]) -> Problem:
    """Turn one of pydantic's errors into a Problem.

    `known` holds the keys that each section knows; list positions in its paths are left out.
    """
    path: KeyPath = error["loc"]
    context = error.get("ctx", {})
    if error["type"] == "setting":
        return Problem(path, context["what"], context["remedy"])
    if error["type"] == "extra_forbidden":
        return Problem(path, "is not a known key", _nearest_key(path, known))
    if error["type"] == "missing":
        key = str(path[-1])
        return Problem(path, "is missing", f"add it, as in `{_EXAMPLES.get(key, f'{key}: …')}`")
    if error["type"] == "literal_error":
        return Problem(
            path, f"is {show(error['input'])}", f"write {context['expected'].replace(chr(39), '')}"
        )
    return _wrong_kind(path, error, known)


def _wrong_kind(path: KeyPath, error: ErrorDetails, known: Mapping[KeyPath, Sequence[str]]) -> Problem:
    kind, value = kind_of(error["input"]), error["input"]
    keys = ", ".join(known.get(_section(path), ()))
    in_quotes = isinstance(value, int | float)
    wanted = {
        "string_type": ("text", "write it in quotes" if in_quotes else "write plain text"),
        "tuple_type": ("a list", "write a list: [ … ], or one `- …` a line"),
        "model_type": ("a set of keys", f"it takes the keys {keys}"),
        "bool_type": ("a switch", "write true or false"),
        "bool_parsing": ("a switch", "write true or false"),
    }
    if error["type"] not in wanted:
        return Problem(path, f"is not right: {error['msg']}", "compare it with Pulumi.prod.yaml")
    name, remedy = wanted[error["type"]]
    return Problem(path, f"is {kind}, not {name}", remedy)


def _section(path: KeyPath) -> KeyPath:
    return tuple(part for part in path if isinstance(part, str))


def _nearest_key(path: KeyPath, known: Mapping[KeyPath, Sequence[str]]) -> str:
    section, key = _section(path[:-1]), str(path[-1])
    here = known.get(section, ())
    bare = key.rpartition(":")[2]
    folded = {name.replace("_", "").lower(): name for name in here}
    elsewhere = [(*place, bare) for place, names in known.items() if bare in names]
    if len(elsewhere) == 1 and bare not in here:
        return f"it belongs in {render_path(elsewhere[0])}"
    near = difflib.get_close_matches(bare.replace("_", "").replace("-", "").lower(), folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean {folded[near[0]]}?"
    return f"known here: {', '.join(here)}"


def _related(one: KeyPath, other: KeyPath) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _origin(problem: Problem, origins: Mapping[str, str]) -> str:
    file = origins.get(str(problem.path[0])) if problem.path else None
    return f"{file}: " if file else ""
