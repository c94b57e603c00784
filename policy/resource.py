"""A resource as the engine hands it to a policy: its inputs before anything is done with them.

Values stand as they travel: a secret in its envelope, and in place of what is not known yet a mark.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi_policy import proxy
from pulumi_policy.deserialize import SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY

SECRET, SIGNATURE = SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY
UNKNOWN = frozenset(
    value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_") and name.endswith("_VALUE")
)
"""The engine's marks for values that a preview cannot know."""


@dataclass(frozen=True)
class Resource:
    """One resource. `provider` holds the inputs of the provider that it goes through."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    provider: Mapping[str, Any] = field(default_factory=dict)

    def get(self, *path: str) -> Any:
        """The input at `path`, out of every secret's envelope; None where there is none."""
        value: Any = self.inputs
        for part in path:
            value = value.get(part) if isinstance(value := revealed(value), Mapping) else None
        return revealed(value)

    def text(self, *path: str) -> str:
        """The input at `path` where it is text and known, else an empty one."""
        value = self.get(*path)
        return value if isinstance(value, str) and value not in UNKNOWN else ""

    @property
    def is_command(self) -> bool:
        """Whether it is one of the command provider's."""
        return self.type.startswith("command:")

    @property
    def host(self) -> str:
        """The address that a remote Command, or the Docker API that a resource goes through, is at."""
        if self.type.startswith("command:remote:"):
            return self.text("connection", "host")
        address = str(revealed(self.provider.get("host")) or "")
        return address.rpartition("@")[2].rpartition(":")[0].strip("[]")


@dataclass(frozen=True)
class Circumstances:
    """What the rules know besides resources: the stack's name, and what its configuration says."""

    stack: str
    valid_days: int = 365
    passwords: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Case:
    """A resource that is judged, those that the engine was given before it, and the circumstances."""

    resource: Resource
    before: Sequence[Resource]
    circumstances: Circumstances


def is_secret(value: object) -> bool:
    """Whether a value is in a secret's envelope."""
    return isinstance(value, Mapping) and value.get(SIGNATURE) == SECRET


def is_unknown(value: object) -> bool:
    """Whether a preview cannot know the value."""
    return isinstance(value, str) and value in UNKNOWN


def revealed(value: Any) -> Any:
    """A value without the envelopes around it and in it."""
    if is_secret(value):
        return revealed(value["value"])
    if isinstance(value, Mapping):
        return {key: revealed(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [revealed(inner) for inner in value]
    return value


def open_texts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every known text in a value that is in no secret's envelope, with its path.

    Providers get structured settings as JSON text: what stands in there is looked at as well.
    """
    if is_secret(value) or is_unknown(value):
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from open_texts(inner, (*path, key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for position, inner in enumerate(value):
            yield from open_texts(inner, (*path, str(position)))
    elif isinstance(value, str):
        inner = structured(value)
        if inner is None:
            yield path, value
        else:
            yield from open_texts(inner, path)


def structured(text: str) -> Any:
    """What a text says that is a JSON list or object; None for any other."""
    if not text.startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
