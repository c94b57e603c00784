"""What runs on the mirrors as a service of ours runs on the Pythons that they have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from components.host import COMPONENTS, MIRROR_PACKAGES, SCRIPTS, package_texts


@pytest.mark.parametrize("package", MIRROR_PACKAGES)
def test_it_runs_on_python_3_6(package: str) -> None:
    vermin = Path(sys.executable).with_name("vermin")
    files = sorted(map(str, (COMPONENTS / package).glob("*.py")))
    command = [str(vermin), "--target=3.6-", "--violations", "--no-parse-comments", *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", MIRROR_PACKAGES)
def test_it_needs_nothing_that_is_not_sent_along(package: str, tmp_path: Path) -> None:
    """Put in place by the script that does it on the hosts, and imported there, far from this clone."""
    from components.host import _packed

    work = tmp_path / "records"
    script = (SCRIPTS / "unpack.sh").read_text().replace("/var/lib/registry-cache", str(work))
    # What follows on a host, once all is in place, is not asked for here.
    packed = _packed({**package_texts(package), "scripts.sh": "true\n"})
    subprocess.run(["sh", "-c", script, "unpack", "scripts", "digest"], input=packed, text=True, check=True)
    assert {path.name for path in (work / "scripts" / package).iterdir()} == {
        Path(name).name for name in package_texts(package)
    }
    files = [name for name in package_texts(package) if "__main__" not in name]
    modules = [name.removesuffix(".py").replace("/", ".") for name in files]
    program = f"import {', '.join(modules)}"
    subprocess.run([sys.executable, "-I", "-S", "-c", _from(work / "scripts", program)], check=True)


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("echo /cache true /log", "/cache true /log\n"),
        ("echo /cache true /log; exit 1", "/cache true /log\n"),
        ("exit 1", ""),
        ("exec sleep 60", "/cache true /before\n"),
    ],
    ids=["answers", "knows one of two", "is not there", "hangs"],
)
def test_the_collectors_containers_are_those_that_the_engine_tells_of_in_time(
    tmp_path: Path, engine: str, expected: str
) -> None:
    programs = {"docker": engine, "timeout": 'shift; exec /usr/bin/timeout 1 "$@"'}
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    found = tmp_path / "found" / "containers"
    found.parent.mkdir()
    found.write_text("/cache true /before\n")
    script = ["bash", str(SCRIPTS / "collect_containers.sh"), str(found), "cache", "another"]
    subprocess.run(script, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True, timeout=20)
    assert found.read_text() == expected
    assert [path.name for path in found.parent.iterdir()] == ["containers"]


def _from(place: Path, program: str) -> str:
    return f"import sys; sys.path.insert(0, {str(place)!r}); {program}"
