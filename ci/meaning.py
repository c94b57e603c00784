"""What a resource's change means for a person who knows hosts, and not Pulumi: the thing, and what follows.

Pure: from the inputs that differ, by the names that the steps have (components/host.py).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ci.plan import SECRET, UNKNOWN, Change

NO_HOST = "the stack"
"""Where a change is on no host: the CA, say."""

_CONTEXT = 2
"""Lines shown around each change."""
_COMMANDS = ("create", "update")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")
_PUT_RIGHT = {"registry-cache.generation": "put right"}
_MARK = re.compile(r"(?<=\b[0-9a-f]{12})\+\d+\b")
_UNTOLD = ("addPreviousOutputInEnv", "delete", "connection", "entrypoints")
_ARGUMENTS_FROM = "apply"
"""In a step's command line: what comes after it is the step's own."""


@dataclass(frozen=True)
class Meaning:
    """A change in words. `thing` is what changes, `aftermath` what that brings with it.

    `follows` is true for a step that is taken only since an earlier one changes something.
    """

    thing: str
    aftermath: str = ""
    follows: bool = False


def host_of(name: str, hosts: Collection[str]) -> str:
    """The host that a resource is on: the longest that its name is or begins with, up to a hyphen."""
    while name not in hosts and name:
        name = name.rpartition("-")[0]
    return name or NO_HOST


def step_of(name: str, host: str) -> str:
    """A resource's name without its host's."""
    return name.removeprefix(f"{host}-")


def meaning_of(change: Change, step: str) -> Meaning:
    """What the change of a host's `step` means."""
    for pattern, kind, reading in _READINGS:
        match = re.fullmatch(pattern, step)
        if match is not None and re.search(kind, change.type):
            return reading(change, *match.groups())
    return _any_step(change, step)


def place_of(change: Change, step: str) -> int:
    """Where the step stands among a host's steps: the engine's own order differs from run to run."""
    fitting = (
        place
        for place, (pattern, kind, _) in enumerate(_READINGS)
        if re.fullmatch(pattern, step) and re.search(kind, change.type)
    )
    return next(fitting, len(_READINGS))


def lines_changed(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines differ; a line that reads otherwise now is one."""
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    return sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal")


def diff_of(change: Change) -> str:
    """The change as a line diff, one paragraph for each input that differs.

    What goes has none: it is put back by what stands on the host, or removed.
    """
    if change.action == "delete":
        return ""
    keys = sorted({*change.old, *change.new})
    paragraphs = [_paragraph(change, key) for key in keys if not _is_noise(change, key)]
    return "\n".join(paragraph for paragraph in paragraphs if paragraph)


def _paragraph(change: Change, key: str) -> str:
    before, after = change.old.get(key), change.new.get(key)
    old, new = lines_of(key, before), lines_of(key, after)
    if UNKNOWN in (before, after) or old == new:
        # Nothing to compare: it is secret on both sides, or made while `up` runs.
        lines = [f"! {after if isinstance(after, str) and after in {SECRET, UNKNOWN} else 'differs'}"]
    else:
        hunks = list(difflib.unified_diff(old, new, n=_CONTEXT, lineterm=""))[2:]
        lines = ["  …" if line.startswith("@@") else line for line in hunks][1:]
    return "\n".join([f"# {key}", *lines])


def lines_of(key: str, value: Any) -> list[str]:
    """An input as lines: a text by its lines, a command by its arguments, anything else as JSON."""
    if value is None:
        return []
    if key == "labels" and _labels(value):
        return [f"{label}={entry}" for label, entry in sorted(_labels(value).items())]
    if not isinstance(value, str):
        return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).splitlines()
    if key in _COMMANDS and value not in {SECRET, UNKNOWN}:
        return [line for word in _brief(_words(value)) for line in _pieces(word)]
    return _CERTIFICATE.sub(_certificate_line, value).splitlines()


def _words(command: object) -> list[str]:
    if not isinstance(command, str):
        return []
    try:
        return shlex.split(command)
    except ValueError:
        return command.splitlines()


def _brief(words: list[str]) -> list[str]:
    """A step's command line without what all of them have: the script with its digest, then the arguments."""
    if words[:2] not in (["exec", "bash"], ["exec", "sudo"]) or _ARGUMENTS_FROM not in words[5:]:
        return words
    begin = words.index(_ARGUMENTS_FROM, 5)
    script, _, digest = words[begin - 3 : begin]
    return [f"{script.rpartition('/')[2]}@{digest}", *words[begin + 1 :]]


def _pieces(word: str) -> list[str]:
    """A list of URLs by its URLs, any other word by its lines."""
    parts = word.split(" ")
    return parts if all("://" in part for part in parts) else (word.splitlines() or [""])


def _certificate_line(found: re.Match[str]) -> str:
    return f"[certificate, sha256 {hashlib.sha256(found[0].encode()).hexdigest()[:16]}]"


def _arguments(value: Any) -> list[str]:
    """A step's own arguments, without the script, the step's name and the script's digest."""
    words = _words(value)
    return words[words.index(_ARGUMENTS_FROM) + 1 :] if _ARGUMENTS_FROM in words else words


def _is_noise(change: Change, key: str) -> bool:
    """The packed scripts show by their names. What is new has much that says nothing."""
    packed = key == "stdin" and change.name.endswith("-scripts")
    return packed or (
        change.action == "create" and (key in _UNTOLD or change.new.get(key) in (SECRET, UNKNOWN))
    )


def _is_put_right(change: Change) -> bool:
    """Whether a step runs since somebody changed its host: the mark behind the script's digest is another."""
    if change.action != "update" or set(change.old) | set(change.new) != {"create"}:
        return False
    old, new = (_MARK.sub("", str(side.get("create"))) for side in (change.old, change.new))
    return old == new


def _counted(count: int, what: str = "line") -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _text_change(change: Change, key: str = "stdin") -> str:
    """How much of a text changes: `3 lines`, `new`, `removed`, or that it cannot be told."""
    old, new = change.old.get(key), change.new.get(key)
    if change.action == "delete":
        return "removed"
    if change.action == "create":
        return "new"
    if SECRET in (old, new):
        return "secret"
    if UNKNOWN in (old, new):
        return "known only then"
    if old == new:
        return ""
    return _counted(lines_changed(lines_of(key, old), lines_of(key, new)))


def _named(thing: str, about: str) -> str:
    return f"{thing}, {about}" if about else thing


def _stdin_or(change: Change, thing: str, otherwise: str) -> str:
    """`thing, 2 lines`; where its text stays, `otherwise`: only the way of writing it changes."""
    if _is_put_right(change):
        return f"{thing}, put right"
    about = _text_change(change)
    return _named(thing, about) if about else otherwise


def _file(thing: str) -> Callable[..., Meaning]:
    def reading(change: Change, *parts: str) -> Meaning:
        name = thing.format(*parts)
        return Meaning(_stdin_or(change, name, f"{name} again"))

    return reading


def _scripts(change: Change) -> Meaning:
    if change.action != "update":
        return Meaning(f"our scripts, {_text_change(change)}", follows=True)
    if _is_put_right(change):
        return Meaning("our scripts, put right")
    old, new = (_digests(side.get("create", "")) for side in (change.old, change.new))
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return Meaning(f"scripts {', '.join(names)}" if names else "our scripts", follows=not names)


def _digests(command: object) -> dict[str, str]:
    """`NAME@DIGEST` as the step that sends the scripts lists them."""
    pairs = (word.rpartition("@") for word in _words(command) if re.fullmatch(r"[\w./-]+@[0-9a-f]{12}", word))
    return {name: digest for name, _, digest in pairs}


def _client(change: Change) -> Meaning:
    if change.action == "create":
        return Meaning("daemon.json, new mirrors", "reload")
    if change.action == "delete":
        return Meaning("daemon.json as it was before", "reload")
    if _is_put_right(change):
        return Meaning("daemon.json and what Docker trusts, put right", "reload")
    before, after = _arguments(change.old.get("create")), _arguments(change.new.get("create"))
    old_urls, new_urls = ((side[0].split() if side else []) for side in (before, after))
    if old_urls != new_urls:
        return Meaning(f"daemon.json, {_counted(lines_changed(old_urls, new_urls))}", "reload")
    if before[1:2] != after[1:2]:
        return Meaning("certificates that Docker trusts", "reload")
    if before[2:3] != after[2:3]:
        return Meaning("hosts.toml", "reload")
    if "stdin" in {**change.old, **change.new}:
        return Meaning(_named("the CA that Docker trusts", _text_change(change)), "reload")
    return Meaning("daemon.json again", "reload")


def _container(change: Change, registry: str) -> Meaning:
    if change.action == "create":
        return Meaning(f"cache of {registry}, new")
    if change.action == "delete":
        return Meaning(f"cache of {registry}, removed")
    keys = sorted({*change.old, *change.new})
    reasons = [_label_reasons(change) if key == "labels" else key for key in keys]
    why = f" ({', '.join(reason for reason in reasons if reason)})" if keys else ""
    return Meaning(
        f"cache of {registry}{why}", "its container is replaced" if change.action == "replace" else ""
    )


def _label_reasons(change: Change) -> str:
    """The labels that differ: they are there to tell a container by what it was started with."""
    old, new = (_labels(side.get("labels")) for side in (change.old, change.new))
    return ", ".join(
        _PUT_RIGHT.get(label, label.removeprefix("registry-cache."))
        for label in sorted({*old, *new})
        if old.get(label) != new.get(label)
    )


def _labels(value: Any) -> dict[str, Any]:
    entries = value if isinstance(value, list) else []
    return {str(e.get("label")): e.get("value") for e in entries if isinstance(e, dict)}


def _firewall(change: Change) -> Meaning:
    return Meaning(_stdin_or(change, "firewall", "firewall: ports or IPv6 networks"))


def _engine(change: Change) -> Meaning:
    if change.action == "create":
        return Meaning("Docker")
    if change.action == "delete":
        return Meaning("Docker's repository as it was before")
    if _is_put_right(change):
        return Meaning("Docker, put right")
    before, after = _arguments(change.old.get("create")), _arguments(change.new.get("create"))
    if before[:1] != after[:1] and "create" in change.new:
        old, new = ((side[0] if side and side[0] != "-" else "any") for side in (before, after))
        return Meaning(f"Docker's version, {old} to {new}")
    return Meaning(_stdin_or(change, "docker-ce.repo", "Docker's packages again"))


def _certificate(change: Change) -> Meaning:
    action = {"create": "new", "delete": "removed"}.get(change.action, "renewed")
    return Meaning(f"certificate, {action}")


def _authority(change: Change) -> Meaning:
    action = {"create": "new", "delete": "removed"}.get(change.action, "another one")
    return Meaning(f"CA, {action}", "" if change.action == "create" else "every client has to trust it")


def _following(thing: str) -> Callable[..., Meaning]:
    def reading(_change: Change, *_: str) -> Meaning:
        return Meaning(thing, follows=True)

    return reading


def _any_step(change: Change, step: str) -> Meaning:
    thing = step.replace("-", " ")
    if _is_put_right(change):
        return Meaning(f"{thing}, put right")
    if change.action == "update":
        about = _text_change(change) if "stdin" in {**change.old, **change.new} else "other arguments"
        return Meaning(_named(thing, about))
    return Meaning(
        _named(thing, {"create": "new", "delete": "removed", "replace": "replaced"}[change.action])
    )


_COMMAND = r"^command:"
_READINGS: tuple[tuple[str, str, Callable[..., Meaning]], ...] = (
    (r"wait", _COMMAND, _following("the login")),
    (r"scripts", _COMMAND, _scripts),
    (r"docker-engine", _COMMAND, _engine),
    (r"firewall", _COMMAND, _firewall),
    (r"ca-certificate", r"^tls:", _authority),
    (r"(?:ca-)?key.*|request", r"^tls:", _following("a key of its own")),
    (r"certificate", r"^tls:", _certificate),
    (r"certificate", _COMMAND, _certificate),
    (r"image.*", r"", _file("the registry's image")),
    (r"configuration-(.+)", _COMMAND, _file("config.yml of {0}")),
    (r"credentials-(.+)", _COMMAND, _file("login at {0}")),
    (r"(.+)-container", r"^docker:index/container:", _container),
    (r"answers-(.+)", _COMMAND, _following("waits until the cache answers")),
    (r"login-(.+)", _COMMAND, _following("tries the login at the upstream")),
    (r"collector", _COMMAND, _file("the size limit's collector")),
    (r"upstreams", _COMMAND, _file("the look at the upstreams")),
    (r"(?:exporter|metrics)", _COMMAND, _file("metrics")),
    (r"proof-image", _COMMAND, _following("the proof's image")),
    (r"prefetch", _COMMAND, _file("images to prefetch")),
    (r"mirror-client", _COMMAND, _client),
    (r"proof", _COMMAND, _following("the proof again")),
)
"""By a step's name and its resource's type, the first that fits; in the order in which a host's steps run."""
