"""What goes first when a cache is full, and what must not go."""

from __future__ import annotations

import pytest

from components.collector import eviction
from components.collector.eviction import DISK, LIMIT, TTL, UNTAGGED, Content, Need
from components.collector.manifests import BLOB, INDEX, MANIFEST, Manifest, parse

SIZE = 100


def contents(
    uses: dict[str, float],
    manifests: dict[str, Manifest] | None = None,
    *,
    tagged: tuple[str, ...] = (),
    unlinked: tuple[str, ...] = (),
    held: dict[str, float] | None = None,
    cache: str = "docker.io",
    written: float = 0.0,
) -> list[Content]:
    """A cache in which everything has the same size; a name that begins with m is a manifest."""
    blobs = dict.fromkeys(uses, (SIZE, written))
    linked = set(uses) - set(unlinked)
    return eviction.describe(cache, blobs, uses, manifests or {}, tagged, linked, held or {})


def image(*names: str) -> Manifest:
    return Manifest(MANIFEST, names)


def index(*names: str) -> Manifest:
    return Manifest(INDEX, names)


# (what it is, uses, manifests, bytes to free, what goes in this order)
ORDERS = [
    ("nothing is needed", {"a": 1, "b": 2}, {}, 0, []),
    ("the one used longest ago", {"a": 3, "b": 1, "c": 2}, {}, 1, ["b"]),
    ("as many as are needed", {"a": 3, "b": 1, "c": 2}, {}, 101, ["b", "c"]),
    ("all, where that is not enough", {"a": 3, "b": 1}, {}, 1000, ["b", "a"]),
    (
        "a manifest before what it names",
        {"m1": 1, "a": 0, "b": 0, "m2": 2, "c": 0},
        {"m1": image("a", "b"), "m2": image("c")},
        300,
        ["m1", "a", "b"],
    ),
    (
        "a shared layer stays while one of its images is recent",
        {"m1": 1, "m2": 9, "own": 1, "shared": 1},
        {"m1": image("own", "shared"), "m2": image("shared")},
        300,
        ["m1", "own", "m2"],
    ),
    (
        "a layer that the clients have, so that they ask for the manifest only",
        {"m1": 9, "layer": 1, "m2": 5, "other": 5},
        {"m1": image("layer"), "m2": image("other")},
        200,
        ["m2", "other"],
    ),
    (
        "an index keeps the manifests that it names, and their layers",
        {"mi": 9, "m1": 1, "a": 1, "m2": 5, "b": 5},
        {"mi": index("m1", "elsewhere"), "m1": image("a"), "m2": image("b")},
        200,
        ["m2", "b"],
    ),
    (
        "an index in an index",
        {"mo": 9, "mi": 1, "m1": 1, "a": 1, "b": 5},
        {"mo": index("mi"), "mi": index("m1"), "m1": image("a")},
        100,
        ["b"],
    ),
    (
        "a layer that is asked for by itself stays longer than its manifest",
        {"m1": 1, "a": 9, "b": 5},
        {"m1": image("a")},
        200,
        ["m1", "b"],
    ),
]


@pytest.mark.parametrize(
    ("uses", "manifests", "need", "expected"), [o[1:] for o in ORDERS], ids=[o[0] for o in ORDERS]
)
def test_what_goes_is_what_was_used_longest_ago(
    uses: dict[str, float], manifests: dict[str, Manifest], need: int, expected: list[str]
) -> None:
    chosen = eviction.choose(contents(uses, manifests), Need(need, 0, {}))
    assert [one.content.digest for one in chosen] == expected
    assert all(one.reason == LIMIT for one in chosen)


def test_without_a_logged_use_the_first_fetch_counts() -> None:
    blobs = {"old": (SIZE, 5.0), "new": (SIZE, 7.0), "served": (SIZE, 1.0)}
    found = eviction.describe("docker.io", blobs, {"served": 6.0}, {}, (), set(blobs), {})
    assert [one.content.digest for one in eviction.choose(found, Need(1000, 0, {}))] == [
        "old",
        "served",
        "new",
    ]


def test_what_is_held_does_not_go_even_where_nothing_else_is_left() -> None:
    found = contents({"a": 1, "b": 2}, held={"a": 3.0})
    assert [one.content.digest for one in eviction.choose(found, Need(1000, 0, {}))] == ["b"]


def test_of_what_is_awaited_goes_what_was_silent_for_longest() -> None:
    found = contents({"a": 1, "b": 2, "c": 3, "free": 4}, held={"a": 20.0, "b": 10.0, "c": 30.0})
    chosen = eviction.choose_awaited(found, Need(1000, 0, {}), silent_before=30.0)
    assert [one.content.digest for one in chosen] == ["b", "a"]
    assert [
        one.content.digest for one in eviction.choose_awaited(found, Need(100, 0, {}), silent_before=30.0)
    ] == ["b"]


def test_what_nobody_can_ask_for_goes_first() -> None:
    found = contents({"a": 1, "left": 9}, unlinked=("left",))
    assert [one.content.digest for one in eviction.choose(found, Need(1, 0, {}))] == ["left"]


def test_the_disks_reserve_is_a_reason_of_its_own() -> None:
    chosen = eviction.choose(contents({"a": 1, "b": 2, "c": 3}), Need(50, 150, {}))
    assert [(one.content.digest, one.reason) for one in chosen] == [("a", LIMIT), ("b", DISK)]


def test_an_upstreams_own_limit_takes_from_that_upstream_alone() -> None:
    found = contents({"a": 1, "b": 2}) + contents({"x": 3, "y": 4, "z": 5}, cache="ghcr.io")
    chosen = eviction.choose(found, Need(0, 0, {"ghcr.io": 150}))
    assert [one.content.digest for one in chosen] == ["x", "y"]


def test_what_an_own_limit_frees_counts_for_the_mirrors_too() -> None:
    found = contents({"a": 1, "b": 4}) + contents({"x": 2, "y": 3}, cache="ghcr.io")
    chosen = eviction.choose(found, Need(150, 0, {"ghcr.io": 50}))
    assert [one.content.digest for one in chosen] == ["a", "x"]


# (what it is, what was asked for, what was served, what is held, and when its pull was last heard of)
PULLS = [
    ("not served yet", {("c", "m"): 50.0}, {}, {"a": 50.0, "b": 50.0}),
    ("served since", {("c", "m"): 50.0}, {("c", "a"): 51.0}, {"b": 51.0}),
    ("served before, and asked for again", {("c", "m"): 50.0}, {("c", "a"): 49.0}, {"a": 50.0, "b": 50.0}),
    ("served to somebody else", {("c", "m"): 50.0}, {("d", "a"): 51.0}, {"a": 50.0, "b": 50.0}),
    (
        "of several that wait, who was heard of last",
        {("c", "m"): 50.0, ("d", "m"): 20.0},
        {("d", "a"): 90.0},
        {"a": 50.0, "b": 90.0},
    ),
    ("too long ago", {("c", "m"): 9.0}, {}, {}),
    ("not a manifest that is known", {("c", "x"): 50.0}, {}, {}),
]


@pytest.mark.parametrize(("asked", "served", "expected"), [p[1:] for p in PULLS], ids=[p[0] for p in PULLS])
def test_what_a_client_is_about_to_ask_for_is_held(
    asked: dict[tuple[str, str], float], served: dict[tuple[str, str], float], expected: dict[str, float]
) -> None:
    assert eviction.being_pulled(asked, served, {"m": image("a", "b")}, since=10.0) == expected


def test_ttl_counts_from_the_first_fetch_whatever_was_used_since() -> None:
    blobs = {"m": (SIZE, 10.0), "a": (SIZE, 10.0), "young": (SIZE, 90.0)}
    found = eviction.describe("docker.io", blobs, {"m": 99.0}, {"m": image("a")}, ("m",), set(blobs), {})
    assert [one.content.digest for one in eviction.expired(found, 50.0, None)] == ["m", "a"]
    assert {one.reason for one in eviction.expired(found, 50.0, None)} == {TTL}


def test_ttl_leaves_an_old_layer_that_a_young_image_names() -> None:
    blobs = {"m1": (SIZE, 10.0), "m2": (SIZE, 90.0), "shared": (SIZE, 10.0)}
    manifests = {"m1": image("shared"), "m2": image("shared")}
    found = eviction.describe("docker.io", blobs, {}, manifests, ("m1", "m2"), set(blobs), {})
    assert [one.content.digest for one in eviction.expired(found, 50.0, None)] == ["m1"]


def test_untagged_lets_go_of_what_no_tag_leads_to_and_nobody_used_lately() -> None:
    uses = {"mi": 1, "m1": 1, "a": 1, "m2": 1, "b": 1, "m3": 90, "c": 1}
    manifests = {"mi": index("m1"), "m1": image("a"), "m2": image("b", "a"), "m3": image("c")}
    found = contents(dict(uses), manifests, tagged=("mi",))
    chosen = eviction.expired(found, None, 50.0)
    assert [one.content.digest for one in chosen] == ["m2", "b"]
    assert {one.reason for one in chosen} == {UNTAGGED}


def test_what_is_being_pulled_does_not_expire() -> None:
    assert eviction.expired(contents({"a": 1}, held={"a": 3.0}), 50.0, 50.0) == []


def test_manifests_of_all_kinds_are_understood() -> None:
    image_manifest = (
        b'{"schemaVersion": 2, "config": {"digest": "sha256:c"}, "layers": [{"digest": "sha256:l"}]}'
    )
    assert parse(image_manifest) == Manifest(MANIFEST, ("sha256:c", "sha256:l"))
    assert parse(b'{"manifests": [{"digest": "sha256:m"}, {"digest": 3}]}') == Manifest(INDEX, ("sha256:m",))
    assert parse(b'{"schemaVersion": 1, "fsLayers": [{"blobSum": "sha256:l"}]}') == Manifest(
        MANIFEST, ("sha256:l",)
    )
    deep = b'{"config": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for content in (b"", b"[]", b"\xff", b'{"config": "sha256:c"}', b'{"layers": {}}', deep):
        assert parse(content) is None
    assert BLOB > MANIFEST > INDEX, "what names goes before what is named"
