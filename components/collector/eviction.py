"""Which content goes: pure decisions over what is there, when it was used, and what names what."""

from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from .manifests import BLOB, Manifest

LIMIT, DISK, TTL, UNTAGGED, LEFTOVER = "limit", "disk", "ttl", "untagged", "leftover"
REASONS = (LIMIT, DISK, TTL, UNTAGGED, LEFTOVER)

STAYS = float("inf")
"""In place of when a pull was last heard of: held whatever comes."""


class Content(NamedTuple):
    """One blob of a cache, be it a layer, a configuration, a manifest or an index.

    `used` is when it, or what names it, was last asked for; `fetched` when it, or the youngest that names
    it, came; `tagged` whether a tag leads to it; `held`, where it is to stay now, when a pull that it is held
    for was last heard of; `linked` whether any repository has it: what has no link can be served to nobody.
    """

    cache: str
    digest: str
    size: int
    kind: int
    used: float
    fetched: float
    tagged: bool
    held: Optional[float]
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
) -> Dict[str, float]:
    """What clients are about to ask for: they got its manifest, and it has not been served to them since.

    Both mappings are by client and digest; `asked` holds when a manifest was given out. The result has when
    the latest of these pulls was last heard of: by its manifest, or by something that it names.
    """
    result: Dict[str, float] = {}
    for (client, digest), time in asked.items():
        manifest = manifests.get(digest)
        if time < since or manifest is None:
            continue
        given = {name: served.get((client, name), 0.0) for name in manifest.names}
        heard = max([time, *given.values()])
        for name, at in given.items():
            if at < time:
                result[name] = max(result.get(name, 0.0), heard)
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
    return _first(
        sorted(
            (content for content in contents if content.held is None),
            key=lambda c: (c.linked, c.used, c.kind, c.digest),
        ),
        need,
    )


def choose_awaited(contents: Iterable[Content], need: Need, silent_before: float) -> List[Chosen]:
    """What is held only for pulls not heard of since `silent_before`, the longest silent first.

    For a limit that nothing else can keep: who asks for manifests alone, as scanners do, would else keep all
    that they name.
    """
    awaited = [(one.held, one.digest, one) for one in contents if one.held is not None]
    return _first([one for held, _, one in sorted(awaited) if held < silent_before], need)


def _first(order: Iterable[Content], need: Need) -> List[Chosen]:
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
        if content.held is not None or not content.linked:
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
    held: Mapping[str, float],
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
            held.get(digest),
            digest in linked,
        )
        for digest, (size, _) in blobs.items()
    ]
