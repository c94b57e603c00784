"""The short table after an `up`: mirrors, clients, proofs. ``python -m components.report STACK``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def tables(outputs: Mapping[str, Any]) -> list[Table]:
    """Two tables, made of a stack's outputs."""
    mirrors = Table("mirror", "serves", "at", title="Mirrors", title_justify="left", box=box.SIMPLE)
    for name, urls in outputs.get("mirrors", {}).items():
        for registry, url in urls.items():
            mirrors.add_row(name, registry, url)
    clients = Table("client", "uses", "proof", title="Clients", title_justify="left", box=box.SIMPLE)
    proofs = [str(proof) for proof in outputs.get("proofs", [])]
    for name, urls in outputs.get("clients", {}).items():
        proof = next((proof for proof in proofs if proof.startswith(f"{name} ")), "none")
        clients.add_row(name, "\n".join(urls), proof)
    return [mirrors, clients]


def main(arguments: list[str]) -> int:
    """Prints the tables of one stack; exits as ``pulumi stack output`` does where that fails."""
    done = subprocess.run(
        ["pulumi", "stack", "output", "--json", "--stack", arguments[0]],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return done.returncode
    console = Console()
    for table in tables(json.loads(done.stdout)):
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
