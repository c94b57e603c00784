"""What a command printed, in the forms of the official plugin."""

from __future__ import annotations

import pytest

from offline_plugins.command_output import CommandOutput, command_error, quoted
from offline_plugins.engine import EngineConnection, ResourceLog, Severity


class RecordedLog(EngineConnection):
    """An engine that keeps what is logged."""

    def __init__(self) -> None:
        super().__init__("")
        self.lines: list[str] = []

    def log(self, urn: str, severity: Severity, message: str, ephemeral: bool) -> None:
        assert (severity, ephemeral) == (Severity.INFO, True), "output is progress, not a message that stays"
        self.lines.append(message)


@pytest.mark.parametrize(
    ("text", "in_go"),
    [
        ("plain", '"plain"'),
        ('say "hi" \\ there', r'"say \"hi\" \\ there"'),
        ("a\tb\nc\r", r'"a\tb\nc\r"'),
        ("\x00\x1b", r'"\x00\x1b"'),
        ("ünïcode ✓", '"ünïcode ✓"'),
        ("\u200b", r'"\u200b"'),
        ("\U000e0001", r'"\U000e0001"'),
    ],
)
def test_a_command_is_quoted_as_go_does(text: str, in_go: str) -> None:
    assert quoted(text) == in_go


def output_of(*pieces: tuple[bytes, bool], logging: str | None = None) -> tuple[CommandOutput, list[str]]:
    log = RecordedLog()
    output = CommandOutput(ResourceLog(log, "urn"), logging)
    for data, from_stderr in pieces:
        output.add(data, from_stderr)
    output.finish()
    return output, log.lines


def test_lines_are_shown_whole_however_they_arrive() -> None:
    _, lines = output_of((b"on", False), (b"e\ntwo\nthr", False), (b"ee", False))
    assert lines == ["one", "two", "three"]


def test_only_the_streams_that_are_asked_for_are_shown_and_both_are_kept() -> None:
    output, lines = output_of((b"out\n", False), (b"err\n", True), logging="stderr")
    assert lines == ["err"]
    assert output.outputs() == {"stdout": "out", "stderr": "err"}


def test_the_error_has_both_streams_in_the_order_in_which_they_came() -> None:
    output, _ = output_of((b"1\n", False), (b"2\n", True), (b"3", False), logging="none")
    error = command_error("Process exited with status 1", "false", output)
    assert str(error) == 'Process exited with status 1: running "false":\n1\n2\n3'


def test_bytes_that_are_no_utf8_do_not_stop_a_command() -> None:
    output, _ = output_of((b"caf\xe9 \xc3", False), (b"\xa9\n", False))
    assert output.outputs()["stdout"] == "caf� é"
