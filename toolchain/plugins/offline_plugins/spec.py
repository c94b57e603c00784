"""What a resource type takes and gives; checking, defaults and secret marks follow from it.

A `Spec` lists a resource's inputs and computed outputs. `Spec.check` is the Check step of the provider
protocol: it fills in defaults, marks secrets, and reports missing, unknown, refused and wrongly typed inputs,
each with its path and what to do.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from offline_plugins.values import UNKNOWN, Archive, Asset, Properties, Secret, Value

Path = tuple[str | int, ...]
"""Where a value stands inside a resource's properties, outermost name first."""


@dataclass(frozen=True)
class Problem:
    """One mistake in the inputs: where, and what is wrong with the remedy."""

    path: Path
    reason: str


def path_text(path: Path) -> str:
    """A path in Pulumi's notation: `ports[0].external`, `labels["a.b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif any(character in part for character in '.[]"'):
            escaped = part.replace('"', '\\"')
            text += f'["{escaped}"]'
        else:
            text += f".{part}" if text else part
    return text


class Shape(ABC):
    """What values an input may have."""

    @abstractmethod
    def complete(self, value: Value, path: Path, problems: list[Problem]) -> Value:
        """The value with nested defaults and secret marks; mistakes are appended to `problems`.

        `value` is neither None, unknown nor a Secret: `complete` of this module takes those off.
        """

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The shape in the notation of Pulumi's package schema."""


def complete(shape: Shape, value: Value, path: Path, problems: list[Problem]) -> Value:
    """`shape.complete` for any value: unknowns pass, secrets are checked inside and stay secret."""
    if value is None or value is UNKNOWN:
        return value
    if isinstance(value, Secret):
        return Secret(complete(shape, value.value, path, problems))
    return shape.complete(value, path, problems)


def _type_problem(path: Path, wanted: str, value: Value) -> Problem:
    # the value itself is left out: it may hold a secret
    return Problem(path, f"'{path_text(path)}' must be {wanted}, not {_kind(value)}")


def _kind(value: Value) -> str:
    kinds: list[tuple[type, str]] = [
        (bool, "a boolean"),  # before int, of which it is one
        (int, "a number"),
        (float, "a number"),
        (str, "a string"),
        (list, "a list"),
        (Asset, "an asset"),
        (Archive, "an archive"),
    ]
    return next((name for kind, name in kinds if isinstance(value, kind)), "an object")


@dataclass(frozen=True)
class Text(Shape):
    """A string; one of `choices` if any are given."""

    choices: tuple[str, ...] = ()

    def complete(self, value: Value, path: Path, problems: list[Problem]) -> Value:
        if not isinstance(value, str):
            problems.append(_type_problem(path, "a string", value))
        elif self.choices and value not in self.choices:
            problems.append(Problem(path, f"'{path_text(path)}' must be one of {', '.join(self.choices)}"))
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True)
class Number(Shape):
    """A number, or with `whole` an integer."""

    whole: bool = False

    def complete(self, value: Value, path: Path, problems: list[Problem]) -> Value:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if not fits:
            problems.append(_type_problem(path, "a number", value))
        elif self.whole and not isinstance(value, int):
            problems.append(Problem(path, f"'{path_text(path)}' must be a whole number"))
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "integer" if self.whole else "number"}


@dataclass(frozen=True)
class Flag(Shape):
    """A boolean."""

    def complete(self, value: Value, path: Path, problems: list[Problem]) -> Value:
        if not isinstance(value, bool):
            problems.append(_type_problem(path, "a boolean", value))
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Anything(Shape):
    """Any value at all (Pulumi's `Any`)."""

    def complete(self, value: Value, path: Path, problems: list[Problem]) -> Value:
        return value

    def schema(self) -> dict[str, Any]:
        return {"$ref": "pulumi.json#/Any"}


@dataclass(frozen=True)
class AssetOrArchive(Shape):
    """A file, text or archive."""

    def complete(self, value: Value, path: Path, problems: list[Problem]) -> Value:
        if not isinstance(value, Asset | Archive):
            problems.append(_type_problem(path, "an asset or an archive", value))
        return value

    def schema(self) -> dict[str, Any]:
        return {"$ref": "pulumi.json#/Asset"}


@dataclass(frozen=True)
class ListOf(Shape):
    """A list of values of one shape."""

    item: Shape

    def complete(self, value: Value, path: Path, problems: list[Problem]) -> Value:
        if not isinstance(value, list):
            problems.append(_type_problem(path, "a list", value))
            return value
        return [complete(self.item, item, (*path, index), problems) for index, item in enumerate(value)]

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True)
class MapOf(Shape):
    """An object with any names, whose values have one shape."""

    item: Shape

    def complete(self, value: Value, path: Path, problems: list[Problem]) -> Value:
        if not isinstance(value, dict):
            problems.append(_type_problem(path, "an object", value))
            return value
        return {name: complete(self.item, item, (*path, name), problems) for name, item in value.items()}

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.item.schema()}


@dataclass(frozen=True)
class Field:
    """One input.

    `default` is filled in by Check; `secret` marks the value secret whatever the program did; `replaces`
    says that a change (at any depth) replaces the resource.
    """

    shape: Shape
    required: bool = False
    default: Value = None
    secret: bool = False
    replaces: bool = False


@dataclass(frozen=True)
class Object(Shape):
    """An object with known names.

    `refused` are names that the official schema has and that are not carried out.
    """

    fields: Mapping[str, Field]
    refused: frozenset[str] = frozenset()

    def complete(self, value: Value, path: Path, problems: list[Problem]) -> Value:
        if not isinstance(value, dict):
            problems.append(_type_problem(path, "an object", value))
            return value
        done: Properties = {}
        for name, given in value.items():
            here = (*path, name)
            if given is None:
                continue
            if name in self.fields:
                item = complete(self.fields[name].shape, given, here, problems)
                done[name] = marked(item) if self.fields[name].secret else item
            elif name in self.refused:
                problems.append(Problem(here, refusal(path_text(here))))
            else:
                known = ", ".join(sorted(self.fields))
                problems.append(Problem(here, f"'{path_text(here)}' is no known input; known are: {known}"))
        for name, wanted in self.fields.items():
            if name in done:
                continue
            if wanted.required:
                here = (*path, name)
                problems.append(Problem(here, f"the required input '{path_text(here)}' is missing"))
            elif wanted.default is not None:
                done[name] = marked(wanted.default) if wanted.secret else wanted.default
        return done

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {name: field_schema(wanted) for name, wanted in self.fields.items()},
            "required": sorted(name for name, wanted in self.fields.items() if wanted.required),
        }


def marked(value: Value) -> Value:
    """The value as a secret, once."""
    return value if isinstance(value, Secret) else Secret(value)


def refusal(name: str) -> str:
    """The reason given for an official input that an offline plugin does not carry out."""
    return (
        f"'{name}' is an input of the official plugin that this offline plugin of registry-cache does not"
        " carry out; leave it out, or install the official plugin"
    )


def field_schema(wanted: Field) -> dict[str, Any]:
    """An input in the notation of Pulumi's package schema."""
    schema = wanted.shape.schema()
    if wanted.default is not None:
        schema["default"] = wanted.default
    if wanted.secret:
        schema["secret"] = True
    if wanted.replaces:
        schema["replaceOnChanges"] = True
    return schema


@dataclass(frozen=True)
class Computed:
    """An output that the plugin fills in; if an input has the same name, where the program did not.

    `stable` outputs keep their value through an update; the others are unknown in the preview of an update.
    """

    secret: bool = False
    stable: bool = False


@dataclass(frozen=True)
class Spec:
    """One resource type: its official token, inputs, computed outputs, and how it is replaced."""

    token: str
    inputs: Mapping[str, Field]
    outputs: Mapping[str, Computed] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    delete_before_replace: bool = False

    def check(self, inputs: Properties) -> tuple[Properties, list[Problem]]:
        """The inputs with defaults and secret marks, and everything that is wrong with them."""
        problems: list[Problem] = []
        done = Object(self.inputs, self.refused).complete(inputs, (), problems)
        assert isinstance(done, dict)
        return done, problems

    def state(self, inputs: Properties, outputs: Mapping[str, Value]) -> Properties:
        """What is stored: the checked inputs as they are marked, and over them the outputs.

        An output is secret if the spec says so or if the input of the same name is.
        """
        stored = dict(inputs)
        for name, value in outputs.items():
            computed = self.outputs.get(name)
            secret = (computed is not None and computed.secret) or isinstance(inputs.get(name), Secret)
            stored[name] = marked(value) if secret else value
        return stored

    def replaces(self, path: Path) -> bool:
        """Whether a change at this path replaces the resource."""
        shape: Shape = Object(self.inputs)
        for part in path:
            if isinstance(shape, Object) and isinstance(part, str) and part in shape.fields:
                wanted = shape.fields[part]
                if wanted.replaces:
                    return True
                shape = wanted.shape
            elif isinstance(shape, ListOf | MapOf):
                shape = shape.item
            else:
                return False
        return False

    def schema(self) -> dict[str, Any]:
        """The resource in the notation of Pulumi's package schema."""
        return {
            "inputProperties": {name: field_schema(wanted) for name, wanted in self.inputs.items()},
            "requiredInputs": sorted(name for name, wanted in self.inputs.items() if wanted.required),
        }
