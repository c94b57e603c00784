"""The provider server keeps its promises to the engine: previews, partial failures, cancellation, an end."""

import asyncio
import contextlib
import functools
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import empty_pb2

from offline_plugins.handler import (
    Call,
    Created,
    OperationError,
    Outputs,
    PartialFailure,
    Plain,
    ResourceHandler,
)
from offline_plugins.protocol import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)
from offline_plugins.provider import DESCRIPTION, Provider
from offline_plugins.server import main
from offline_plugins.spec import Computed, Field, ListOf, Object, Spec, Text
from offline_plugins.values import UNKNOWN, Properties, Secret, decode_properties, encode_properties

URN = "urn:pulumi:dev::project::test:index:Thing::thing"
STARTED, UNDONE = "started", "undone"


class Thing(ResourceHandler):
    """A resource type that does what its input `what` says."""

    spec = Spec(
        "test:index:Thing",
        inputs={"what": Field(Text(), required=True), "zone": Field(Text(), replaces=True)},
        outputs={"answer": Computed(), "birth": Computed(stable=True), "token": Computed(secret=True)},
        delete_before_replace=True,
    )

    async def create(self, call: Call, inputs: Plain) -> Created:
        call.log.info(f"creating {call.name} {inputs['what']}")
        outputs: Outputs = {"answer": inputs["what"] * 2, "birth": "today", "token": "t"}
        if inputs["what"] == "half":
            raise PartialFailure("it exists but does not run", "half-id", outputs)
        if inputs["what"] == "refused":
            raise OperationError("the host refused it")
        if inputs["what"] == "broken":
            raise ZeroDivisionError("a bug")
        if inputs["what"] == "endless":
            try:
                call.log.info(STARTED)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                call.log.info(UNDONE)
                raise
        return Created(call.unique_id(), outputs)

    async def update(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Outputs:
        return {"answer": f"{state['answer']} then {inputs['what']}"}


class SettingsProvider(Provider):
    """A provider that shows the settings it was given."""

    async def configure(self, settings: dict[str, Any]) -> None:
        raise OperationError(f"settings: {sorted(settings.items())}")


class EngineLog(engine_pb2_grpc.EngineServicer):
    """The engine's side of the log."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[engine_pb2.LogRequest] = asyncio.Queue()

    async def Log(self, request: engine_pb2.LogRequest, context: object) -> empty_pb2.Empty:  # noqa: N802 - the protocol's name
        self.lines.put_nowait(request)
        return empty_pb2.Empty()


@dataclass
class Plugin:
    """A plugin process and the engine that it talks to."""

    process: asyncio.subprocess.Process
    stub: Any
    log: EngineLog
    stop_engine: Callable[[], Awaitable[None]]

    async def create(self, inputs: Properties, preview: bool = False, seconds: float = 0) -> Any:
        request = provider_pb2.CreateRequest(
            urn=URN, properties=encode_properties(inputs), preview=preview, timeout=seconds
        )
        return await self.stub.Create(request)


@contextlib.asynccontextmanager
async def running(kind: str = "things") -> AsyncIterator[Plugin]:
    log = EngineLog()
    engine = grpc.aio.server()
    engine_pb2_grpc.add_EngineServicer_to_server(log, engine)
    address = f"127.0.0.1:{engine.add_insecure_port('127.0.0.1:0')}"
    await engine.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, kind, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        handshake: Any = stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address=address))
        assert (await handshake).accept_secrets
        try:
            yield Plugin(process, stub, log, lambda: engine.stop(grace=None))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await engine.stop(grace=None)


def provider(kind: str) -> Provider:
    settings = Object({"host": Field(Text(), required=True), "options": Field(ListOf(Text()))})
    provider_type = SettingsProvider if kind == "settings" else Provider
    return provider_type("test", "1.2.3", [Thing()], settings if kind == "settings" else None)


def on_event_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine; one that hangs fails after 20 s."""

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**arguments), timeout=20))

    return run


async def failure(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@on_event_loop
async def test_the_plugin_says_the_version_that_it_stands_in_for() -> None:
    async with running() as plugin:
        info: plugin_pb2.PluginInfo = await plugin.stub.GetPluginInfo(empty_pb2.Empty())
        schema = await plugin.stub.GetSchema(provider_pb2.GetSchemaRequest())
        assert info.version == "1.2.3", "the engine refuses a plugin of another version than the SDK's"
        assert "offline plugin of registry-cache, not the official one" in schema.schema


@on_event_loop
async def test_a_preview_of_a_create_does_nothing_and_knows_no_output() -> None:
    async with running() as plugin:
        answer = await plugin.create({"what": "broken"}, preview=True)
        assert answer.id == ""
        assert decode_properties(answer.properties) == {
            "what": "broken",
            "answer": UNKNOWN,
            "birth": UNKNOWN,
            "token": Secret(UNKNOWN),
        }


@on_event_loop
async def test_a_create_stores_inputs_with_their_marks_beside_the_outputs() -> None:
    async with running() as plugin:
        answer = await plugin.create({"what": Secret("ab")})
        assert answer.id.startswith("thing")
        assert decode_properties(answer.properties) == {
            "what": Secret("ab"),
            "answer": "abab",
            "birth": "today",
            "token": Secret("t"),
        }
        line = await plugin.log.lines.get()
        assert (line.urn, line.message) == (URN, "creating thing ab")


@on_event_loop
async def test_an_update_keeps_the_outputs_that_it_did_not_change() -> None:
    state: Properties = {"what": "a", "answer": "aa", "birth": "today", "token": Secret("t")}
    async with running() as plugin:

        async def update(preview: bool, what: str) -> Properties:
            request = provider_pb2.UpdateRequest(
                id="x",
                urn=URN,
                olds=encode_properties(state),
                old_inputs=encode_properties({"what": "a"}),
                news=encode_properties({"what": what}),
                preview=preview,
            )
            return decode_properties((await plugin.stub.Update(request)).properties)

        done = await update(False, "b")
        assert done == {"what": "b", "answer": "aa then b", "birth": "today", "token": Secret("t")}
        planned = await update(True, "b")
        assert planned == {"what": "b", "answer": UNKNOWN, "birth": "today", "token": Secret(UNKNOWN)}
        assert await update(True, "a") == state, "what does not change is known in a preview"


@on_event_loop
async def test_a_diff_tells_update_from_replacement() -> None:
    async with running() as plugin:

        async def diff(old: Properties, new: Properties, *ignored: str) -> provider_pb2.DiffResponse:
            request = provider_pb2.DiffRequest(
                id="x",
                urn=URN,
                olds=encode_properties(old),
                old_inputs=encode_properties(old),
                news=encode_properties(new),
                ignoreChanges=ignored,
            )
            response: provider_pb2.DiffResponse = await plugin.stub.Diff(request)
            return response

        same = await diff({"what": "a"}, {"what": "a"})
        assert same.changes == provider_pb2.DiffResponse.DIFF_NONE
        changed = await diff({"what": "a"}, {"what": "b"})
        assert (list(changed.diffs), list(changed.replaces)) == (["what"], [])
        replaced = await diff({"what": "a", "zone": "x"}, {"what": "b", "zone": "y"})
        assert (list(replaced.diffs), list(replaced.replaces)) == (["what", "zone"], ["zone"])
        assert replaced.deleteBeforeReplace
        kinds = provider_pb2.PropertyDiff
        assert replaced.detailedDiff["zone"].kind == kinds.UPDATE_REPLACE
        assert replaced.detailedDiff["what"].kind == kinds.UPDATE
        ignored = await diff({"what": "a", "zone": "x"}, {"what": "a"}, "zone")
        assert ignored.changes == provider_pb2.DiffResponse.DIFF_NONE


@on_event_loop
async def test_a_half_made_resource_is_kept_in_the_state() -> None:
    async with running() as plugin:
        error = await failure(plugin.create({"what": "half"}))
        assert error.details() == "it exists but does not run"
        details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
        status = status_pb2.Status.FromString(bytes(details))
        kept = provider_pb2.ErrorResourceInitFailed()
        assert status.details[0].Unpack(kept)
        assert (kept.id, list(kept.reasons)) == ("half-id", ["it exists but does not run"])
        assert decode_properties(kept.properties)["answer"] == "halfhalf"
        assert decode_properties(kept.inputs) == {"what": "half"}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("refused", "the host refused it"),
        (
            "broken",
            f"unexpected ZeroDivisionError in the {DESCRIPTION}: a bug",
        ),
    ],
)
@on_event_loop
async def test_a_failure_comes_with_its_reason(what: str, message: str) -> None:
    async with running() as plugin:
        assert (await failure(plugin.create({"what": what}))).details() == message


@on_event_loop
async def test_an_unknown_resource_type_is_named() -> None:
    async with running() as plugin:
        request = provider_pb2.CheckRequest(urn="urn:pulumi:dev::p::test:index:Other::o")
        error = await failure(plugin.stub.Check(request))
        assert "has no resource type test:index:Other; it has test:index:Thing" in str(error.details())


@on_event_loop
async def test_a_custom_timeout_ends_an_operation() -> None:
    async with running() as plugin:
        error = await failure(plugin.create({"what": "endless"}, seconds=0.2))
        assert error.details() == "the operation took longer than its custom timeout of 0.2 s"


async def logged(plugin: Plugin, message: str) -> None:
    while (await plugin.log.lines.get()).message != message:
        pass


@on_event_loop
async def test_cancel_lets_a_running_operation_undo_what_it_began() -> None:
    async with running() as plugin:
        creating = asyncio.ensure_future(plugin.create({"what": "endless"}))
        await logged(plugin, STARTED)
        await plugin.stub.Cancel(empty_pb2.Empty())
        assert (await failure(creating)).details() == "the operation was cancelled"
        await logged(plugin, UNDONE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@on_event_loop
async def test_the_plugin_ends_within_a_second_of_a_signal_even_while_it_works(
    number: signal.Signals,
) -> None:
    async with running() as plugin:
        creating = asyncio.ensure_future(plugin.create({"what": "endless"}))
        await logged(plugin, STARTED)
        plugin.process.send_signal(number)
        assert await asyncio.wait_for(plugin.process.wait(), 1) == 0
        await failure(creating)
        await logged(plugin, UNDONE)


@on_event_loop
async def test_the_plugin_ends_when_the_engine_is_gone() -> None:
    async with running() as plugin:
        await plugin.stop_engine()
        assert await asyncio.wait_for(plugin.process.wait(), 5) == 0, "kill -9 must leave no plugins behind"


@on_event_loop
async def test_structured_settings_arrive_as_json_texts() -> None:
    async with running("settings") as plugin:
        given: Properties = {"host": Secret("h"), "options": '["-o", "x"]', "version": "1.2.3"}
        error = await failure(
            plugin.stub.Configure(provider_pb2.ConfigureRequest(args=encode_properties(given)))
        )
        assert error.details() == "settings: [('host', 'h'), ('options', ['-o', 'x'])]"
        checked = await plugin.stub.CheckConfig(
            provider_pb2.CheckRequest(urn=URN, news=encode_properties(given))
        )
        assert decode_properties(checked.inputs) == given, (
            "the engine compares settings as the program sent them"
        )


@on_event_loop
async def test_a_wrong_setting_is_named() -> None:
    async with running("settings") as plugin:
        news = encode_properties({"options": "no list", "hots": "h"})
        checked = await plugin.stub.CheckConfig(provider_pb2.CheckRequest(urn=URN, news=news))
        reasons = [problem.reason for problem in checked.failures]
        assert all(any(f"'{name}'" in reason for reason in reasons) for name in ("options", "hots", "host"))


@on_event_loop
async def test_the_engine_is_never_told_a_property_whose_value_it_would_show() -> None:
    async with running() as plugin:
        news = encode_properties({"what": Secret(["s3cret"])})
        checked = await plugin.stub.Check(provider_pb2.CheckRequest(urn=URN, news=news))
        assert [problem.reason for problem in checked.failures] == ["'what' must be a string, not a list"]
        assert [problem.property for problem in checked.failures] == [""]


if __name__ == "__main__":
    main(provider(sys.argv.pop(1)))
