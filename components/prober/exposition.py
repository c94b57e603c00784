"""Findings in Prometheus' text format, and as JSON for `make status`."""

import json
from typing import Any, Dict, List, Mapping, Optional

from .upstream import KINDS, Finding


def as_text(found: Mapping[str, Finding], certificate_end: Optional[int], now: int) -> str:
    """Every upstream has every kind of refusal, so that a series ends at 0 and not in silence."""
    up, refusals, limits, remaining = [], [], [], []
    for name, finding in sorted(found.items()):
        label = 'upstream="{}"'.format(_escaped(name))
        up.append((label, int(finding.up)))
        refusals += [('{},kind="{}"'.format(label, kind), int(finding.refusal == kind)) for kind in KINDS]
        if finding.rate_limit is not None:
            limits.append((label, finding.rate_limit))
        if finding.rate_limit_remaining is not None:
            remaining.append((label, finding.rate_limit_remaining))
    lines: List[str] = []
    for name, meaning, samples in (
        ("upstream_up", "Whether the upstream would serve its cache.", up),
        ("upstream_refusal", "1 for the kind of refusal that the upstream answers with.", refusals),
        ("rate_limit", "Pulls that the upstream allows, as its headers say.", limits),
        ("rate_limit_remaining", "Pulls that are left of them.", remaining),
        (
            "certificate_not_after_timestamp_seconds",
            "When the certificate ends that the caches show their clients.",
            [] if certificate_end is None else [("", certificate_end)],
        ),
        ("probe_last_run_timestamp_seconds", "When the upstreams were asked last.", [("", now)]),
    ):
        lines += ["# HELP registry_cache_{} {}".format(name, meaning)] if samples else []
        lines += ["# TYPE registry_cache_{} gauge".format(name)] if samples else []
        for labels, value in samples:
            shown = "{" + labels + "}" if labels else ""
            lines.append("registry_cache_{}{} {}".format(name, shown, value))
    return "\n".join(lines) + "\n"


def as_json(found: Mapping[str, Finding], certificate_end: Optional[int], now: int) -> str:
    """The same for programs."""
    upstreams: Dict[str, Any] = {
        name: {
            "up": finding.up,
            "refusal": finding.refusal,
            "detail": finding.detail,
            "rate_limit": finding.rate_limit,
            "rate_limit_remaining": finding.rate_limit_remaining,
            "checked": now,
        }
        for name, finding in found.items()
    }
    document = {"at": now, "certificate_not_after": certificate_end, "upstreams": upstreams}
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
