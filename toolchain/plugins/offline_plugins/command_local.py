"""`command:local:Command`: a command on this machine, as pulumi-command 1.2.1 runs it.

`assetPaths` and `archivePaths` are refused by name. Cancelled, the command's whole process group is ended.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offline_plugins.command_output import CommandOutput, command_error
from offline_plugins.command_runs import CommandRuns, previous_variables
from offline_plugins.command_spec import COMMANDS, OUTPUTS
from offline_plugins.handler import Call, OperationError, Plain
from offline_plugins.spec import Field, ListOf, Spec, Text

_DEFAULT_INTERPRETER = ("/bin/sh", "-c")
_TERM_GRACE = 0.4
"""Seconds between SIGTERM and SIGKILL; the plugin itself has a second to end."""


class LocalCommand(CommandRuns):
    """A command that runs on this machine at create, update and delete."""

    spec = Spec(
        "command:local:Command",
        {**COMMANDS, "dir": Field(Text()), "interpreter": Field(ListOf(Text()))},
        OUTPUTS,
        refused=frozenset({"assetPaths", "archivePaths"}),
    )

    async def run(
        self, call: Call, inputs: Plain, command: str, previous: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Run one command to its end."""
        variables = {**os.environ, **(inputs.get("environment") or {})}
        variables |= previous_variables(inputs, previous)
        return await _run(call, inputs, command, variables)


async def _run(call: Call, inputs: Plain, command: str, variables: Mapping[str, str]) -> dict[str, Any]:
    output = CommandOutput(call.log, inputs.get("logging"))
    interpreter = inputs.get("interpreter") or _DEFAULT_INTERPRETER
    try:
        process = await asyncio.create_subprocess_exec(
            *interpreter,
            command,
            cwd=inputs.get("dir"),
            env=variables,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
        )
    except OSError as error:
        raise command_error(
            _start_failure(error, interpreter[0], inputs.get("dir")), command, output
        ) from error
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        await asyncio.gather(
            _feed(process.stdin, (inputs.get("stdin") or "").encode()),
            _collect(process.stdout, output, from_stderr=False),
            _collect(process.stderr, output, from_stderr=True),
            process.wait(),
        )
    except asyncio.CancelledError:
        await asyncio.shield(_end(process))
        if process.returncode != 0:
            raise
        # it was done before the cancellation reached it: the effect is there, so the state must be too
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
    output.finish()
    if process.returncode != 0:
        raise command_error(_exit_text(process.returncode or 0), command, output)
    return output.outputs()


def _start_failure(error: OSError, program: str, directory: str | None) -> str:
    what = f"chdir {directory}" if directory and not Path(directory).is_dir() else f"fork/exec {program}"
    return f"{what}: {os.strerror(error.errno or 0).lower()}"


async def _feed(writer: asyncio.StreamWriter, stdin: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a command need not read its input
        writer.write(stdin)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def _collect(reader: asyncio.StreamReader, output: CommandOutput, from_stderr: bool) -> None:
    while data := await reader.read(65536):
        output.add(data, from_stderr)


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _TERM_GRACE)
            return
    raise OperationError(f"process {process.pid} does not end")


def _exit_text(status: int) -> str:
    """Go's text for an exit status; a negative one is a signal."""
    if status > 0:
        return f"exit status {status}"
    return f"signal: {signal.strsignal(-status) or -status}".lower()
