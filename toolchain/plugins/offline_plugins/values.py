"""Property values as the Pulumi engine sends them, and their form in Python.

JSON-like values are plain Python values. Four kinds exist beyond JSON: a value that is not known yet
(`UNKNOWN`, in previews), a secret (`Secret`), a file or text (`Asset`) and a set of files (`Archive`).
The signatures below are constants of the protocol (pulumi/sdk, `resource/properties.go`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from google.protobuf import struct_pb2

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - marks a secret, is none
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_ASSET = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
_UNKNOWN_TEXTS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string, and any other type the SDK cannot name
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
_UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Unknown(Enum):
    """The type of `UNKNOWN`: a value that a preview cannot know yet."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """A value that is encrypted in the state and shown as [secret]; its repr never shows the value."""

    value: "Value" = field(repr=False)


@dataclass(frozen=True)
class Asset:
    """A file, text or URI. `hash` is the sha256 of the content in hex; in Diff it is all that is sent."""

    hash: str = ""
    path: str = ""
    text: str | None = field(default=None, repr=False)
    uri: str = ""


@dataclass(frozen=True)
class Archive:
    """A file or directory by `path`, a URI, or named assets; `hash` as for Asset."""

    hash: str = ""
    path: str = ""
    uri: str = ""
    assets: Mapping[str, "Value"] | None = None


Value: TypeAlias = (
    "bool | int | float | str | Unknown | Secret | Asset | Archive | list[Value] | dict[str, Value] | None"
)
Properties = dict[str, Value]


def decode(value: struct_pb2.Value) -> Value:
    """The Python form of one protocol value.

    Output values become what they hold, `Secret` if they are secret. ValueError for a resource reference,
    which the engine sends only to plugins that ask for them.
    """
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWN_TEXTS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [decode(item) for item in value.list_value.values]
    if kind == "struct_value":
        return _decode_object(value.struct_value)
    return None


def _decode_object(message: struct_pb2.Struct) -> Value:
    fields = {name: decode(item) for name, item in message.fields.items()}
    signature = fields.get(_SIGNATURE)
    if signature is None:
        return fields
    if signature == _SECRET:
        return Secret(fields.get("value"))
    if signature == _OUTPUT:
        held = fields.get("value", UNKNOWN)
        return Secret(held) if fields.get("secret") is True else held
    if signature == _ASSET:
        path, uri, text = _text(fields, "path"), _text(fields, "uri"), _text(fields, "text")
        # the engine leaves out empty fields: what has neither path nor URI is a text, if an empty one
        is_text = bool(text) or not (path or uri)
        return Asset(hash=_text(fields, "hash"), path=path, text=text if is_text else None, uri=uri)
    if signature == _ARCHIVE:
        assets = fields.get("assets")
        return Archive(
            hash=_text(fields, "hash"),
            path=_text(fields, "path"),
            uri=_text(fields, "uri"),
            assets=assets if isinstance(assets, dict) else None,
        )
    raise ValueError("resource references are not supported as property values by the offline plugins")


def _text(fields: Properties, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def encode(value: Value) -> struct_pb2.Value:
    """The protocol form of one Python value; TypeError for a value outside `Value`."""
    if isinstance(value, Secret | Asset | Archive):
        return struct_pb2.Value(struct_value=encode_properties(_signed(value)))
    if isinstance(value, list | tuple):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[encode(item) for item in value]))
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=encode_properties(value))
    return _encode_scalar(value)


def _encode_scalar(value: Value) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=_UNKNOWN_TEXT)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    raise TypeError(f"{type(value).__name__} is no property value")


def _signed(value: Secret | Asset | Archive) -> Properties:
    if isinstance(value, Secret):
        return {_SIGNATURE: _SECRET, "value": value.value}
    content: Properties = {_SIGNATURE: _ASSET if isinstance(value, Asset) else _ARCHIVE, "hash": value.hash}
    if value.path:
        content["path"] = value.path
    elif value.uri:
        content["uri"] = value.uri
    elif isinstance(value, Archive):
        content["assets"] = dict(value.assets or {})
    else:
        content["text"] = value.text or ""
    return content


def decode_properties(message: struct_pb2.Struct) -> Properties:
    """The Python form of a resource's properties."""
    return {name: decode(item) for name, item in message.fields.items()}


def encode_properties(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """The protocol form of a resource's properties."""
    return struct_pb2.Struct(fields={name: encode(item) for name, item in properties.items()})


def reveal(value: Value) -> Any:
    """The value with every secret mark taken off, at any depth; unknowns stay."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, list):
        return [reveal(item) for item in value]
    if isinstance(value, dict):
        return {name: reveal(item) for name, item in value.items()}
    return value


def contains_unknown(value: Value) -> bool:
    """Whether the value is unknown or holds an unknown at any depth."""
    if value is UNKNOWN:
        return True
    if isinstance(value, Secret):
        return contains_unknown(value.value)
    if isinstance(value, list):
        return any(contains_unknown(item) for item in value)
    if isinstance(value, dict):
        return any(contains_unknown(item) for item in value.values())
    return False
