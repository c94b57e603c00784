"""The table at the end of `make up`."""

from __future__ import annotations

from rich.console import Console

from components.report import tables

OUTPUTS = {
    "mirrors": {"mirror-1": {"docker.io": "https://192.0.2.1", "ghcr.io": "https://192.0.2.1:5001"}},
    "clients": {"web-1": ["https://192.0.2.1"], "web-10": ["https://192.0.2.1"]},
    "proofs": ["web-10 pulled library/nginx through mirror-1: 4 blobs served, 0 fetched from the upstream"],
}


def shown(outputs: dict[str, object]) -> list[str]:
    console = Console(width=200, record=True, quiet=False)
    with console.capture() as captured:
        for table in tables(outputs):
            console.print(table)
    return captured.get().splitlines()


def test_each_mirror_is_shown_with_what_it_serves_and_where() -> None:
    text = "\n".join(shown(OUTPUTS))
    assert "ghcr.io" in text
    assert "https://192.0.2.1:5001" in text


def test_a_proof_stands_beside_its_own_client_and_no_other() -> None:
    rows = {line.split()[0]: line for line in shown(OUTPUTS) if "web-" in line}
    assert "4 blobs served" in rows["web-10"]
    assert rows["web-1"].split()[-1] == "none"


def test_a_stack_without_outputs_makes_empty_tables_and_no_error() -> None:
    assert any("mirror" in line for line in shown({}))
