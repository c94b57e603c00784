"""When a Command runs something: the same for one on this machine and one on a host."""

import abc
from collections.abc import Mapping
from typing import Any

from offline_plugins.handler import Call, Created, Outputs, Plain, ResourceHandler


def previous_variables(inputs: Plain, previous: Mapping[str, Any]) -> dict[str, str]:
    """The variables by which a command is told the outputs so far, unless it wants none."""
    if inputs.get("addPreviousOutputInEnv") is False:
        return {}
    named = {"PULUMI_COMMAND_STDOUT": "stdout", "PULUMI_COMMAND_STDERR": "stderr"}
    return {name: previous[stream] for name, stream in named.items() if previous.get(stream)}


class CommandRuns(ResourceHandler):
    """A command that runs at create, update and delete."""

    @abc.abstractmethod
    async def run(
        self, call: Call, inputs: Plain, command: str, previous: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Run one command to its end; `previous` are the outputs so far. Raises OperationError."""

    async def create(self, call: Call, inputs: Plain) -> Created:
        """Run `create`; without one nothing is run and the outputs are empty."""
        outputs: Outputs = {"stdout": "", "stderr": ""}
        if inputs.get("create") is not None:
            outputs = await self.run(call, inputs, inputs["create"], {})
        return Created(call.unique_id(), outputs)

    async def update(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Outputs:
        """Run `update`, else `create`; without either the outputs stay."""
        command = inputs.get("update", inputs.get("create"))
        return {} if command is None else await self.run(call, inputs, command, state)

    async def delete(self, call: Call, resource_id: str, state: Plain) -> None:
        """Run `delete` with the inputs that are stored."""
        if state.get("delete") is not None:
            await self.run(call, state, state["delete"], state)
