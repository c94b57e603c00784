"""The whole way, with what every lab has: on the prototype's userland, and by lab.yml on real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lab import Lab
from tests.lab.program_stage import Stage, live_mirrors


def test_a_mirror_and_a_client_come_up_prove_themselves_stay_so_and_go(
    lab: Lab, plugins: Path, tmp_path: Path, guests: Callable[..., None]
) -> None:
    guests("mirror-1", "client-1")
    lab.renew(["mirror-1", "client-1"])
    mirror, client = lab.host("mirror-1"), lab.host("client-1")
    before = live_mirrors(client)
    stage = Stage.of(lab, tmp_path / "clone", plugins, ["mirror-1"], ["client-1"])
    stage.up()
    url = f"https://{mirror.address}"
    assert url in live_mirrors(client)
    # Each proof says whose pull the mirror served, by its own log.
    proofs = [str(proof) for proof in stage.project.outputs()["proofs"]]
    assert sorted(proof.split()[0] for proof in proofs) == ["client-1", "mirror-1"]
    assert stage.changes() == {}, "a second up changes nothing"
    stage.project.destroy()
    assert live_mirrors(client) == before
    assert mirror.run("docker ps --quiet --filter name=registry-cache").stdout == ""
