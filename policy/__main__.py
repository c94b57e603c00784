"""The policy pack: every rule of rules.py, mandatory, on each resource before the engine acts on it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    ReportViolation,
    ResourceValidation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)
from pulumi_policy.deserialize import serialize_properties

# The pack runs in its own folder, and shares the program's settings and pure parts.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policy.circumstances import circumstances_of_this_stack
from policy.resource import Case, Circumstances, Resource
from policy.rules import RULES, Rule


class Analysis:
    """What the engine has handed over so far.

    A validation is shown its inputs without their secrets' envelopes, a remediation with them. So the
    first of the policies is also a remediation, which changes nothing and keeps what it sees.
    """

    def __init__(self, circumstances: Circumstances) -> None:
        self._circumstances = circumstances
        self._taken: dict[str, Case] = {}
        self._resources: list[Resource] = []
        self._lock = threading.Lock()

    def take(self, args: ResourceValidationArgs) -> None:
        """Keeps a resource, with its secrets still marked."""
        provider = {} if args.provider is None else serialize_properties(args.provider.props)
        resource = Resource(args.resource_type, args.name, serialize_properties(args.props), provider)
        with self._lock:
            self._taken[args.urn] = Case(resource, tuple(self._resources), self._circumstances)
            self._resources.append(resource)

    def validation(self, rule: Rule) -> ResourceValidation:
        """A rule as the SDK takes it."""

        def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
            with self._lock:
                case = self._taken[args.urn]
            for problem in rule.find(case):
                report(problem, None)

        return validate

    def policies(self) -> list[Policy]:
        """Every rule; the first one remediates, which is how the others get to see what is secret."""
        first, *others = RULES
        policies: list[Policy] = [
            ResourceValidationPolicy(
                first.name,
                first.wanted,
                self.validation(first),
                EnforcementLevel.REMEDIATE,
                remediate=self.take,
            )
        ]
        policies += [
            ResourceValidationPolicy(rule.name, rule.wanted, self.validation(rule)) for rule in others
        ]
        return policies


if __name__ == "__main__":
    PolicyPack(
        "registry-cache",
        Analysis(circumstances_of_this_stack()).policies(),
        EnforcementLevel.MANDATORY,
    )
