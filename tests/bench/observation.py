"""How long the look at the hosts takes that every preview begins with, and what it adds to a preview.

All hosts share this machine's cores. So the CPU seconds of the operator's own side, given beside, tell more
of a look over a network than its time.

Inside `toolchain/run`: python -m tests.bench.observation [NUMBER OF LIGHT CLIENTS, 40]
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from components.observation import look_at
from components.stack_hosts import hosts_of
from lab import LabError
from tests.bench.bench_lab import BenchLab, Scale, light
from tests.bench.contestants import ROOT, STACK, Program, Step
from tests.bench.measuring import CommandFailed, measure

RUNS = 5


def measure_observation(lab: BenchLab, scale: Scale, directory: Path) -> Mapping[str, float]:
    """Median seconds on hosts of this scale that are up: the look alone, and a preview with and without it.

    Raises CommandFailed where a host does not let itself be looked at.
    """
    lab.blank(scale)
    job = lab.job(scale, directory / "job")
    job.write()
    program = Program(job, directory / "program", lab.settings(scale))
    measure(program.command(Step.FIRST), directory / "logs" / "up.log")
    file = directory / "program" / f"Pulumi.{STACK}.yaml"
    content = yaml.safe_load(file.read_text())
    hosts = hosts_of(STACK, directory / "program").all

    def look() -> float:
        begin = time.monotonic()
        answers = look_at(hosts)
        silent = [name for name, answer in answers.items() if not isinstance(answer, dict) or not answer]
        if silent:
            raise CommandFailed(f"no stamps of {' '.join(silent)}")
        return time.monotonic() - begin

    def preview(observe: str) -> float:
        content["config"]["registry-cache:observe"] = observe
        file.write_text(yaml.safe_dump(content))
        return measure(program.command(Step.PREVIEW), directory / "logs" / "preview.log").seconds

    before = _own_cpu_seconds()
    looks = [look() for _ in range(RUNS)]
    own = (_own_cpu_seconds() - before) / RUNS
    return {
        "the look alone": statistics.median(looks),
        "CPU that a look costs here, without the hosts' part": own,
        "preview, `observe: never`": statistics.median(preview("never") for _ in range(RUNS)),
        "preview, `observe: always`": statistics.median(preview("always") for _ in range(RUNS)),
    }


def _own_cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


def main(arguments: list[str]) -> int:
    """Prints the medians; the exit code."""
    scale = light(int(arguments[0]) if arguments else 40)
    directory = ROOT / ".state" / "bench-observation"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lab = BenchLab(directory / "lab")
    try:
        for title, seconds in measure_observation(lab, scale, directory).items():
            print(f"{scale.title}, {title}: {seconds:.2f} s")
    except (CommandFailed, LabError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
