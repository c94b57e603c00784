"""What the rules take from the stack's own configuration."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components import configuration
from components.settings import Settings, Tls
from policy.resource import Circumstances

SHORTEST_PASSWORD = 6
"""A shorter one stands in texts by chance; it is still seen where it is set."""


def circumstances_of_this_stack() -> Circumstances:
    """Read from what the engine hands a pack, which is what it hands the program.

    A configuration that is wrong stops the program before it declares anything; the defaults do then.
    """
    try:
        settings = configuration.load(Path(__file__).resolve().parent.parent)
    except pulumi.RunError:
        return Circumstances(pulumi.get_stack(), Tls().valid_days)
    return Circumstances(pulumi.get_stack(), settings.tls.valid_days, passwords_of(settings))


def passwords_of(settings: Settings) -> tuple[str, ...]:
    """The upstreams' passwords, as the program reads them, that may be looked for in texts."""
    secrets = (upstream.read_password() or "" for upstream in settings.upstreams)
    return tuple(secret for secret in secrets if len(secret) >= SHORTEST_PASSWORD)
