"""The resource type Container."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from offline_plugins import docker_container_request as request
from offline_plugins import docker_container_spec, docker_container_state
from offline_plugins.diff import Change
from offline_plugins.docker_connection import Engine
from offline_plugins.docker_diff import DiffRules, differences, same
from offline_plugins.docker_image import find_or_pull
from offline_plugins.handler import (
    Call,
    Created,
    Found,
    OperationError,
    Outputs,
    PartialFailure,
    Plain,
    ResourceHandler,
)
from offline_plugins.spec import Problem
from offline_plugins.values import Properties, reveal

if TYPE_CHECKING:
    from docker import APIClient

_DIFF_RULES = DiffRules(
    sets=frozenset(
        {
            "adds",
            "aliases",
            "drops",
            "envs",
            "groupAdds",
            "hosts",
            "labels",
            "mounts",
            "networksAdvanced",
            "ports",
            "securityOpts",
            "ulimits",
            "volumes",
        }
    ),
    maps=frozenset({"logOpts", "tmpfs"}),
    left_to_docker=frozenset({"user", "workingDir"}),
)
_SETTLE_SECONDS = 0.3
"""How long a new container is watched for an exit at once."""
_HEALTH_POLL_SECONDS = 0.5
_LOG_LINES = 10
_UPDATABLE = ("maxRetryCount", "memory", "memorySwap", "restart")
"""What the engine changes in place; the other inputs that do not replace take no effect, as upstream."""


class Container(ResourceHandler):
    """A container.

    A stopped container that must run shows as `mustRun: false` after a refresh; the next `up` starts it.
    """

    spec = docker_container_spec.SPEC

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._successor_images: dict[str, str] = {}

    def validate(self, inputs: Properties, old_inputs: Properties) -> list[Problem]:
        """Mistakes within the inputs."""
        return docker_container_spec.problems(inputs)

    def fill_in(self, call: Call, inputs: Properties, old_inputs: Properties) -> Properties:
        """A name as the official plugin makes it, where the program gives none."""
        if "name" in inputs:
            return inputs
        generated = f"{call.name}-{secrets.token_hex(4)[:7]}"
        return {**inputs, "name": old_inputs.get("name") or generated}

    def diff(self, old_inputs: Properties, new_inputs: Properties, state: Properties) -> list[Change]:
        """What differs from the state, and so from what the last refresh saw."""
        found = differences(self.spec, _DIFF_RULES, state, old_inputs, new_inputs)
        name, image = reveal(state).get("name"), reveal(new_inputs).get("image")
        if any(self.replaces(change, state, new_inputs) for change in found) and isinstance(image, str):
            self._successor_images[str(name)] = image
        return found

    async def create(self, call: Call, inputs: Plain) -> Created:
        """Create and start it; if it cannot be started, or not as asked, it stays in the state."""
        await find_or_pull(self._engine, call, inputs["image"])
        container_id, failure = await self._engine.run_to_the_end(lambda api: _create(api, inputs))
        try:
            _raise_cancellation()
            if failure is None and inputs["start"]:
                if inputs["wait"]:
                    failure = await self._unhealthy(container_id, inputs["waitTimeout"])
                else:
                    await self._warn_of_exit(call, container_id, inputs)
            outputs = await self._outputs(container_id, inputs)
        except asyncio.CancelledError:
            raise PartialFailure("cancelled after the container was created", container_id, {}) from None
        except OperationError as error:
            raise PartialFailure(str(error), container_id, {}) from None
        if failure is not None:
            raise PartialFailure(failure, container_id, outputs)
        return Created(container_id, outputs)

    async def update(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Outputs:
        """Start it if it must run, and change the limits that Docker changes in place."""
        starts = inputs["mustRun"] and not state.get("mustRun", True) and inputs["start"]
        changed = any(not same(name, _DIFF_RULES, state.get(name), inputs.get(name)) for name in _UPDATABLE)
        await self._engine.run_to_the_end(lambda api: _update(api, resource_id, inputs, starts, changed))
        return {}

    async def delete(self, call: Call, resource_id: str, state: Plain) -> None:
        """Remove it; not before the image of a container in its place is there."""
        successor = self._successor_images.pop(str(state.get("name")), None)
        if successor is not None:
            try:
                await find_or_pull(self._engine, call, successor)
            except OperationError as error:
                raise OperationError(
                    f"the container stays, for there is no image for the one in its place: {error}"
                ) from None
        grace = int(state.get("destroyGraceSeconds") or 0)
        with_volumes = bool(state.get("removeVolumes", True))
        await self._engine.run_to_the_end(lambda api: _remove(api, resource_id, grace, with_volumes))

    async def read(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Found | None:
        """What Docker says of it."""
        found = await self._engine.run(lambda api: _inspect(api, resource_id))
        if found is None:
            return None
        read = docker_container_state.properties(found, state)
        outputs = _changed(read, state)
        if inputs:
            drifted = {name: value for name, value in outputs.items() if name in inputs}
            return Found(found["Id"], outputs, {**inputs, **drifted} if drifted else None)
        imported = {name: value for name, value in read.items() if name in self.spec.inputs and value}
        return Found(found["Id"], outputs, imported)

    async def _outputs(self, container_id: str, inputs: Plain) -> Plain:
        found = await self._engine.run(lambda api: _inspect(api, container_id))
        if found is None:
            raise OperationError("the container was gone right after it was created")
        return _changed(docker_container_state.properties(found, inputs), inputs)

    async def _unhealthy(self, container_id: str, seconds: int) -> str | None:
        """Wait until the container is healthy; what is wrong with it, if anything."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = await self._engine.run(lambda api: api.inspect_container(container_id))
                    health = found["State"].get("Health")
                    if health is None:
                        return "'wait' needs a healthcheck; the container has none"
                    if health["Status"] == "healthy":
                        return None
                    if not found["State"]["Running"]:
                        return await self._engine.run(lambda api: _exit_report(api, container_id))
                    await asyncio.sleep(_HEALTH_POLL_SECONDS)
        except TimeoutError:
            last_lines = await self._engine.run(lambda api: _last_lines(api, container_id))
            return f"the container was not healthy within {seconds} s{last_lines}"

    async def _warn_of_exit(self, call: Call, container_id: str, inputs: Plain) -> None:
        # upstream says nothing here, and the next refresh shows that the container does not run
        if inputs["mustRun"] and await self._engine.run(lambda api: _exits_at_once(api, container_id)):
            call.log.warning(await self._engine.run(lambda api: _exit_report(api, container_id)))


def _raise_cancellation() -> None:
    """Takes up a cancellation that came while the container was being made, and was let pass there."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _changed(read: Plain, stored: Plain) -> Plain:
    """What was read and is not as stored; the rest stays as it is stored, with its secret marks."""
    return {
        name: value
        for name, value in read.items()
        if name not in stored or not same(name, _DIFF_RULES, value, stored[name])
    }


def _create(api: "APIClient", inputs: Plain) -> tuple[str, str | None]:
    """Create a container, connect and start it: its id, and why it could not be started, if so."""
    from docker.errors import APIError

    try:
        body = request.create_body(inputs)
        made = api.create_container_from_config(body, inputs["name"])  # type: ignore[no-untyped-call]
    except APIError as error:
        raise OperationError(f"Unable to create container: {error.explanation}") from None
    container_id: str = made["Id"]
    try:
        _connect_networks(api, container_id, inputs)
    except APIError as error:
        api.remove_container(container_id, force=True, v=True)
        raise OperationError(
            f"Unable to connect the container to its networks: {error.explanation}"
        ) from None
    if inputs["start"]:
        try:
            api.start(container_id)
        except APIError as error:
            return container_id, f"Unable to start container: {error.explanation}"
    return container_id, None


def _connect_networks(api: "APIClient", container_id: str, inputs: Plain) -> None:
    from docker.errors import APIError

    networks = inputs.get("networksAdvanced")
    if not networks:
        return
    try:
        api.disconnect_container_from_network(container_id, "bridge")
    except APIError as error:
        if "is not connected to" not in str(error.explanation):
            raise
    for network in networks:
        settings = request.endpoint(network)
        api.connect_container_to_network(
            container_id,
            network["name"],
            ipv4_address=settings["IPAMConfig"].get("IPv4Address"),
            ipv6_address=settings["IPAMConfig"].get("IPv6Address"),
            aliases=settings.get("Aliases"),
        )


def _update(api: "APIClient", container_id: str, inputs: Plain, starts: bool, changed: bool) -> None:
    from docker.errors import APIError

    if starts:
        try:
            api.start(container_id)
        except APIError as error:
            raise OperationError(f"Unable to start container: {error.explanation}") from None
    if changed:
        limits = request.memory_limits(inputs)
        try:
            api.update_container(
                container_id,
                restart_policy=cast("Any", request.restart_policy(inputs)),
                mem_limit=limits.get("Memory"),
                memswap_limit=limits.get("MemorySwap"),
            )
        except APIError as error:
            raise OperationError(f"Unable to update a container: {error.explanation}") from None


def _remove(api: "APIClient", container_id: str, grace: int, with_volumes: bool) -> None:
    from docker.errors import NotFound

    try:
        api.stop(container_id, timeout=grace)
        api.remove_container(container_id, force=True, v=with_volumes)
    except NotFound:
        return


def _inspect(api: "APIClient", container_id: str) -> Mapping[str, Any] | None:
    from docker.errors import NotFound

    try:
        found: Mapping[str, Any] = api.inspect_container(container_id)
    except NotFound:
        return None
    return found


def _exits_at_once(api: "APIClient", container_id: str) -> bool:
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import ReadTimeout

    try:
        api.wait(container_id, timeout=cast("int", _SETTLE_SECONDS), condition="not-running")
    except (ReadTimeout, NoConnection):
        return False
    return True


def _exit_report(api: "APIClient", container_id: str) -> str:
    state = api.inspect_container(container_id)["State"]
    return f"container exited immediately with code {state['ExitCode']}{_last_lines(api, container_id)}"


def _last_lines(api: "APIClient", container_id: str) -> str:
    text = api.logs(container_id, tail=_LOG_LINES).decode(errors="replace").strip()
    return f"; its last lines:\n{text}" if text else "; it wrote nothing to its log"
