"""The comment on a pull request: a summary by host, warnings on top, the diffs folded under it.

Pure, from plans to Markdown. All that comes from a plan stands in code (ci/markdown.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ci.markdown import element, fence, longest_run, span, visible, words
from ci.meaning import NO_HOST, Meaning, diff_of, host_of, meaning_of, place_of, step_of
from ci.plan import Change, Message, Plan

MARKER = "<!-- registry-cache: previews -->"
"""By this the comment is found again."""

LIMIT = 65_536
"""Characters that GitHub takes in a comment or an issue."""

_SHOWN_MESSAGES = 20
_MESSAGE_CHARACTERS = 1_500
_SHOWN_HOSTS = 40
_NAMED_HOSTS = 4
_LEAST_SHARE = 400
"""A block that would be cut to fewer characters is left out whole."""


@dataclass(frozen=True)
class Origin:
    """Where the plans come from: the commit they are of, and the page with the run's whole output."""

    commit: str = ""
    page: str = ""


@dataclass(frozen=True)
class _HostPlan:
    """What changes on one host: in words, and as a diff."""

    words: str
    diff: str


@dataclass(frozen=True)
class _Block:
    """A folded part of the comment, which may be cut."""

    title: str
    text: str
    language: str

    def render(self, share: int, where: str) -> str:
        """The block in at most `share` characters; empty where that is too few."""
        whole = self._folded(self.text)
        if len(whole) <= share:
            return whole
        lines = visible(self.text).splitlines()
        # What the frame takes, both fences at their longest, and the line that says what is missing.
        room = share - len(self._folded("")) - 2 * longest_run(self.text) - len(where) - 80
        if room < _LEAST_SHARE:
            return ""
        kept = 0
        while kept < len(lines) and room > len(lines[kept]):
            room -= len(lines[kept]) + 1
            kept += 1
        note = f"… {len(lines) - kept} more lines are left out here{where}"
        return self._folded("\n".join([*lines[:kept], note]))

    def _folded(self, text: str) -> str:
        return f"<details><summary>{self.title}</summary>\n\n{fence(text, self.language)}\n\n</details>"


def render(
    plans: Sequence[Plan], origin: Origin = Origin(), title: str = "Previews", limit: int = LIMIT
) -> str:
    """The whole comment, no longer than `limit`; where something had to be left out, it says so."""
    where = f"; the whole is in the log of {origin.page}" if origin.page else ""
    head = [MARKER, f"### {title}"]
    if not plans:
        head.append("No stack is touched by this change.")
    warnings = [line for plan in plans for line in _messages(plan)]
    if warnings:
        kind = "CAUTION" if any(plan.failed for plan in plans) else "WARNING"
        head.append("\n".join([f"> [!{kind}]", *warnings]))
    blocks: list[_Block] = []
    for plan in plans:
        hosts = _by_host(plan)
        head.append(_summary(plan, hosts))
        blocks += _blocks(plan, hosts)
    foot = _foot(origin)
    start = "\n\n".join(head)
    room = limit - len(foot) - 2
    if len(start) > room:
        # Only absurdly many stacks or hosts come here: the fences are all below, so lines may go.
        note = f"\n\n… the rest is left out: GitHub takes {limit:,} characters{where}."
        start = start[: room - len(note)].rpartition("\n")[0] + note
        blocks = []
    return "\n\n".join([start, *_fitted(blocks, room - len(start), where), foot]) + "\n"


def _fitted(blocks: Sequence[_Block], room: int, where: str) -> list[str]:
    """As much of the blocks as there is room for: short ones whole, the others cut to like shares."""
    whole = [len(block.render(1 << 30, where)) + 2 for block in blocks]
    if sum(whole) <= room:
        return [block.render(1 << 30, where) for block in blocks]
    note = f"Diffs were left out or cut: GitHub takes {LIMIT:,} characters{where}."
    room -= len(note) + 2
    shares = dict.fromkeys(range(len(blocks)), 0)
    waiting = sorted(shares, key=lambda index: whole[index])
    for place, index in enumerate(waiting):
        share = min(whole[index], room // (len(waiting) - place))
        shares[index] = share
        room -= share
    shown = [block.render(shares[index] - 2, where) for index, block in enumerate(blocks)]
    return [*(text for text in shown if text), note]


def _summary(plan: Plan, hosts: dict[str, _HostPlan]) -> str:
    name = f"**{span(plan.stack)}**"
    note = f"\n\n{words(plan.note)}" if plan.note else ""
    if plan.failed and not hosts:
        return f"{name}: the preview failed; see above{note}"
    if not hosts:
        return f"{name}: no changes{note}"
    machines = len(hosts) - (NO_HOST in hosts)
    heading = f"{name}: {_totals(plan.changes)}" + (f" on {_counted(machines, 'host')}" if machines else "")
    if plan.failed:
        heading += "; the preview failed, so there may be more"
    groups: dict[str, list[str]] = {}
    for host, found in hosts.items():
        groups.setdefault(found.words, []).append(host)
    lines = [f"- {_names(names)}: {said}" for said, names in groups.items()]
    if len(lines) > _SHOWN_HOSTS:
        left = sum(len(names) for names in list(groups.values())[_SHOWN_HOSTS:])
        lines[_SHOWN_HOSTS:] = [f"- … and {_counted(left, 'host')} more, folded below"]
    return heading + note + "\n\n" + "\n".join(lines)


def _names(hosts: Sequence[str]) -> str:
    if len(hosts) <= _NAMED_HOSTS:
        return ", ".join(span(host) for host in hosts)
    return ", ".join(span(host) for host in hosts[:2]) + f" and {len(hosts) - 2} more"


def _totals(changes: Iterable[Change]) -> str:
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.action] = counts.get(change.action, 0) + 1
    order = ("create", "update", "replace", "delete")
    return ", ".join(f"{counts[action]} to {action}" for action in order if action in counts)


def _by_host(plan: Plan) -> dict[str, _HostPlan]:
    """Each host that something changes on, in the order of their names, what is on no host at the end."""
    found: dict[str, list[tuple[Change, str]]] = {}
    known = frozenset(plan.hosts)
    for change in plan.changes:
        host = host_of(change.name, known)
        found.setdefault(host, []).append((change, step_of(change.name, host)))
    hosts = sorted(found, key=lambda host: (host == NO_HOST, host))
    return {host: _host_plan(plan, host, found[host]) for host in hosts}


def _host_plan(plan: Plan, host: str, steps: Sequence[tuple[Change, str]]) -> _HostPlan:
    ordered = sorted(steps, key=lambda entry: (place_of(*entry), entry[1], entry[0].type))
    read = [(change, step, meaning_of(change, step)) for change, step in ordered]
    causes = [entry for entry in read if not entry[2].follows] or read
    said = _words([meaning for _, _, meaning in causes])
    if host in plan.arriving:
        said = f"new host: {said}"
    elif host in plan.leaving:
        said = f"leaves: {said}"
    if all(meaning.follows for _, _, meaning in causes):
        return _HostPlan(said, "")
    parts = [f"# == {step} ({change.action})\n{diff_of(change)}".rstrip() for change, step, _ in causes]
    followers = [step for _, step, meaning in read if meaning.follows]
    if followers:
        parts.append(f"# == then: {', '.join(followers)}")
    return _HostPlan(said, "\n\n".join(parts))


def _words(meanings: Sequence[Meaning]) -> str:
    """`daemon.json, 1 line; reload`: the things, then what they bring with them."""
    things = dict.fromkeys(meaning.thing for meaning in meanings)
    aftermaths = dict.fromkeys(meaning.aftermath for meaning in meanings if meaning.aftermath)
    return "; ".join(map(words, [*things, *aftermaths]))


def _blocks(plan: Plan, hosts: dict[str, _HostPlan]) -> list[_Block]:
    """The diffs, those that are the same on several hosts once; then the long messages."""
    groups: dict[str, list[str]] = {}
    for host, found in hosts.items():
        if found.diff:
            groups.setdefault(found.diff, []).append(host)
    blocks = []
    for diff, names in groups.items():
        shown = ", ".join(element(name) for name in names[:_NAMED_HOSTS])
        more = f" and {len(names) - _NAMED_HOSTS} more" if len(names) > _NAMED_HOSTS else ""
        blocks.append(_Block(f"{element(plan.stack)}: {shown}{more}", diff, "diff"))
    long = [message for message in plan.messages if not _is_shown_whole(message)]
    if long:
        text = "\n\n".join(message.text for message in long)
        blocks.insert(0, _Block(f"{element(plan.stack)}: what it says in full", text, "text"))
    return blocks


def _messages(plan: Plan) -> list[str]:
    """The errors in full, then the warnings, a line each; all inside a quotation."""
    ordered = sorted(plan.messages, key=lambda message: message.severity != "error")
    lines = []
    for message in ordered[:_SHOWN_MESSAGES]:
        about = f" {span(message.about)}" if message.about else ""
        text = message.text.strip()
        if message.severity == "error":
            cut = text if len(text) <= _MESSAGE_CHARACTERS else f"{text[:_MESSAGE_CHARACTERS]} …"
            lines += [
                f"> {span(plan.stack)}{about}:",
                ">",
                *(f"> {line}" for line in fence(cut, "text").split("\n")),
                ">",
            ]
        else:
            first = text.splitlines()[0] if text else ""
            lines.append(f"> - {span(plan.stack)}{about}: {span(first[:_MESSAGE_CHARACTERS])}")
    if len(ordered) > _SHOWN_MESSAGES:
        lines.append(f"> - {span(plan.stack)}: and {len(ordered) - _SHOWN_MESSAGES} more")
    return lines


def _is_shown_whole(message: Message) -> bool:
    """Whether what stands on top is all of the message."""
    if message.severity == "error":
        return len(message.text.strip()) <= _MESSAGE_CHARACTERS
    return len(message.text.strip().splitlines()) <= 1 and len(message.text) <= _MESSAGE_CHARACTERS


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _foot(origin: Origin) -> str:
    of = f" of {origin.commit[:12]}" if origin.commit else ""
    run = f" ([the run]({origin.page}))" if origin.page else ""
    return f"<sub>A preview{of}{run}: nothing was touched.</sub>"
