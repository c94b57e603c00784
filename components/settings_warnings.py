"""What is carried out as it is set, and deserves a second look."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.lib import access_rules

if TYPE_CHECKING:
    from components.settings import Client, Settings


def find_warnings(settings: Settings) -> Iterator[str]:
    """Yield each as a sentence or two that begins with the setting's path."""
    for network in access_rules.everyone_in(settings.access.networks):
        yield (
            f"access.networks has {network}: everyone who can reach a mirror can use it, as an open"
            " proxy. List the networks of your clients instead."
        )
    for network in access_rules.everyone_in(settings.metrics.networks):
        yield (
            f"metrics.networks has {network}: everyone who can reach a mirror can read its metrics. List the"
            " address of your Prometheus instead."
        )
    if settings.tls.mode == "off":
        yield (
            "tls.mode is off: images travel unencrypted, and whoever sits between a client and its mirror can"
            " change what is not pulled by digest."
        )
    if settings.tls.mode == "own":
        yield (
            "tls.mode is own: nothing here renews that certificate; replace the files before it ends and run"
            " `up`."
        )
    if settings.registry.major == 2:
        yield (
            "registry.image is version 2, which is no longer maintained, and which does not start while its"
            " upstream is away."
        )
    yield from _about_upstreams(settings)
    yield from (_outside(client) for client in settings.clients if not _may_connect(client, settings))


def _about_upstreams(settings: Settings) -> Iterator[str]:
    for index, upstream in enumerate(settings.upstreams):
        path = f"upstreams[{index}]"
        if upstream.registry != "docker.io":
            by_name = settings.url(settings.mirrors[0], upstream).partition("//")[2]
            yield (
                f"{path}: Docker asks mirrors for docker.io only, unless it has containerd's image store;"
                f" pull the images of {upstream.registry} by the mirror's name, as {by_name}/…"
            )
        if upstream.has_login and settings.registry.major == 2:
            yield f"{path}: registry 2 can log in only where the upstream hands out bearer tokens."


def _may_connect(client: Client, settings: Settings) -> bool:
    try:
        address = ipaddress.ip_address(client.address)
    except ValueError:
        return True
    return any(address in ipaddress.ip_network(network) for network in settings.access.networks)


def _outside(client: Client) -> str:
    return (
        f"clients: {client.name} ({client.address}) is in none of access.networks; unless it reaches the"
        " mirrors from another address, they will refuse it."
    )
