"""Which content goes: pure decisions over what is there, when it was used, and what names what."""

from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from .manifests import BLOB, Manifest

LIMIT, DISK, TTL, UNTAGGED, LEFTOVER = "limit", "disk", "ttl", "untagged", "leftover"
REASONS = (LIMIT, DISK, TTL, UNTAGGED, LEFTOVER)


class Content(NamedTuple):
    """One blob of a cache, be it a layer, a configuration, a manifest or an index.

    `used` is when it, or what names it, was last asked for; `fetched` when it, or the youngest that names
    it, came; `tagged` whether a tag leads to it; `held` that it must stay now; `linked` whether any
    repository has it: what has no link can be served to nobody.
    """

    cache: str
    digest: str
    size: int
    kind: int
    used: float
    fetched: float
    tagged: bool
    held: bool
    linked: bool


def spread(times: Mapping[str, float], manifests: Mapping[str, Manifest]) -> Dict[str, float]:
    """Gives everything the time of what names it where that is later: index to manifest to blob.

    So a blob that several images share is as young as the youngest of them. A client that has a layer
    never asks for it again, only for the manifest.
    """
    result = dict(times)
    # An index may name indexes, which is rare: twice is enough for one in another.
    order = sorted((digest for digest in manifests if digest in result), key=lambda d: manifests[d].kind)
    for _ in range(2):
        changed = False
        for digest in order:
            time = result[digest]
            for named in manifests[digest].names:
                if result.get(named, time) < time:
                    result[named] = time
                    changed = True
        if not changed:
            break
    return result


def reachable(roots: Iterable[str], manifests: Mapping[str, Manifest]) -> Set[str]:
    """The roots and all that they name, over any number of steps."""
    found: Set[str] = set()
    waiting = list(roots)
    while waiting:
        digest = waiting.pop()
        if digest in found:
            continue
        found.add(digest)
        manifest = manifests.get(digest)
        if manifest is not None:
            waiting.extend(manifest.names)
    return found


def being_pulled(
    asked: Mapping[Tuple[str, str], float],
    served: Mapping[Tuple[str, str], float],
    manifests: Mapping[str, Manifest],
    since: float,
) -> Set[str]:
    """What clients are about to ask for: they got its manifest, and it has not been served to them since.

    Both mappings are by client and digest; `asked` holds when a manifest was given out.
    """
    result: Set[str] = set()
    for (client, digest), time in asked.items():
        manifest = manifests.get(digest)
        if time < since or manifest is None:
            continue
        result.update(name for name in manifest.names if served.get((client, name), 0.0) < time)
    return result


class Chosen(NamedTuple):
    """What goes, and why."""

    content: Content
    reason: str


class Need(NamedTuple):
    """Bytes to free: of all caches together, on the file system, and of single caches by name."""

    limit: int
    disk: int
    own: Mapping[str, int]

    def any(self) -> bool:
        """Whether anything has to go at all."""
        return self.limit > 0 or self.disk > 0 or any(need > 0 for need in self.own.values())


def less(need: Need, chosen: Iterable[Chosen]) -> Need:
    """What is still needed once that went."""
    freed, own = 0, dict(need.own)
    for one in chosen:
        freed += one.content.size
        own[one.content.cache] = own.get(one.content.cache, 0) - one.content.size
    return Need(need.limit - freed, need.disk - freed, own)


def choose(contents: Iterable[Content], need: Need) -> List[Chosen]:
    """What was used longest ago, until as much is freed as needed or nothing may go any more."""
    order = sorted(
        (content for content in contents if not content.held),
        key=lambda c: (c.linked, c.used, c.kind, c.digest),
    )
    limit, disk, own = need.limit, need.disk, dict(need.own)
    chosen: List[Chosen] = []
    for content in order:
        mine = own.get(content.cache, 0)
        if limit <= 0 and disk <= 0 and mine <= 0:
            if not any(left > 0 for left in own.values()):
                break
            continue
        chosen.append(Chosen(content, LIMIT if limit > 0 or mine > 0 else DISK))
        limit -= content.size
        disk -= content.size
        own[content.cache] = mine - content.size
    return chosen


def expired(
    contents: Iterable[Content], ttl_before: Optional[float], idle_before: Optional[float]
) -> List[Chosen]:
    """What came before `ttl_before`, and what has no tag and was last used before `idle_before`."""
    chosen = []
    for content in contents:
        if content.held or not content.linked:
            continue
        if ttl_before is not None and content.fetched < ttl_before:
            chosen.append(Chosen(content, TTL))
        elif idle_before is not None and not content.tagged and content.used < idle_before:
            chosen.append(Chosen(content, UNTAGGED))
    return sorted(chosen, key=lambda c: (c.content.kind, c.content.used))


def describe(
    cache: str,
    blobs: Mapping[str, Tuple[int, float]],
    uses: Mapping[str, float],
    manifests: Mapping[str, Manifest],
    tagged: Iterable[str],
    linked: Set[str],
    held: Set[str],
) -> List[Content]:
    """Everything in a cache as what the decisions are made on; `blobs` gives size and time of writing."""
    here = {digest: manifest for digest, manifest in manifests.items() if digest in blobs}
    fetched = {digest: written for digest, (_, written) in blobs.items()}
    used = {digest: max(uses.get(digest, 0.0), written) for digest, written in fetched.items()}
    used, fetched = spread(used, here), spread(fetched, here)
    with_tag = reachable(tagged, here)
    return [
        Content(
            cache,
            digest,
            size,
            here[digest].kind if digest in here else BLOB,
            used[digest],
            fetched[digest],
            digest in with_tag,
            digest in held,
            digest in linked,
        )
        for digest, (size, _) in blobs.items()
    ]
