"""The measured costs as Markdown."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.contestants import Step
from tests.bench.measuring import Cost

OWN = "registry-cache"
LOOP = "shell loop"
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Sample:
    """One run of one step: its cost, and the SSH connections that the hosts saw."""

    cost: Cost
    connections: int


@dataclass
class Measurements:
    """All samples of one scale, by contestant and step. The shell loop has samples of Step.NOTHING alone."""

    title: str
    samples: dict[tuple[str, Step], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    hosts_seconds: list[float] = field(default_factory=list)

    def seconds(self, name: str, step: Step) -> float | None:
        """The median wall time, None where nothing was measured."""
        samples = self.samples.get((name, step))
        return statistics.median(sample.cost.seconds for sample in samples) if samples else None

    def markdown(self) -> str:
        """One table: a row a step, a column a contestant, and two ratios."""
        names = [n for n in dict.fromkeys(name for name, _ in self.samples) if n != LOOP]
        rivals = [name for name in names if name != OWN]
        head = ["", *names, "to the faster rival", "to the shell loop"]
        lines = [_row(head), _row(["---"] * len(head))]
        for step in Step:
            own = self.seconds(OWN, step)
            fastest = min((s for name in rivals if (s := self.seconds(name, step)) is not None), default=None)
            reads = step in {Step.PREVIEW, Step.NOTHING}
            loop = self.seconds(LOOP, Step.NOTHING) if reads else None
            cells = [self._cell(name, step) for name in names]
            lines.append(_row([step.value, *cells, _ratio(own, fastest), _ratio(own, loop)]))
        runs = min((len(self.samples[name, Step.DESTROY]) for name in names), default=0)
        loop_cell = self._cell(LOOP, Step.NOTHING)
        hosts = f"{statistics.median(self.hosts_seconds):.1f} s" if self.hosts_seconds else "not measured"
        note = f"The shell loop took {loop_cell}. Making the hosts themselves: {hosts}. Runs of each: {runs}."
        return "\n".join([f"### {self.title}", "", *lines, "", note, ""])

    def _cell(self, name: str, step: Step) -> str:
        samples = self.samples.get((name, step))
        if not samples:
            return "–"
        seconds = statistics.median(sample.cost.seconds for sample in samples)
        cpu = statistics.median(sample.cost.cpu_seconds for sample in samples)
        peak = statistics.median(sample.cost.peak_bytes for sample in samples) / MEBIBYTE
        connections = statistics.median(sample.connections for sample in samples)
        return f"{seconds:.1f} s ({cpu:.1f} CPU), {peak:.0f} MiB, {connections:.0f} ssh"


def setup_table(rows: Mapping[str, float]) -> str:
    """The times of set-up, in seconds."""
    lines = [_row(["", "seconds"]), _row(["---", "---"])]
    lines += [_row([what, f"{seconds:.1f}"]) for what, seconds in rows.items()]
    return "\n".join(["### Set-up", "", *lines, ""])


def _ratio(own: float | None, other: float | None) -> str:
    return "–" if own is None or other is None else f"{own / other:.2f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
