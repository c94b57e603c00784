"""The tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from components.status.cells import Grid, grids
from components.status.judgement import Finding, Level, verdict
from components.status.phrases import clock
from components.status.standing import Standing

STYLES = {Level.OK: "", Level.NOTE: "cyan", Level.UNKNOWN: "yellow", Level.OFF: "bold red"}
MARKS = {Level.OK: "", Level.NOTE: " *", Level.UNKNOWN: " ?", Level.OFF: " !"}
"""Told without colours too."""


def report(standing: Standing, findings: Sequence[Finding]) -> RenderableType:
    """All that `make status` says."""
    title = Text(f"{standing.stack}, {clock(standing.at)}", style="bold")
    tables = [_table(grid) for grid in grids(standing, findings)]
    return Group(title, Text(""), *tables, *_lines(findings), _conclusion(findings))


def _table(grid: Grid) -> Table:
    table = Table(title=grid.title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for place, heading in enumerate(grid.headings):
        # On a narrow terminal the others are folded: what a row is about can be read and copied whole.
        table.add_column(heading, overflow="fold", no_wrap=place < grid.keys)
    for row in grid.rows:
        table.add_row(*(Text(cell.text + MARKS[cell.level], style=STYLES[cell.level]) for cell in row.cells))
    return table


def _lines(findings: Iterable[Finding]) -> list[Text]:
    words = {Level.OFF: "off ", Level.UNKNOWN: "unknown ", Level.NOTE: "note "}
    return [
        Text.assemble((words[finding.level], STYLES[finding.level]), str(finding)) for finding in findings
    ]


def _conclusion(findings: Sequence[Finding]) -> Text:
    level = verdict(findings)
    count = sum(finding.level is level for finding in findings)
    things = "1 thing" if count == 1 else f"{count} things"
    text = {
        Level.OK: "all well",
        Level.OFF: f"{things} off",
        Level.UNKNOWN: f"{things} that cannot be told",
    }[level]
    return Text(text, style=STYLES[level] or "bold green")
