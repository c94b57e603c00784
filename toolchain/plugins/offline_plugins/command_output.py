"""What a command prints, collected and shown as the official plugin does it."""

from dataclasses import dataclass, field
from typing import Any

from offline_plugins.engine import ResourceLog
from offline_plugins.handler import OperationError

_GO_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def quoted(text: str) -> str:
    """The text as Go's `%q` prints it, the form of the official error messages."""
    return (
        '"' + "".join(_GO_ESCAPES.get(one, one if one.isprintable() else _escape(one)) for one in text) + '"'
    )


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def command_error(reason: str, command: str, output: "CommandOutput") -> OperationError:
    """The official message of a failing command: the reason, the whole command, and all that it printed."""
    return OperationError(f"{reason}: running {quoted(command)}:\n{_text(bytes(output.both))}")


@dataclass
class CommandOutput:
    """The two streams of a running command; their lines go to the log as `logging` says.

    `logging` is an input of the resource: stdout, stderr, stdoutAndStderr (also if it is not given) or none.
    """

    log: ResourceLog
    logging: str | None = None
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    both: bytearray = field(default_factory=bytearray)
    _unfinished_line: bytearray = field(default_factory=bytearray)

    def add(self, data: bytes, from_stderr: bool) -> None:
        """Take what arrived on one stream."""
        (self.stderr if from_stderr else self.stdout).extend(data)
        self.both.extend(data)
        stream = "stderr" if from_stderr else "stdout"
        if (self.logging or "stdoutAndStderr") in (stream, "stdoutAndStderr"):
            *lines, rest = (bytes(self._unfinished_line) + data).split(b"\n")
            self._unfinished_line[:] = rest
            for line in lines:
                self.log.status(_text(line))

    def finish(self) -> None:
        """Show the last line if it has no newline."""
        if self._unfinished_line:
            self.log.status(_text(bytes(self._unfinished_line)))
            self._unfinished_line.clear()

    def outputs(self) -> dict[str, Any]:
        """The resource's `stdout` and `stderr`."""
        return {
            "stdout": _text(bytes(self.stdout)).removesuffix("\n"),
            "stderr": _text(bytes(self.stderr)).removesuffix("\n"),
        }


def _text(data: bytes) -> str:
    # a property is text; bytes that are not UTF-8 cannot be stored in the state
    return data.decode("utf-8", errors="replace")
