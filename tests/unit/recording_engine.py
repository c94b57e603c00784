"""An engine that registers nothing and remembers what it was asked to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pulumi
from pulumi.runtime import mocks
from pulumi.runtime.config import set_all_config

from components.lib.remote import Remote
from components.observation import Look

SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"


@dataclass(frozen=True)
class Registered:
    """One resource as the program declared it. ``after`` are the names of those it depends on."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    after: frozenset[str]
    options: Any = field(repr=False)

    def is_secret(self, key: str) -> bool:
        """Whether an input was handed over as a secret."""
        value = self.inputs.get(key)
        return isinstance(value, dict) and SECRET_SIGNATURE in value

    def text(self, key: str) -> str:
        """An input as text, out of its secret envelope where it is in one."""
        value = self.inputs[key]
        return str(value["value"] if self.is_secret(key) else value)


class _Outputs(mocks.Mocks):
    """Gives resources the outputs that the program goes on with."""

    def __init__(self, stack_outputs: Mapping[str, Any]) -> None:
        self._stack_outputs = stack_outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls {args.token}, which this engine does not know")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ == "pulumi:pulumi:StackReference":
            outputs["outputs"] = dict(self._stack_outputs)
        elif args.typ.startswith("tls:"):
            made = f"-----BEGIN {args.name}-----\n"
            outputs |= {"certPem": made, "certRequestPem": made, "validityEndTime": "2027-11-23T12:00:00Z"}
            outputs["privateKeyPem"] = {SECRET_SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "value": made}
        elif args.typ.startswith("docker:"):
            outputs["imageId"] = "sha256:" + "1" * 64
        elif args.typ.startswith("command:"):
            outputs |= {"stdout": "done", "stderr": ""}
        return f"{args.name}-id", outputs


class RecordingEngine(mocks.MockMonitor):
    """The engine for one test."""

    def __init__(self, stack_outputs: Mapping[str, Any] | None = None) -> None:
        super().__init__(_Outputs(stack_outputs or {}))
        self.registered: dict[str, Registered] = {}
        self.generations: dict[str, str] = {}
        """What the program exports for the next ``up``, by host."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  # the protocol's name
        answer: Any = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        inputs = pulumi.runtime.rpc.deserialize_properties(request.object, keep_unknowns=True)
        self.registered[request.name] = Registered(
            request.type,
            request.name,
            {key: _enveloped(value) for key, value in inputs.items()},
            request.parent.rpartition("::")[2],
            frozenset(urn.rpartition("::")[2] for urn in request.dependencies),
            request,
        )
        return answer

    def of_type(self, kind: str) -> list[Registered]:
        """All resources of a type, in the order of their names."""
        return [
            self.registered[name] for name in sorted(self.registered) if self.registered[name].type == kind
        ]

    def comes_after(self, later: str, earlier: str) -> bool:
        """Whether one resource waits for another, straight or through others in between."""
        seen: set[str] = set()
        waiting = [later]
        while waiting:
            name = waiting.pop()
            if name == earlier:
                return True
            if name not in seen:
                seen.add(name)
                waiting.extend(self.registered[name].after if name in self.registered else ())
        return False


def run_program(
    configuration: Mapping[str, Any],
    stack_outputs: Mapping[str, Any] | None = None,
    look: Look | None = None,
) -> RecordingEngine:
    """Runs the whole program against a recording engine. Keys of ``configuration`` are without prefix.

    ``look`` answers for the hosts; without it, a program that looks at one fails.
    """
    engine = RecordingEngine(stack_outputs)
    # The engine's mocks take the thread's, which is none once another test has run one to its end.
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks.set_mocks(engine.mocks, project="registry-cache", stack="test", preview=False, monitor=engine)
    texts = {
        f"registry-cache:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in configuration.items()
    }
    set_all_config(texts, [])

    @mocks.test  # type: ignore[untyped-decorator]
    def program() -> None:
        from components import stack
        from components.last_up import LastUp

        settings = stack.load_settings()
        last_up = LastUp()
        hosts = stack.declare_hosts(settings, last_up, look or _no_host)
        mirrors = stack.declare_mirrors(settings, hosts, last_up)
        clients = stack.declare_clients(settings, hosts, mirrors)
        stack.declare_verifications(settings, mirrors, clients)
        pulumi.Output.all(**stack.describe_generations(hosts)).apply(engine.generations.update)

    program()
    return engine


def _no_host(hosts: Sequence[Remote]) -> NoReturn:
    raise AssertionError(f"the program looks at {[host.name for host in hosts]}")


def _enveloped(value: Any) -> Any:
    if isinstance(value, dict) and SECRET_SIGNATURE in value:
        return dict(value)
    return value
