"""The steps of a resource's life that are the same for every type; `server.py` carries them over gRPC.

The engine calls Check and Diff on every program run, then Create, Update, Delete or Read; with `preview` set
nothing may be touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from offline_plugins.diff import Change, changes, without_ignored
from offline_plugins.handler import Call, PartialFailure, Plain, ResourceHandler
from offline_plugins.spec import Problem
from offline_plugins.values import UNKNOWN, Properties, Secret, contains_unknown, reveal


@dataclass(frozen=True)
class Difference:
    """What an update would change: each change, and whether it replaces the resource."""

    changes: Sequence[tuple[Change, bool]]
    delete_before_replace: bool


class PartialState(Exception):
    """A resource that exists but is not as asked, with all that the state must keep of it."""

    def __init__(self, reason: str, resource_id: str, state: Properties, inputs: Properties) -> None:
        super().__init__(reason)
        self.reason = reason
        self.resource_id = resource_id
        self.state = state
        self.inputs = inputs


def check(
    handler: ResourceHandler, call: Call, old_inputs: Properties, new_inputs: Properties
) -> tuple[Properties, list[Problem]]:
    """The inputs as they are to be stored, and every mistake in them."""
    inputs, problems = handler.spec.check(new_inputs)
    if not problems:
        inputs = handler.fill_in(call, inputs, old_inputs)
        problems = handler.validate(inputs, old_inputs)
    return inputs, problems


def diff(
    handler: ResourceHandler,
    old_inputs: Properties,
    new_inputs: Properties,
    state: Properties,
    ignore_changes: Sequence[str],
) -> Difference:
    """What differs between what is stored and what the program asks for."""
    found = without_ignored(handler.diff(old_inputs, new_inputs, state), ignore_changes)
    return Difference(
        changes=[(change, handler.replaces(change, state, new_inputs)) for change in found],
        delete_before_replace=handler.spec.delete_before_replace,
    )


async def create(
    handler: ResourceHandler, call: Call, inputs: Properties, preview: bool
) -> tuple[str, Properties]:
    """The new resource's id (empty in a preview) and its state."""
    if preview:
        return "", handler.spec.state(inputs, handler.plan_create(inputs))
    try:
        made = await handler.create(call, _plain(inputs))
    except PartialFailure as failure:
        raise _partial_state(handler, failure, inputs) from failure
    return made.id, handler.spec.state(inputs, made.outputs)


async def update(
    handler: ResourceHandler,
    call: Call,
    resource_id: str,
    state: Properties,
    old_inputs: Properties,
    inputs: Properties,
    preview: bool,
) -> Properties:
    """The resource's state after an update in place."""
    if preview:
        return handler.spec.state(inputs, _planned_outputs(handler, state, old_inputs, inputs))
    try:
        outputs = await handler.update(call, resource_id, _plain(state), _plain(inputs))
    except PartialFailure as failure:
        raise _partial_state(handler, failure, inputs) from failure
    kept = {name: state[name] for name in handler.spec.outputs if name in state and name not in inputs}
    return handler.spec.state(inputs, {**kept, **outputs})


async def delete(handler: ResourceHandler, call: Call, resource_id: str, state: Properties) -> None:
    """Remove the resource."""
    await handler.delete(call, resource_id, _plain(state))


async def read(
    handler: ResourceHandler, call: Call, resource_id: str, state: Properties, inputs: Properties
) -> tuple[str, Properties, Properties]:
    """The resource's id (empty if it is gone), state and inputs as they really are."""
    found = await handler.read(call, resource_id, _plain(state), _plain(inputs))
    if found is None:
        return "", {}, {}
    if found.inputs is None:
        return found.id, handler.spec.state(state, found.outputs), inputs
    marked: Properties = {
        name: Secret(value) if isinstance(inputs.get(name), Secret) else value
        for name, value in handler.spec.check(dict(found.inputs))[0].items()
    }
    return found.id, handler.spec.state({**state, **marked}, found.outputs), marked


def _planned_outputs(
    handler: ResourceHandler, state: Properties, old_inputs: Properties, inputs: Properties
) -> Properties:
    if changes(old_inputs, inputs):
        return handler.plan_update(inputs, state)
    return {name: state[name] for name in handler.spec.outputs if name in state and name not in inputs}


def _partial_state(handler: ResourceHandler, failure: PartialFailure, inputs: Properties) -> PartialState:
    state = handler.spec.state(inputs, failure.outputs)
    return PartialState(failure.reason, failure.resource_id, state, inputs)


def _plain(properties: Properties) -> Plain:
    # outside a preview the engine has every value; an unknown here would be written to a host as text
    assert not contains_unknown(properties), "an unknown value reached an operation that is no preview"
    return {name: value for name, value in reveal(properties).items() if value is not UNKNOWN}
