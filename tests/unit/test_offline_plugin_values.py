"""Property values survive the way between the engine and an offline plugin."""

import pytest
from google.protobuf import json_format, struct_pb2

from offline_plugins.values import (
    UNKNOWN,
    Archive,
    Asset,
    Properties,
    Secret,
    Value,
    contains_unknown,
    decode,
    decode_properties,
    encode,
    encode_properties,
    reveal,
)

SIGNATURE = "4dabf18193072939515e22adb298388d"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

VALUES: list[Value] = [
    None,
    True,
    False,
    0,
    -3,
    2**40,
    0.25,
    "",
    "text with\nnewline and ünïcode",
    [],
    [1, "a", [True, None]],
    {},
    {"a": {"b.c": [1, {"d": "e"}]}},
    UNKNOWN,
    Secret("s3cret"),
    Secret(UNKNOWN),
    Secret({"a": [Secret("inner")]}),
    Asset(hash="ab12", path="/etc/motd"),
    Asset(hash="ab12", text="content"),
    Asset(hash="e3b0", text=""),
    Asset(hash="ab12", uri="https://example.com/x"),
    Archive(hash="cd34", path="/srv/images"),
    Archive(hash="cd34", assets={"a.txt": Asset(hash="ab12", text="a")}),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was_sent(value: Value) -> None:
    over_the_wire = struct_pb2.Value()
    over_the_wire.ParseFromString(encode(value).SerializeToString())
    assert decode(over_the_wire) == value


def test_whole_numbers_are_integers_and_booleans_stay_booleans() -> None:
    decoded = decode_properties(encode_properties({"port": 22, "flag": True, "ratio": 1.5}))
    assert {name: type(value) for name, value in decoded.items()} == {
        "port": int,
        "flag": bool,
        "ratio": float,
    }


def from_json(content: dict[str, object]) -> Properties:
    return decode_properties(json_format.ParseDict(content, struct_pb2.Struct()))


def test_an_output_value_keeps_secret_and_unknown() -> None:
    sent = {
        "known": {SIGNATURE: OUTPUT, "value": "v", "dependencies": ["urn:x"]},
        "secret": {SIGNATURE: OUTPUT, "value": "v", "secret": True},
        "unknown": {SIGNATURE: OUTPUT},
        "secret_unknown": {SIGNATURE: OUTPUT, "secret": True},
    }
    assert from_json(sent) == {
        "known": "v",
        "secret": Secret("v"),
        "unknown": UNKNOWN,
        "secret_unknown": Secret(UNKNOWN),
    }


@pytest.mark.parametrize(
    "text",
    [UNKNOWN_TEXT, "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2", "dd056dcd-154b-4c76-9bd3-c8f88648b5ff"],
)
def test_every_kind_of_unknown_is_unknown(text: str) -> None:
    assert from_json({"value": text})["value"] is UNKNOWN


def test_an_asset_in_a_diff_carries_its_hash_alone() -> None:
    asset = {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "hash": "ab12"}
    assert from_json({"source": asset})["source"] == Asset(hash="ab12", text="")


def test_a_resource_reference_is_refused() -> None:
    reference = {SIGNATURE: "5cf8f73096256a8f31e491e813e4eb8e", "urn": "urn:x"}
    with pytest.raises(ValueError, match="resource references"):
        from_json({"a": reference})


def test_the_repr_of_a_secret_does_not_show_it() -> None:
    assert "s3cret" not in repr([Secret("s3cret"), Asset(text="s3cret")]), "reprs end up in logs"


def test_reveal_takes_off_every_secret_mark() -> None:
    value: Value = {"a": Secret([Secret("x"), {"b": Secret(UNKNOWN)}])}
    assert reveal(value) == {"a": ["x", {"b": UNKNOWN}]}


@pytest.mark.parametrize(
    ("value", "unknown"),
    [
        ({"a": [1, Secret({"b": UNKNOWN})]}, True),
        (UNKNOWN, True),
        ({"a": [1, Secret("b")]}, False),
    ],
)
def test_an_unknown_is_found_at_any_depth(value: Value, unknown: bool) -> None:
    assert contains_unknown(value) is unknown


def test_a_python_value_that_is_no_property_is_an_error() -> None:
    with pytest.raises(TypeError, match="bytes"):
        encode(b"raw")  # type: ignore[arg-type]
