"""From what a stack file says to a checked model, with every mistake found on the way."""

from __future__ import annotations

import copy
import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from components import settings_errors
from components.settings_errors import Problem, SettingsError, kind_of

Model = TypeVar("Model", bound=BaseModel)
PROJECT_FILE = "Pulumi.yaml"


def value_of_text(text: str) -> object:
    """Return what Pulumi keeps as text: JSON for all but plain strings."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def without_empty(values: Mapping[str, object]) -> dict[str, object]:
    """Return the keys that somebody wrote: Pulumi.yaml gives every key an empty default."""
    return {key: value for key, value in values.items() if value not in ("", [], {})}


def with_include(raw: Mapping[str, object], directory: Path) -> tuple[dict[str, object], dict[str, str]]:
    """Return `raw` with the keys of the file that its `include` names, and which keys come from which file.

    Raises SettingsError where the file cannot be read or repeats a key.
    """
    own = {key: value for key, value in raw.items() if key != "include"}
    name = raw.get("include")
    if name is None:
        return own, {}
    included = _read_yaml(name, directory)
    twice = [key for key in included if key in own]
    if twice:
        what = f"is in the stack file and in {name}"
        raise SettingsError([Problem((key,), what, "keep one of the two") for key in twice])
    if "include" in included:
        raise SettingsError(
            [Problem(("include",), f"names {name}, which has an include itself", "put all into one")]
        )
    return own | included, dict.fromkeys(included, str(name))


def shared_by_all(directory: Path) -> dict[str, object]:
    """Return what Pulumi.yaml gives all stacks of the project in `directory` as a key's `default`."""
    file = directory / PROJECT_FILE
    project = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
    prefix = f"{project.get('name')}:"
    defaults = {
        key.removeprefix(prefix): entry.get("default")
        for key, entry in (project.get("config") or {}).items()
        if isinstance(entry, dict)
    }
    return without_empty({key: value for key, value in defaults.items() if value is not None})


def with_shared(
    data: Mapping[str, object], origins: Mapping[str, str], shared: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, str]]:
    """Return `data` on top of what all stacks share, and which keys come from which file.

    Sections go key by key, lists and single values as a whole.
    """
    merged = dict(shared)
    for key, value in data.items():
        below = shared.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = {**below, **value}
        else:
            merged[key] = value
    return merged, {**{key: PROJECT_FILE for key in shared if key not in data}, **origins}


def _read_yaml(name: object, directory: Path) -> dict[str, object]:
    def wrong(what: str, remedy: str) -> SettingsError:
        return SettingsError([Problem(("include",), what, remedy)])

    if not isinstance(name, str):
        raise wrong(
            f"is {kind_of(name)}, not the name of a file", "write a path, from the project's directory on"
        )
    path = directory / Path(name).expanduser()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "correct the path, or make the file: the lab's (.state/lab/…) is written by `make up`"
        raise wrong(f"names {name}, which does not exist", remedy) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise wrong(f"names {name}, which is not YAML{place}: {error.problem}", "correct it there") from None
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise wrong(
            f"names {name}, which cannot be read: {type(error).__name__}", "correct it there"
        ) from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise wrong(
            f"names {name}, which holds {kind_of(content)}", "write keys such as mirrors: and clients: in it"
        )
    return content


def validate_all(
    model: type[Model], data: Mapping[str, object], directory: Path
) -> tuple[Model, list[Problem]]:
    """Return the model without the values that are wrong, and a Problem for each of those.

    So that rules over several values can be checked on what is right, and all mistakes are known at once:
    each wrong value gives way to its default, or to a stand-in where there is none.
    """
    rest = typing.cast("dict[str, object]", _without_nulls(copy.deepcopy(dict(data))))
    known = _known_keys(model)
    problems: list[Problem] = []
    while True:
        try:
            return model.model_validate(rest, context={"directory": directory}), problems
        except ValidationError as error:
            found = error.errors(include_url=False)
        earlier = tuple(problems)
        news = (settings_errors.from_pydantic(detail, known) for detail in found)
        problems += [problem for problem in news if not problem.echoes(earlier)]
        # From the end, so that taking out a list's element does not move the others that are still to go.
        for location in sorted({detail["loc"] for detail in found}, key=str, reverse=True):
            _take_out(rest, location)


def _without_nulls(value: object) -> object:
    """A key without a value counts as not given; an empty list element stays and is refused."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(inner) for inner in value]
    return value


def _take_out(data: dict[str, object], location: tuple[str | int, ...]) -> None:
    """Replace or remove the value at `location`, so that what is left is valid there."""
    holder: typing.Any = data
    for part in location[:-1]:
        holder = holder[part]
    last = location[-1]
    entry = next((part for part in reversed(location) if isinstance(part, int)), 0)
    stand_ins: dict[str | int, object] = {
        "name": f"stand-in-{entry}",
        "address": f"{location[0]}-{entry}.invalid",
        "registry": f"stand-in-{entry}.invalid",
        "container": f"stand-in-{entry}",
    }
    if isinstance(last, int):
        if location[0] in ("mirrors", "clients", "upstreams") and len(location) == 2:
            holder[last] = {}
        else:
            del holder[last]
    elif last in stand_ins and isinstance(holder, dict):
        holder[last] = stand_ins[last]
    else:
        del holder[last]


def _known_keys(model: type[BaseModel]) -> dict[tuple[str | int, ...], Sequence[str]]:
    known: dict[tuple[str | int, ...], Sequence[str]] = {}

    def visit(part: type[BaseModel], path: tuple[str, ...]) -> None:
        known[path] = [field.alias or name for name, field in part.model_fields.items()]
        for name, field in part.model_fields.items():
            for inner in _models_in(field.annotation):
                visit(inner, (*path, field.alias or name))

    visit(model, ())
    return known


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in typing.get_args(annotation) for found in _models_in(inner)]
