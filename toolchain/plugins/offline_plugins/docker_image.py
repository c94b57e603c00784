"""Images on a Docker host: finding and pulling them, and the resource type RemoteImage."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from offline_plugins.diff import Change
from offline_plugins.docker_connection import Engine
from offline_plugins.docker_diff import DiffRules, differences
from offline_plugins.handler import Call, Created, Found, OperationError, Outputs, Plain, ResourceHandler
from offline_plugins.spec import Computed, Field, Flag, ListOf, MapOf, Spec, Text
from offline_plugins.values import Properties

if TYPE_CHECKING:
    from docker import APIClient

_DIFF_RULES = DiffRules(sets=frozenset({"pullTriggers"}), maps=frozenset({"triggers"}))


def find(api: "APIClient", name: str) -> dict[str, Any] | None:
    """What the engine says of an image by name, digest or id; None where it has none. Blocks."""
    from docker.errors import NotFound

    try:
        found: dict[str, Any] = api.inspect_image(name)  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    return found


def pull(api: "APIClient", name: str, platform: str | None, cancelled: threading.Event) -> None:
    """Pull an image; OperationError says why it cannot be had. Blocks.

    Setting `cancelled` ends the pull: the engine drops it when the connection closes.
    """
    from docker.errors import APIError

    try:
        messages = api.pull(*_repository_and_tag(name), stream=True, decode=True, platform=platform)
    except APIError as error:
        raise OperationError(f"unable to pull image {name}: {error.explanation}") from None
    for message in messages:
        if cancelled.is_set():
            messages.close()
            return
        if "error" in message:
            raise OperationError(f"unable to pull image {name}: {message['error']}")


def _repository_and_tag(name: str) -> tuple[str, str]:
    """The two halves of an image's name; a digest goes before a tag, as with `docker pull`."""
    repository, _, digest = name.partition("@")
    head, _, last = repository.rpartition("/")
    last, _, tag = last.partition(":")
    return (f"{head}/{last}" if head else last), digest or tag or "latest"


async def find_or_pull(engine: Engine, call: Call, name: str, platform: str | None = None) -> dict[str, Any]:
    """The image as the engine has it, pulled if it was not there; OperationError if it cannot be had."""
    found = await engine.run(lambda api: find(api, name))
    if found is None:
        call.log.status(f"pulling {name}")
        cancelled = threading.Event()
        try:
            await engine.run(lambda api: pull(api, name, platform, cancelled))
        finally:
            cancelled.set()
        found = await engine.run(lambda api: find(api, name))
    if found is None:
        raise OperationError(f"unable to find or pull image {name}")
    return found


def repo_digest(name: str, digests: Sequence[str]) -> str:
    """The registry's digest of an image, of those that the engine knows; empty where it knows none."""
    repository = name.partition(":")[0].partition("@")[0]
    own = (digest for digest in digests if digest.startswith(repository))
    return next(own, digests[0] if digests else "")


class RemoteImage(ResourceHandler):
    """An image that a host has, pulled if need be. A name that the host has already is not pulled again."""

    spec = Spec(
        "docker:index/remoteImage:RemoteImage",
        inputs={
            "forceRemove": Field(Flag()),
            "keepLocally": Field(Flag()),
            "name": Field(Text(), required=True, replaces=True),
            "platform": Field(Text(), replaces=True),
            "pullTriggers": Field(ListOf(Text()), replaces=True),
            "triggers": Field(MapOf(Text()), replaces=True),
        },
        outputs={"imageId": Computed(stable=True), "repoDigest": Computed(stable=True)},
        refused=frozenset({"build"}),
    )

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def diff(self, old_inputs: Properties, new_inputs: Properties, state: Properties) -> list[Change]:
        """What differs from the state, and so from what the last refresh saw."""
        return differences(self.spec, _DIFF_RULES, state, old_inputs, new_inputs)

    async def create(self, call: Call, inputs: Plain) -> Created:
        """Take the image that is there, or pull it."""
        name = inputs["name"]
        image = await find_or_pull(self._engine, call, name, inputs.get("platform"))
        return Created(_resource_id(image, name), _outputs(image, name))

    async def update(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Outputs:
        """Pull the image if it is gone."""
        name = inputs["name"]
        return _outputs(await find_or_pull(self._engine, call, name, inputs.get("platform")), name)

    async def delete(self, call: Call, resource_id: str, state: Plain) -> None:
        """Remove the image unless it is to be kept; Docker refuses while a container uses it."""
        if not state.get("keepLocally"):
            name, force = state["name"], bool(state.get("forceRemove"))
            await self._engine.run_to_the_end(lambda api: _remove(api, name, force))

    async def read(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Found | None:
        """The image that has the name now."""
        if not state:
            raise OperationError(
                "a RemoteImage cannot be imported; declare it, and it is taken as it is found"
            )
        name = state["name"]
        image = await self._engine.run(lambda api: find(api, name))
        return None if image is None else Found(_resource_id(image, name), _outputs(image, name))


def _remove(api: "APIClient", name: str, force: bool) -> None:
    from docker.errors import APIError, NotFound

    try:
        api.remove_image(name, force=force)
    except NotFound:
        return
    except APIError as error:
        raise OperationError(f"Unable to remove Docker image: {error.explanation}") from None


def _resource_id(image: Mapping[str, Any], name: str) -> str:
    return f"{image['Id']}{name}"


def _outputs(image: Mapping[str, Any], name: str) -> Properties:
    digests: Iterable[str] = image.get("RepoDigests") or []
    return {"imageId": image["Id"], "repoDigest": repo_digest(name, list(digests))}
