"""The base of a resource type, and how one is written.

A resource type is a class derived from `ResourceHandler` with a `spec` and the operations that do the work::

    class PrivateKey(ResourceHandler):
        spec = Spec(
            "tls:index/privateKey:PrivateKey",
            inputs={"algorithm": Field(Text(), required=True, replaces=True)},
            outputs={"privateKeyPem": Computed(secret=True, stable=True)},
        )

        async def create(self, call: Call, inputs: Plain) -> Created:
            return Created("the id", {"privateKeyPem": pem})

From the spec the core (`lifecycle.py`) does once for all types: Check (required, unknown, refused and wrongly
typed inputs, defaults, secret marks), Diff (update or replace, delete before replace, ignored changes),
previews (which outputs are unknown), and the marking of secrets in what is stored. So an operation

- gets `inputs` and `state` as plain values: checked, without secret marks and without unknowns (`Asset` and
  `Archive` stay what they are);
- returns computed outputs only; the inputs are stored beside them by the core. An output with the name of an
  input overrides that input (for inputs that the plugin fills in where the program left them out);
- raises `OperationError` for what the person must read, `PartialFailure` where the effect exists but is not
  as asked (the state then keeps the id and the outputs), and lets `asyncio.CancelledError` pass after undoing
  or finishing what it began: either the effect and the state are there afterwards, or neither;
- writes to the person through `call.log`.

Blocking libraries go through `asyncio.to_thread`. A provider with settings or connections of its own derives
from `Provider` (provider.py) and hands them to its handlers.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from offline_plugins.diff import Change, changes
from offline_plugins.engine import ResourceLog
from offline_plugins.spec import Problem, Spec
from offline_plugins.values import UNKNOWN, Properties, Value

Plain = dict[str, Any]
"""Properties without secret marks and unknowns, keyed by the names of the official schema."""

Outputs = Mapping[str, Value]
"""Computed outputs by name; a `Secret` stays one, and the spec's secret outputs become one."""


class OperationError(Exception):
    """An operation failed with no effect that the state must know of; the text is shown to the person."""


class PartialFailure(Exception):
    """The resource exists, but not as asked: the state keeps it, and the next `up` updates it."""

    def __init__(self, reason: str, resource_id: str, outputs: Outputs) -> None:
        super().__init__(reason)
        self.reason = reason
        self.resource_id = resource_id
        self.outputs = outputs


@dataclass(frozen=True)
class Created:
    """A new resource: its id (not empty) and computed outputs."""

    id: str
    outputs: Outputs = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a read found.

    `outputs` is merged over the stored state; `inputs`, where given, replaces the stored inputs, so that what
    drifted shows as a difference to the program.
    """

    id: str
    outputs: Outputs = field(default_factory=dict)
    inputs: Plain | None = None


@dataclass(frozen=True)
class Call:
    """One request of the engine: which resource it is about, and the log that the person reads."""

    urn: str
    log: ResourceLog

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def token(self) -> str:
        """The resource's type, as `command:remote:Command`."""
        return token_of(self.urn)

    def unique_id(self) -> str:
        """An id as the official Go providers make them: the resource's name and eight random hex digits."""
        return f"{self.name}{secrets.token_hex(4)}"


def token_of(urn: str) -> str:
    """The resource type in a URN; parents' types before it are left out."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


class ResourceHandler(ABC):
    """One resource type. The module's text says how it is written."""

    spec: ClassVar[Spec]

    def validate(self, inputs: Properties, old_inputs: Properties) -> list[Problem]:
        """Mistakes that the spec cannot express; `inputs` are checked, and may hold secrets and unknowns."""
        return []

    def fill_in(self, call: Call, inputs: Properties, old_inputs: Properties) -> Properties:
        """Defaults that the spec cannot express, such as a generated name; called in Check, after the spec's.

        What was generated once must be taken over from `old_inputs` (empty for a new resource).
        """
        return inputs

    def diff(self, old_inputs: Properties, new_inputs: Properties, state: Properties) -> list[Change]:
        """What differs. Everything may hold secrets and unknowns; ignored changes are taken out later."""
        return changes(old_inputs, new_inputs)

    def replaces(self, change: Change, state: Properties, new_inputs: Properties) -> bool:
        """Whether this change replaces the resource rather than updating it in place."""
        return self.spec.replaces(change.path)

    def plan_create(self, inputs: Properties) -> Properties:
        """The computed outputs of a resource that does not exist yet, for previews: unknown unless given."""
        return {name: UNKNOWN for name in self.spec.outputs if name not in inputs}

    def plan_update(self, inputs: Properties, state: Properties) -> Properties:
        """The computed outputs after an update, for previews: stable ones stay, the others are unknown."""
        return {
            name: state.get(name) if computed.stable else UNKNOWN
            for name, computed in self.spec.outputs.items()
            if name not in inputs
        }

    @abstractmethod
    async def create(self, call: Call, inputs: Plain) -> Created:
        """Make the resource."""

    async def update(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Outputs:
        """Change the resource in place; `state` is what was stored. Not called where every input replaces."""
        raise OperationError(f"{self.spec.token} cannot be updated in place")

    async def delete(self, call: Call, resource_id: str, state: Plain) -> None:
        """Remove the resource. By default nothing has to be done."""
        return

    async def read(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Found | None:
        """What is really there; None if it is gone. By default the stored state is believed (no read)."""
        return Found(resource_id)
