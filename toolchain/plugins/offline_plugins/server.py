"""The gRPC server of a plugin: the provider protocol around `lifecycle.py`, and an orderly end.

Cancel (Ctrl-C at the CLI) cancels every running operation, which then ends as its handler says. SIGINT,
SIGTERM and the loss of the engine's process do the same and then end the plugin, within a second.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio
from google.protobuf import empty_pb2

from offline_plugins import lifecycle
from offline_plugins.engine import CHANNEL_OPTIONS, EngineConnection, ResourceLog
from offline_plugins.handler import Call, OperationError, ResourceHandler, token_of
from offline_plugins.protocol import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from offline_plugins.provider import DESCRIPTION, Provider
from offline_plugins.spec import Problem, path_text
from offline_plugins.values import Properties, decode_properties, encode_properties

Result = TypeVar("Result")
Context = grpc.aio.ServicerContext[Any, Any]

_TOLD_GRACE = 0.6
"""Seconds that cancelled operations get to undo what they began when the engine tells the plugin to end."""

_LOST_GRACE = 4.0
"""The same when the engine's process is gone: nobody waits then, and nobody else will undo it."""


class ProviderServicer(provider_pb2_grpc.ResourceProviderServicer):
    """Pulumi's ResourceProvider service for one `Provider`."""

    def __init__(self, provider: Provider, engine_address: str) -> None:
        self._provider = provider
        self._engine_address = engine_address
        self._engine: EngineConnection | None = None
        self._engine_known = asyncio.Event()
        self._operations: set[asyncio.Task[Any]] = set()
        if engine_address:
            self._connect(engine_address)

    def _connect(self, address: str) -> None:
        if self._engine is None:
            self._engine = EngineConnection(address)
            self._engine_known.set()

    async def engine_lost(self) -> None:
        """Return when the engine's process is gone."""
        await self._engine_known.wait()
        assert self._engine is not None
        await self._engine.lost()

    async def cancel_operations(self, grace: float | None = None) -> None:
        """Cancel what is running, and wait for it to end (at most `grace` seconds)."""
        running = list(self._operations)
        for operation in running:
            _cancel_once(operation)
        if running:
            await asyncio.wait(running, timeout=grace)

    # ---- the plugin itself

    async def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: Context
    ) -> provider_pb2.ProviderHandshakeResponse:
        self._connect(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    async def Attach(self, request: plugin_pb2.PluginAttach, context: Context) -> empty_pb2.Empty:
        self._connect(request.address)
        return empty_pb2.Empty()

    async def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._provider.version)

    async def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: Context
    ) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema=self._provider.schema())

    async def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: Context
    ) -> provider_pb2.CheckResponse:
        inputs, problems = self._provider.check_settings(decode_properties(request.news))
        return _check_response(inputs, problems)

    async def DiffConfig(
        self, request: provider_pb2.DiffRequest, context: Context
    ) -> provider_pb2.DiffResponse:
        old, new = decode_properties(request.old_inputs), decode_properties(request.news)
        changed = self._provider.settings_changed(old, new)
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_SOME if changed else kinds.DIFF_NONE)

    async def Configure(
        self, request: provider_pb2.ConfigureRequest, context: Context
    ) -> provider_pb2.ConfigureResponse:
        async def configure() -> None:
            await self._provider.configure(self._provider.read_settings(decode_properties(request.args)))

        await self._answer(context, configure())
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    async def Cancel(self, request: empty_pb2.Empty, context: Context) -> empty_pb2.Empty:
        await self.cancel_operations()
        return empty_pb2.Empty()

    # ---- resources

    async def Check(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        async def check() -> tuple[Properties, list[Problem]]:
            handler, call = self._target(request.urn)
            return lifecycle.check(
                handler, call, decode_properties(request.olds), decode_properties(request.news)
            )

        return _check_response(*await self._answer(context, check()))

    async def Diff(self, request: provider_pb2.DiffRequest, context: Context) -> provider_pb2.DiffResponse:
        async def diff() -> lifecycle.Difference:
            handler, _ = self._target(request.urn)
            old_inputs, new_inputs = decode_properties(request.old_inputs), decode_properties(request.news)
            state = decode_properties(request.olds)
            return lifecycle.diff(handler, old_inputs, new_inputs, state, list(request.ignoreChanges))

        return _diff_response(await self._answer(context, diff()))

    async def Create(
        self, request: provider_pb2.CreateRequest, context: Context
    ) -> provider_pb2.CreateResponse:
        async def create() -> tuple[str, Properties]:
            handler, call = self._target(request.urn)
            return await lifecycle.create(
                handler, call, decode_properties(request.properties), request.preview
            )

        resource_id, state = await self._answer(context, create(), request.timeout)
        return provider_pb2.CreateResponse(id=resource_id, properties=encode_properties(state))

    async def Update(
        self, request: provider_pb2.UpdateRequest, context: Context
    ) -> provider_pb2.UpdateResponse:
        async def update() -> Properties:
            handler, call = self._target(request.urn)
            state, inputs = decode_properties(request.olds), decode_properties(request.news)
            old_inputs = decode_properties(request.old_inputs)
            return await lifecycle.update(
                handler, call, request.id, state, old_inputs, inputs, request.preview
            )

        state = await self._answer(context, update(), request.timeout)
        return provider_pb2.UpdateResponse(properties=encode_properties(state))

    async def Delete(self, request: provider_pb2.DeleteRequest, context: Context) -> empty_pb2.Empty:
        async def delete() -> None:
            handler, call = self._target(request.urn)
            await lifecycle.delete(handler, call, request.id, decode_properties(request.properties))

        await self._answer(context, delete(), request.timeout)
        return empty_pb2.Empty()

    async def Read(self, request: provider_pb2.ReadRequest, context: Context) -> provider_pb2.ReadResponse:
        async def read() -> tuple[str, Properties, Properties]:
            handler, call = self._target(request.urn)
            state, inputs = decode_properties(request.properties), decode_properties(request.inputs)
            return await lifecycle.read(handler, call, request.id, state, inputs)

        resource_id, state, inputs = await self._answer(context, read(), request.timeout)
        return provider_pb2.ReadResponse(
            id=resource_id, properties=encode_properties(state), inputs=encode_properties(inputs)
        )

    async def Invoke(
        self, request: provider_pb2.InvokeRequest, context: Context
    ) -> provider_pb2.InvokeResponse:
        await _abort(context, f"the {DESCRIPTION} has no function {request.tok}")

    # ---- how an operation is run

    def _target(self, urn: str) -> tuple[ResourceHandler, Call]:
        assert self._engine is not None, "the engine calls Handshake or Attach before it asks for a resource"
        return self._provider.handler(token_of(urn)), Call(urn, ResourceLog(self._engine, urn))

    async def _answer(
        self, context: Context, operation: Coroutine[Any, Any, Result], seconds: float = 0
    ) -> Result:
        """Run an operation as a task that Cancel finds, and turn its failure into what the engine reads.

        `seconds` is the resource's custom timeout; 0 is none.
        """
        task = asyncio.create_task(_within(operation, seconds))
        self._operations.add(task)
        task.add_done_callback(self._operations.discard)
        try:
            result = await asyncio.shield(task)
        except asyncio.CancelledError:
            _cancel_once(task)  # the call itself may be what was cancelled, when the engine is gone
            failure = "the operation was cancelled"
        except lifecycle.PartialState as partial:
            await self.flush_log()
            await context.abort_with_status(_partial_status(partial))
        except OperationError as error:
            failure = str(error)
        except TimeoutError:
            failure = f"the operation took longer than its custom timeout of {seconds:g} s"
        except Exception as error:
            failure = f"unexpected {type(error).__name__} in the {DESCRIPTION}: {error}"
        else:
            await self.flush_log()
            return result
        await self.flush_log()
        return await _abort(context, failure)

    async def flush_log(self) -> None:
        """Wait until the engine has every log line."""
        if self._engine is not None:
            await self._engine.flush()


def _cancel_once(operation: asyncio.Task[Any]) -> None:
    """Cancel, unless it is being cancelled: a second time would interrupt the undoing of what it began."""
    if not operation.cancelling():
        operation.cancel()


async def _within(operation: Coroutine[Any, Any, Result], seconds: float) -> Result:
    async with asyncio.timeout(seconds or None):
        return await operation


async def _abort(context: Context, message: str) -> NoReturn:
    await context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")


def _check_response(inputs: Properties, problems: Sequence[Problem]) -> provider_pb2.CheckResponse:
    # the engine shows the value of a property that a failure names, secret or not; reasons name it instead
    return provider_pb2.CheckResponse(
        inputs=encode_properties(inputs),
        failures=[provider_pb2.CheckFailure(reason=_named(problem)) for problem in problems],
    )


def _named(problem: Problem) -> str:
    path = path_text(problem.path)
    return problem.reason if not path or path in problem.reason else f"'{path}': {problem.reason}"


def _diff_response(difference: lifecycle.Difference) -> provider_pb2.DiffResponse:
    kind = provider_pb2.PropertyDiff.Kind
    detailed = {
        path_text(change.path): provider_pb2.PropertyDiff(
            kind=kind.Value(f"{change.kind.value}_REPLACE" if replaces else change.kind.value),
            inputDiff=change.of_inputs,
        )
        for change, replaces in difference.changes
    }
    response = provider_pb2.DiffResponse
    return response(
        changes=response.DIFF_SOME if detailed else response.DIFF_NONE,
        diffs=sorted({str(change.path[0]) for change, _ in difference.changes}),
        replaces=sorted({str(change.path[0]) for change, replaces in difference.changes if replaces}),
        deleteBeforeReplace=difference.delete_before_replace,
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )


class _PartialStatus(grpc.Status):
    """A gRPC status with `ErrorResourceInitFailed`, by which the engine keeps a half-made resource."""

    def __init__(self, partial: lifecycle.PartialState) -> None:
        self.code = grpc.StatusCode.UNKNOWN
        self.details = partial.reason
        status = status_pb2.Status(code=self.code.value[0], message=partial.reason)
        status.details.add().Pack(
            provider_pb2.ErrorResourceInitFailed(
                id=partial.resource_id,
                properties=encode_properties(partial.state),
                reasons=[partial.reason],
                inputs=encode_properties(partial.inputs),
            )
        )
        self.trailing_metadata = (("grpc-status-details-bin", status.SerializeToString()),)


def _partial_status(partial: lifecycle.PartialState) -> grpc.Status:
    return _PartialStatus(partial)


async def _serve(provider: Provider, engine_address: str) -> None:
    servicer = ProviderServicer(provider, engine_address)
    server = grpc.aio.server(options=CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told_to_end.set)
    print(port, flush=True)

    waits = [asyncio.create_task(told_to_end.wait()), asyncio.create_task(servicer.engine_lost())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    await servicer.cancel_operations(_TOLD_GRACE if told_to_end.is_set() else _LOST_GRACE)
    for last in (servicer.flush_log(), provider.close()):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(last, timeout=0.1)
    await server.stop(grace=0.1)


def main(provider: Provider) -> NoReturn:
    """Run the plugin as the engine starts it: the port goes to standard output, then requests are answered.

    `--version` says what the plugin is.
    """
    if "--version" in sys.argv[1:]:
        print(f"{provider.name} {provider.version} ({DESCRIPTION})")
        sys.exit(0)
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    asyncio.run(_serve(provider, addresses[-1] if addresses else ""))
    sys.stdout.flush()
    # threads of blocking libraries may still run; the engine's grace is for the work, which is done
    os._exit(0)
