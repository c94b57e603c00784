"""Every setting with its meaning, form, default and example, from the model: docs/configuration.md.

To write that file anew: python -m components.reference >docs/configuration.md
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from components.settings import Settings
from components.settings_types import Example, Form

HEAD = """\
# Every setting

Written by `python -m components.reference` from the model, components/settings.py: what stands here is what
the program checks. Pulumi.prod.yaml has most of it as an example to edit.

In a stack file each of these keys has the project's name before it, as in `registry-cache:mirrors:`. What all
stacks of yours share stands in one place, `config:` of Pulumi.yaml, as a key's `default:`; a stack's own keys
go before it, key by key, lists as a whole. Every mistake is told in one message, before a host is touched.

`registry-cache:include` names one file with more of these keys, without the prefix, for what an inventory
writes. Relative paths begin at the project's directory, `~` is your home.
"""
NONE = "none"
SAID = "see there"
"""Where it follows from other settings, and the meaning says how."""
REQUIRED = "to be given"


def render() -> str:
    """The whole page, as Markdown."""
    parts = [HEAD, *_section("Keys of a stack", None, Settings)]
    for path, model in _sections(Settings):
        parts += _section(f"`{path}`", model.__doc__, model)
    return "\n".join(parts)


def examples(model: type[BaseModel] = Settings) -> Iterator[tuple[str, FieldInfo, object]]:
    """Each setting that is no section: its path, its field, and its example."""
    for prefix, part in [("", model), *_sections(model)]:
        for name, field in part.model_fields.items():
            if _model_in(field.annotation) is None:
                yield ".".join(filter(None, (prefix, field.alias or name))), field, _example(field)


def _sections(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None:
            path = f"{prefix}{field.alias or name}{'[]' if _is_list(field.annotation) else ''}"
            yield path, inner
            yield from _sections(inner, f"{path}.")


def _section(title: str, about: str | None, model: type[BaseModel]) -> list[str]:
    lines = [f"## {title}", ""]
    if about:
        lines += [about.partition(" Loaded settings")[0].strip(), ""]
    lines += ["| Key | Meaning | Form | Default | Example |", "|---|---|---|---|---|"]
    for name, field in model.model_fields.items():
        cells = (
            f"`{field.alias or name}`",
            " ".join((field.description or "").split()).replace("<", "&lt;"),
            _form(field),
            _default(field),
            _shown(_example(field)) if _model_in(field.annotation) is None else "",
        )
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return [*lines, ""]


def _form(field: FieldInfo) -> str:
    annotation = field.annotation
    section = _model_in(annotation)
    if section is not None:
        return "a list of keys, below" if _is_list(annotation) else "keys, below"
    words = _words(annotation, field.metadata)
    return f"list, each: {words}" if _is_list(annotation) else words


def _words(annotation: object, metadata: Sequence[object]) -> str:
    marker = _marker(annotation, metadata, Form)
    if marker is not None:
        return marker.words
    choices = _choices(annotation)
    if choices:
        return f"one of {', '.join(f'`{choice}`' for choice in choices)}"
    return "true or false" if annotation is bool else "text"


def _example(field: FieldInfo) -> object:
    own = _marker(field.annotation, field.metadata, Example)
    if own is not None:
        return own.value
    form = _marker(field.annotation, field.metadata, Form)
    if form is not None:
        return [form.example] if _is_list(field.annotation) else form.example
    choices = _choices(field.annotation)
    if choices:
        return choices[-1]
    return not field.default


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple):
        value = [
            one.model_dump(by_alias=True, exclude_unset=True) if isinstance(one, BaseModel) else one
            for one in value
        ]
    if value in (None, "", [], 0) and not isinstance(value, bool):
        if "default" in (field.description or "").lower():
            return SAID
        return NONE if value != 0 else _shown(value)
    return _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True)
    return f"`{text.removesuffix(chr(10)).removesuffix('...').strip()}`"


Marker = typing.TypeVar("Marker")


def _marker(annotation: object, metadata: Sequence[object], kind: type[Marker]) -> Marker | None:
    """The outermost marker of a kind: what is said of the field goes before what is said of its type."""
    for one in reversed(metadata):
        if isinstance(one, kind):
            return one
    for inner in typing.get_args(annotation):
        if typing.get_origin(inner) is typing.Annotated:
            base, *inner_metadata = typing.get_args(inner)
            found = _marker(base, inner_metadata, kind)
        else:
            found = _marker(inner, (), kind)
        if found is not None:
            return found
    return None


def _choices(annotation: object) -> Sequence[str]:
    return [str(choice) for choice in typing.get_args(annotation) if isinstance(choice, str)]


def _is_list(annotation: object) -> bool:
    return typing.get_origin(annotation) is tuple


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    if typing.get_origin(annotation) is typing.Annotated:
        return _model_in(typing.get_args(annotation)[0])
    found = (_model_in(inner) for inner in typing.get_args(annotation))
    return next((model for model in found if model is not None), None)


if __name__ == "__main__":
    print(render(), end="")
