"""`make bench`: how long the program takes, beside Ansible, pyinfra and a plain shell loop doing the same.

Inside `toolchain/run`: python -m tests.bench. From the environment: RUNS (3), SCALES ("dev 10 40": the dev
stack and numbers of light clients), CONTESTANTS ("program ansible pyinfra"), BLOBS (100000, for the
collector; 0 leaves that out), COLD=1 for a toolchain from nothing (minutes), and WRITE=1 to put the tables
into docs/bench.md.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lab import LabError
from tests.bench.bench_lab import BenchLab, Scale, scale_named
from tests.bench.collecting import BLOBS, measure_collecting
from tests.bench.contestants import ROOT, Ansible, Contestant, Program, Pyinfra, Step, shell_loop
from tests.bench.job import Job
from tests.bench.measuring import Command, CommandFailed, measure
from tests.bench.rivals import rivals_bin
from tests.bench.table import LOOP, Measurements, Sample, setup_table
from toolchain.steps import SetupFailed

DOCUMENT = ROOT / "docs" / "bench.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


class Bench:
    """Runs everything and keeps what was measured."""

    def __init__(self, directory: Path, runs: int, names: Sequence[str]) -> None:
        self._directory = directory
        self._runs = runs
        self._names = names
        self._lab = BenchLab(directory / "lab")
        self._rivals = rivals_bin()

    def measure_scale(self, scale: Scale) -> Measurements:
        """All contestants on hosts of this scale, `runs` times, each time on blank hosts."""
        measured = Measurements(scale.title)
        for run in range(1, self._runs + 1):
            for name in self._names:
                begin = time.monotonic()
                self._lab.blank(scale)
                measured.hosts_seconds.append(time.monotonic() - begin)
                job = self._lab.job(scale, self._directory / "job")
                job.write()
                self._one_run(self._contestant(name, job, scale), job, scale, measured, run)
        self._lab.down()
        return measured

    def down(self) -> None:
        """Removes the hosts."""
        self._lab.down()

    def _contestant(self, name: str, job: Job, scale: Scale) -> Contestant:
        if name == "ansible":
            return Ansible(job, self._rivals)
        if name == "pyinfra":
            return Pyinfra(job, self._rivals)
        return Program(job, self._directory / "program", self._lab.settings(scale))

    def _one_run(
        self, contestant: Contestant, job: Job, scale: Scale, measured: Measurements, run: int
    ) -> None:
        for step in Step:
            if step is Step.CHANGE:
                contestant.change()
            sample = self._sample(contestant.command(step), scale, f"{contestant.name}-{step.name.lower()}")
            measured.samples[contestant.name, step].append(sample)
            _say(f"{scale.title}, run {run}, {contestant.name}, {step.value}: {sample.cost.seconds:.1f} s")
            if step is Step.FIRST:
                # The loop also proves that the job is done, whoever did it.
                loop = self._sample(shell_loop(job, job.url), scale, "loop")
                measured.samples[LOOP, Step.NOTHING].append(loop)
            if step is Step.CHANGE:
                self._sample(shell_loop(job, job.changed_url), scale, "loop-changed")

    def _sample(self, command: Command, scale: Scale, log: str) -> Sample:
        before = self._lab.connections(scale)
        cost = measure(command, self._directory / "logs" / f"{log}.log")
        return Sample(cost, self._lab.connections(scale) - before)


def measure_setup(directory: Path, *, cold: bool) -> dict[str, float]:
    """Seconds for the toolchain: from the cache, and with `cold` from nothing, downloads included."""
    log = directory / "logs" / "setup.log"
    setup = [str(ROOT / "toolchain" / "setup")]
    rows = {"toolchain, warm": measure(Command(setup, ROOT, dict(os.environ)), log).seconds}
    if cold:
        with tempfile.TemporaryDirectory(prefix="bench-cold-") as empty:
            environment = {**os.environ, "XDG_CACHE_HOME": empty, "GOMODCACHE": f"{empty}/gomod"}
            environment["GOFLAGS"] = "-modcacherw"
            rows["toolchain, cold"] = measure(Command(setup, ROOT, environment), log).seconds
    return rows


def main() -> int:
    """Prints the tables; the exit code."""
    environment = os.environ
    scales = [scale_named(name) for name in environment.get("SCALES", "dev 10 40").split()]
    names = environment.get("CONTESTANTS", "program ansible pyinfra").split()
    directory = ROOT / ".state" / "bench"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    tables = []
    try:
        rows = measure_setup(directory, cold=bool(environment.get("COLD")))
        if blobs := int(environment.get("BLOBS", str(BLOBS))):
            tables.append(measure_collecting(directory / "collecting", blobs).markdown())
        bench = Bench(directory, int(environment.get("RUNS", "3")), names)
        try:
            for scale in scales:
                measured = bench.measure_scale(scale)
                tables.append(measured.markdown())
        finally:
            bench.down()
    except (CommandFailed, LabError, SetupFailed) as error:
        _say(str(error))
        return 1
    machine = f"Measured with {os.cpu_count()} cores, Python {platform.python_version()}."
    text = "\n".join([machine, "", setup_table(rows), *tables])
    print(text)
    if environment.get("WRITE"):
        _write(text)
    return 0


def _write(text: str) -> None:
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
