"""What the last ``up`` of this stack exported."""

from __future__ import annotations

from typing import Any

import pulumi


class LastUp:
    """The stack's own outputs, as the last ``up`` that ended well left them."""

    def __init__(self) -> None:
        own = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
        self._outputs = pulumi.StackReference(own)

    def output(self, name: str) -> pulumi.Output[Any]:
        """One of them, None where it was not exported."""
        return self._outputs.get_output(name)
