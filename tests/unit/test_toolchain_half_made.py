"""What a killed run may have left on a host."""

from __future__ import annotations

from typing import Any

from toolchain.half_made import half_made_containers

PROVIDER = {
    "urn": "urn:p",
    "id": "1",
    "type": "pulumi:providers:docker",
    "inputs": {
        "host": "ssh://root@192.0.2.1:22",
        "sshOpts": '["-o", "StrictHostKeyChecking=yes", "-p", "22"]',
    },
}
CONTAINER = {
    "type": "docker:index/container:Container",
    "urn": "urn:c",
    "provider": "urn:p::1",
    "inputs": {"name": "registry-cache-docker.io"},
}


def deployment(*pending: dict[str, Any]) -> dict[str, Any]:
    return {"resources": [PROVIDER], "pending_operations": list(pending)}


def test_a_container_that_was_being_created_is_removed_over_the_providers_own_verified_ssh() -> None:
    (found,) = half_made_containers(deployment({"type": "creating", "resource": CONTAINER}))
    assert found.removal == [
        *("ssh", "-o", "StrictHostKeyChecking=yes", "-p", "22", "root@192.0.2.1"),
        "docker rm -f registry-cache-docker.io",
    ]


def test_a_container_that_the_state_knows_is_not_touched() -> None:
    updating = {"type": "updating", "resource": CONTAINER}
    command = {"type": "creating", "resource": {**CONTAINER, "type": "command:remote:Command"}}
    assert half_made_containers(deployment(updating, command)) == []
    assert half_made_containers({"resources": [PROVIDER]}) == []
