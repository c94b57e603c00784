"""Images are pulled and compared as the official plugin does it."""

import pytest

from offline_plugins import docker_image
from offline_plugins.docker_connection import Engine
from offline_plugins.docker_image import RemoteImage
from offline_plugins.values import Properties

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("name", "repository", "tag"),
    [
        ("registry", "registry", "latest"),
        ("registry:3", "registry", "3"),
        (f"registry@{DIGEST}", "registry", DIGEST),
        (f"registry:3@{DIGEST}", "registry", DIGEST),
        ("docker.io/library/registry:3", "docker.io/library/registry", "3"),
        ("mirror:5000/library/nginx", "mirror:5000/library/nginx", "latest"),
        ("mirror:5000/library/nginx:1.27", "mirror:5000/library/nginx", "1.27"),
        (f"mirror:5000/nginx:1.27@{DIGEST}", "mirror:5000/nginx", DIGEST),
    ],
)
def test_an_images_name_is_taken_apart_as_docker_pull_does(name: str, repository: str, tag: str) -> None:
    assert docker_image._repository_and_tag(name) == (repository, tag)


@pytest.mark.parametrize(
    ("name", "digests", "expected"),
    [
        pytest.param("registry:3", [], "", id="never pulled"),
        pytest.param("registry:3", [f"registry@{DIGEST}"], f"registry@{DIGEST}", id="one"),
        pytest.param(
            "ghcr.io/a:1", ["b@x", "ghcr.io/a@y"], "ghcr.io/a@y", id="the registry's own of several"
        ),
        pytest.param("docker.io/library/a:1", ["a@x", "b@y"], "a@x", id="the first where none is its own"),
    ],
)
def test_the_repo_digest_is_the_one_of_the_images_registry(
    name: str, digests: list[str], expected: str
) -> None:
    assert docker_image.repo_digest(name, digests) == expected


def test_every_official_input_is_taken_or_refused() -> None:
    spec = RemoteImage.spec

    assert set(spec.inputs) == {
        "forceRemove",
        "keepLocally",
        "name",
        "platform",
        "pullTriggers",
        "triggers",
    }
    assert spec.refused == {"build"}
    assert set(spec.outputs) == {"imageId", "repoDigest"}


@pytest.mark.parametrize(
    ("old", "new", "changed", "replaced"),
    [
        ({"name": "a:1"}, {"name": "a:1"}, set(), set()),
        ({"name": "a:1"}, {"name": "a:2"}, {"name"}, {"name"}),
        ({"platform": "linux/amd64"}, {"platform": "linux/arm64"}, {"platform"}, {"platform"}),
        ({"triggers": {"a": "1"}}, {"triggers": {"a": "2"}}, {"triggers"}, {"triggers"}),
        ({"pullTriggers": ["a"]}, {"pullTriggers": ["b"]}, {"pullTriggers"}, {"pullTriggers"}),
        ({"pullTriggers": ["a", "b"]}, {"pullTriggers": ["b", "a"]}, set(), set()),
        ({"keepLocally": True}, {"keepLocally": False}, {"keepLocally"}, set()),
        ({}, {"keepLocally": False}, set(), set()),
        ({}, {"forceRemove": True}, {"forceRemove"}, set()),
    ],
)
def test_what_replaces_an_image_is_as_upstream(
    old: Properties, new: Properties, changed: set[str], replaced: set[str]
) -> None:
    handler = RemoteImage(Engine())
    state: Properties = {"name": "a:1", "imageId": "sha256:1", "repoDigest": "", **old}

    found = handler.diff(old, {"name": "a:1", **new}, state)

    assert {str(change.path[0]) for change in found} == changed
    assert {str(change.path[0]) for change in found if handler.replaces(change, state, new)} == replaced
