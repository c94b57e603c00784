"""pyinfra's inventory: the groups of inventory.json, with pinned host keys."""

import json
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_GROUPS: dict[str, Any] = json.loads((_HERE / "inventory.json").read_text())["all"]["children"]
_LOGIN = {
    "ssh_user": "root",
    "ssh_key": json.loads((_HERE / "login.json").read_text())["private_key_file"],
    "ssh_known_hosts_file": str(_HERE / "known_hosts"),
    "ssh_strict_host_key_checking": "yes",
}


def _hosts(group: str) -> list[tuple[str, dict[str, str]]]:
    entries: dict[str, dict[str, str]] = _GROUPS[group]["hosts"]
    return [(name, {**_LOGIN, "ssh_hostname": entry["ansible_host"]}) for name, entry in entries.items()]


mirrors = _hosts("mirrors")
clients = _hosts("clients")
