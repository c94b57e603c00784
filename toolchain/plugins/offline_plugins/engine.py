"""The way back to the Pulumi engine: log lines, and noticing that the engine is gone."""

import asyncio
from dataclasses import dataclass
from enum import Enum

import grpc
import grpc.aio

from offline_plugins.protocol import engine_pb2, engine_pb2_grpc

MESSAGE_LIMIT = 400 << 20
"""Largest message in bytes, as the engine sets it for itself."""

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
)


class Severity(Enum):
    """How a log line is shown."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class EngineConnection:
    """The engine's log service. One task sends the lines in order, so that a chatty command does not wait."""

    def __init__(self, address: str) -> None:
        """`address` is `host:port` on this machine; empty for a plugin that was started without an engine."""
        self._channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) if address else None
        self._stub = engine_pb2_grpc.EngineStub(self._channel) if self._channel else None
        self._lines: asyncio.Queue[engine_pb2.LogRequest] = asyncio.Queue()
        self._sender: asyncio.Task[None] | None = None

    def log(self, urn: str, severity: Severity, message: str, ephemeral: bool) -> None:
        """Queue one line about the resource `urn`; an ephemeral one is a status that the next replaces."""
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(
            severity=engine_pb2.LogSeverity.Value(severity.value),
            message=message,
            urn=urn,
            ephemeral=ephemeral,
        )
        self._lines.put_nowait(request)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_lines())

    async def flush(self) -> None:
        """Wait until every queued line has reached the engine."""
        await self._lines.join()

    async def lost(self) -> None:
        """Return when the engine's process is gone. Never returns without an engine."""
        if self._channel is None:
            await asyncio.Event().wait()
            return
        state = self._channel.get_state(try_to_connect=True)
        while state not in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            await self._channel.wait_for_state_change(state)
            state = self._channel.get_state(try_to_connect=True)

    async def _send_lines(self) -> None:
        assert self._stub is not None
        while True:
            request = await self._lines.get()
            try:
                await self._stub.Log(request)  # type: ignore[misc]
            except grpc.aio.AioRpcError:
                pass  # an engine that is ending takes no more lines, and the operation must end all the same
            finally:
                self._lines.task_done()


@dataclass(frozen=True)
class ResourceLog:
    """The log of one resource, as the person sees it beside the resource."""

    engine: EngineConnection
    urn: str

    def status(self, message: str) -> None:
        """A line of progress, shown while the operation runs."""
        self.engine.log(self.urn, Severity.INFO, message, ephemeral=True)

    def info(self, message: str) -> None:
        """A line that stays."""
        self.engine.log(self.urn, Severity.INFO, message, ephemeral=False)

    def warning(self, message: str) -> None:
        """A warning."""
        self.engine.log(self.urn, Severity.WARNING, message, ephemeral=False)

    def error(self, message: str) -> None:
        """An error line beside the one that fails the operation."""
        self.engine.log(self.urn, Severity.ERROR, message, ephemeral=False)
