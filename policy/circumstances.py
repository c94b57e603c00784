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
    return Circumstances(pulumi.get_stack(), settings.tls.valid_days, _passwords(settings))


def _passwords(settings: Settings) -> tuple[str, ...]:
    secrets = (upstream.password.get_secret_value() for upstream in settings.upstreams if upstream.password)
    return tuple(secret for secret in secrets if len(secret) >= SHORTEST_PASSWORD)
