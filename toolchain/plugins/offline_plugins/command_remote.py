"""`command:remote:Command`: a command on a host, over SSH, as pulumi-command 1.2.1 runs it.

The host's login shell runs the command; standard input is `stdin`, byte for byte. Environment variables go
by SSH's own `env` request, which a stock sshd refuses: for `environment` that is an error, for the previous
output (`addPreviousOutputInEnv`, on unless it is false) a warning.

Cancelled, the remote processes are ended, not left behind: SSH's signal request alone does not do it (sshd
refuses it for root), so a second session of the same connection ends what the first one started.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offline_plugins.command_login import Login, logged_in
from offline_plugins.command_output import CommandOutput, command_error
from offline_plugins.command_runs import CommandRuns, previous_variables
from offline_plugins.command_spec import COMMANDS, CONNECTION, OUTPUTS
from offline_plugins.handler import Call, OperationError, Plain
from offline_plugins.spec import Spec

if TYPE_CHECKING:
    from asyncssh import SSHClientChannel, SSHClientConnection

ChannelRequest = Callable[..., Awaitable[bool | None]]
"""asyncssh's request on a channel: name and arguments; the answer is whether the host accepted it."""

_SIGNAL_NUMBERS = {
    "ABRT": 6,
    "ALRM": 14,
    "FPE": 8,
    "HUP": 1,
    "ILL": 4,
    "INT": 2,
    "KILL": 9,
    "PIPE": 13,
    "QUIT": 3,
    "SEGV": 11,
    "TERM": 15,
}

_END_SCRIPT = Path(__file__).with_name("end_processes.sh")
_END_WAIT = 4.0
"""Seconds to wait for the remote processes to end."""


class RemoteCommand(CommandRuns):
    """A command that runs on a host at create, update and delete."""

    spec = Spec("command:remote:Command", {**COMMANDS, "connection": CONNECTION}, OUTPUTS)

    async def run(
        self, call: Call, inputs: Plain, command: str, previous: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Run one command to its end."""
        output = CommandOutput(call.log, inputs.get("logging"))
        stdin = (inputs.get("stdin") or "").encode()
        required = inputs.get("environment") or {}
        environment = _Environment(call, required, previous_variables(inputs, previous))
        async with logged_in(Login.of(inputs["connection"]), call.log) as connection:
            await _run_on(connection, command, stdin, environment, output)
        return output.outputs()


class _Environment:
    """The variables of one run: `required` ones fail it when the host refuses them, `wanted` ones warn."""

    def __init__(self, call: Call, required: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        self._call = call
        self._required = required
        self._wanted = wanted

    async def send(self, request: ChannelRequest) -> None:
        """Ask the host to set the variables, before the command is started."""
        for name, value in sorted(self._required.items()):
            if not await _set_variable(request, name, value):
                self._call.log.error(_refused(name))
                raise OperationError(f'could not set environment variable "{name}": ssh: setenv failed')
        for name, value in self._wanted.items():
            if not await _set_variable(request, name, value):
                self._call.log.warning(_refused(name))


def _refused(name: str) -> str:
    return (
        f"Unable to set '{name}'. This only works if your SSH server is configured to accept\n"
        "\tthese variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote"
        " host, you could\n\tprefix the command itself with the variables in the form 'VAR=value command'"
    )


async def _set_variable(request: ChannelRequest, name: str, value: str) -> bool:
    from asyncssh.packet import String

    return bool(await request(b"env", String(name), String(value)))


class _Session:
    """One command on the host, as asyncssh calls it back (its SSHClientSession for bytes)."""

    def __init__(self, output: CommandOutput, environment: _Environment) -> None:
        self._output = output
        self._environment = environment
        self._failure = "wait: remote command exited without exit status or exit signal"
        self._succeeded = False
        self.opened = False
        self.ended = asyncio.Event()

    @property
    def failure(self) -> str | None:
        """Why the command failed, in the words of Go's ssh package; None if it succeeded."""
        return None if self._succeeded else self._failure

    def connection_made(self, channel: "SSHClientChannel[bytes]") -> None:
        self.opened = True
        make_request = channel._make_request  # noqa: SLF001 - see below

        async def request_after_environment(request: bytes, *args: bytes) -> bool | None:
            if request == b"exec":
                await self._environment.send(make_request)
            return await make_request(request, *args)

        # asyncssh's own `env=` asks for no answer, so a refusal would pass unnoticed; this is the only place
        # between opening the channel and starting the command where answers can be awaited
        channel._make_request = request_after_environment  # type: ignore[method-assign] # noqa: SLF001

    def session_started(self) -> None:
        return

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._output.add(data, from_stderr=datatype is not None)

    def eof_received(self) -> bool:
        return True  # the channel stays open for the exit status

    def pause_writing(self) -> None:
        return

    def resume_writing(self) -> None:
        return

    def exit_status_received(self, status: int) -> None:
        self._succeeded = status == 0
        self._failure = f"Process exited with status {status}"

    def exit_signal_received(self, signal: str, core_dumped: bool, message: str, language: str) -> None:
        self._failure = (
            f"Process exited with status {128 + _SIGNAL_NUMBERS.get(signal, 0)} from signal {signal}"
        )
        if message:
            self._failure += f". Reason was: {message}"

    def connection_lost(self, error: Exception | None) -> None:
        self._output.finish()
        self.ended.set()


async def _run_on(
    connection: "SSHClientConnection",
    command: str,
    stdin: bytes,
    environment: _Environment,
    output: CommandOutput,
) -> None:
    import asyncssh

    session = _Session(output, environment)
    try:
        channel, _ = await connection.create_session(
            lambda: session,  # type: ignore[arg-type, return-value]
            command,
            encoding=None,
        )
        with contextlib.suppress(BrokenPipeError):  # a command may end before it has read its input
            channel.write(stdin)
            channel.write_eof()
        await session.ended.wait()
    except asyncio.CancelledError:
        # A command that was cut short may still end with status 0: its children ended before it.
        interrupted = await asyncio.shield(_end_processes(connection, session))
        if interrupted or session.failure is not None:
            raise
        # it was done before the cancellation reached it: the effect is there, so the state must be too
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
    except asyncssh.Error as error:
        raise command_error(f"ssh: {error.reason}", command, output) from error
    if session.failure is not None:
        raise command_error(session.failure, command, output)


async def _end_processes(connection: "SSHClientConnection", session: _Session) -> bool:
    """End what the session started on the host, and tell whether there was anything to end.

    Gives up where the host no longer answers.
    """
    import asyncssh

    interrupted = False
    if not session.opened:
        return interrupted
    with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
        async with asyncio.timeout(_END_WAIT):
            script = _END_SCRIPT.read_text(encoding="utf-8")
            done = await connection.run("exec sh -s", input=script, check=False)
            interrupted = "interrupted" in str(done.stdout)
            await session.ended.wait()
    return interrupted
