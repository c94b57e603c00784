"""The report of an inspection, as lines for a person."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from components.adoption.facts import Data, Registry
from components.adoption.findings import Finding, Inspected, mirrors_of

WIDTH = 110


def found(hosts: Sequence[Inspected]) -> Iterator[str]:
    """What there is on each host."""
    for host in hosts:
        facts = host.facts
        where = "" if host.name == host.address else f"{host.address}, "
        yield f"{host.name} ({where}{facts.os})"
        for registry in facts.registries:
            yield from _wrapped(_about(host, registry), "  ", "      ")
        if facts.client is None:
            stopped = "Docker is stopped: start it, and look again, to see what it has"
            yield f"  {stopped if facts.docker_stopped else 'no Docker runs here'}"
            continue
        urls = mirrors_of(facts.client)
        yield f"  Docker {facts.client.version}: " + (f"mirrors {', '.join(urls)}" if urls else "no mirror")


def wrong(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings, by host."""
    for name in dict.fromkeys(finding.host for finding in findings):
        yield name
        for finding in findings:
            if finding.host == name:
                yield from _wrapped(finding.what, "  - ", "    ")
                yield from _wrapped(finding.remedy, "    -> ", "       ")


def _about(host: Inspected, registry: Registry) -> str:
    if registry.ours:
        return f"container {registry.name}: of a stack already"
    upstream = f"a cache of {registry.upstream}" if registry.upstream else "a registry of its own"
    address = f"[{host.address}]" if ":" in host.address else host.address
    ways = ", ".join(dict.fromkeys(f"{registry.scheme}://{address}:{way.port}" for way in registry.ways_in))
    state = "" if registry.running else ", stopped"
    data = "; ".join(_data(one) for one in registry.data)
    pulled = f"; {len(registry.pulls)} addresses pulled lately" if registry.pulls else ""
    return (
        f"container {registry.name} ({registry.image}{state}): {upstream} at {ways or 'no port'}"
        f"{f'; {data}' if data else ''}{pulled}"
    )


def _data(data: Data) -> str:
    used = "" if data.used is None else f", {_size(data.used)}"
    free = "" if data.free is None else f", {_size(data.free)} free"
    return f"data in {data.directory} ({data.repositories} repositories{used}{free}, owner {data.owner})"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )
