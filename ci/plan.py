"""What a preview came to, read from the engine's event log, and as the JSON that one job hands to the next.

The reader takes nothing on trust: the JSON may come from a pull request of a stranger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

Action: TypeAlias = Literal["create", "update", "replace", "delete"]
Severity: TypeAlias = Literal["error", "warning"]
Against: TypeAlias = Literal["state", "base", "nothing"]

SECRET = "[secret]"  # noqa: S105  # no password: the word that stands for one
UNKNOWN = "[known after the deployment]"

# The engine's own keys and signs for what is no plain value (sdk/v3/go/common/resource).
_MARK = "4dabf18193072939515e22adb298388d"  # pragma: allowlist secret
_MARKS_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  # pragma: allowlist secret
_MARKS_ASSET = "c44067f5952c0a294b673a41bacd8c17"  # pragma: allowlist secret
_UNKNOWNS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    }
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_ACTIONS: dict[str, Action] = {
    "create": "create",
    "import": "create",
    "update": "update",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "import-replacement": "replace",
    "delete": "delete",
}
_COMPONENT = "registry-cache:index:"
_HOST = f"{_COMPONENT}Host"
# What says the same as the message before it, or nothing to a person.
_ECHOES = ("an unhandled error occurred: program exited with non-zero exit code", "preview failed")


class NotAPlan(ValueError):
    """The text is no plan; says what is wrong with it."""


@dataclass(frozen=True)
class Change:
    """One resource that will change. `old` and `new` hold the inputs that differ, secrets marked."""

    name: str
    type: str
    action: Action
    old: Mapping[str, Any] = field(default_factory=dict)
    new: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """What the engine, the program or a policy has to say. `about` is a resource's name, or empty."""

    severity: Severity
    text: str
    about: str = ""


@dataclass(frozen=True)
class Plan:
    """A stack's preview. `against` is what it was compared with; `note` says why, where it is not the state.

    `hosts` are all that the program knows, `arriving` and `leaving` those that come and go with this change.
    """

    stack: str
    against: Against = "state"
    note: str = ""
    failed: bool = False
    hosts: tuple[str, ...] = ()
    arriving: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    messages: tuple[Message, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing would change, and that is certain."""
        return not self.failed and not self.changes


def read_events(stack: str, lines: Iterable[str], secrets: Iterable[str] = ()) -> Plan:
    """The plan in an event log (`pulumi preview --event-log`), one JSON object a line.

    The engine has masked what it knows to be secret. `secrets` are texts that must not be in there anyhow.
    """
    hide = tuple(sorted({secret for secret in secrets if len(secret) >= 6}, key=len, reverse=True))
    found: dict[str, _Step] = {}
    messages: list[Message] = []
    failed = True
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            # A CLI that was killed left half a line, and no summary after it.
            continue
        if "resourcePreEvent" in event:
            step = event["resourcePreEvent"]["metadata"]
            found.setdefault(step["urn"], _Step(step["urn"])).add(step, hide)
        elif "diagnosticEvent" in event:
            messages += _diagnostic(event["diagnosticEvent"], hide)
        elif "policyEvent" in event:
            messages += _violation(event["policyEvent"], hide)
        elif "summaryEvent" in event:
            failed = event["summaryEvent"].get("result") not in {None, "succeeded"}
    hosts = {step.name: step.action for step in found.values() if step.type == _HOST}
    changes = [change for step in found.values() if (change := step.change()) is not None]
    return Plan(
        stack=stack,
        failed=failed or any(message.severity == "error" for message in messages),
        hosts=tuple(sorted(hosts)),
        arriving=tuple(sorted(name for name, action in hosts.items() if action == "create")),
        leaving=tuple(sorted(name for name, action in hosts.items() if action == "delete")),
        changes=tuple(sorted(changes, key=lambda change: (change.name, change.type))),
        messages=tuple(dict.fromkeys(messages)),
    )


def compared(base: Plan | None, head: Plan, note: str) -> Plan:
    """What `head` declares differently from `base`, both of them previews of a stack without any state.

    Says nothing about hosts: it is what the change changes. Without a base, all of it is new.
    """
    if base is None:
        return replace(head, against="nothing", note=note)
    before = {(change.name, change.type): change for change in base.changes}
    after = {(change.name, change.type): change for change in head.changes}
    changes = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old is None and new is not None:
            changes.append(new)
        elif new is None and old is not None:
            changes.append(replace(old, action="delete", old=old.new, new={}))
        elif old is not None and new is not None and old.new != new.new:
            differing = [k for k in sorted({*old.new, *new.new}) if old.new.get(k) != new.new.get(k)]
            changes.append(
                Change(
                    new.name,
                    new.type,
                    "update",
                    {k: old.new[k] for k in differing if k in old.new},
                    {k: new.new[k] for k in differing if k in new.new},
                )
            )
    return replace(
        head,
        against="base",
        note=note,
        hosts=tuple(sorted({*base.hosts, *head.hosts})),
        arriving=tuple(sorted({*head.hosts} - {*base.hosts})),
        leaving=tuple(sorted({*base.hosts} - {*head.hosts})),
        changes=tuple(changes),
    )


def to_json(plans: Iterable[Plan]) -> str:
    """Plans as text for `from_json`."""
    return json.dumps({"plans": [_as_dict(plan) for plan in plans]}, indent=1) + "\n"


def from_json(text: str) -> tuple[Plan, ...]:
    """The plans in a text that `to_json` made. Raises NotAPlan for any other."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAPlan(f"not JSON: {error}") from None
    return tuple(_plan(entry) for entry in _list(_dict(content, "the plans").get("plans"), "plans"))


class _Step:
    """The events of one resource: a replacement has three."""

    def __init__(self, urn: str) -> None:
        types, _, self.name = urn.split("::", 2)[2].partition("::")
        self.type = types.rpartition("$")[2]
        self.action: Action | None = None
        self._differing: set[str] | None = None
        self._old: dict[str, Any] = {}
        self._new: dict[str, Any] = {}

    def add(self, metadata: Mapping[str, Any], hide: tuple[str, ...]) -> None:
        action = _ACTIONS.get(metadata["op"])
        if action is None:
            return
        if self.action not in {None, action}:
            action = "replace"
        self.action = action
        if metadata.get("diffs") is not None:
            self._differing = {*(self._differing or ()), *metadata["diffs"]}
        self._old |= _shown((metadata.get("old") or {}).get("inputs") or {}, hide)
        self._new |= _shown((metadata.get("new") or {}).get("inputs") or {}, hide)

    def change(self) -> Change | None:
        """None for what stays as it is, and for what is no thing of its own: components, providers."""
        if self.action is None or self.type.startswith((_COMPONENT, "pulumi:")):
            return None
        old = {} if self.action == "create" else self._old
        new = {} if self.action == "delete" else self._new
        if self.action in {"update", "replace"}:
            keys = {key for key in {*old, *new} if old.get(key) != new.get(key)}
            # What is secret on both sides looks the same and may differ all the same.
            keys |= {*(self._differing or ())} & {*old, *new}
            old = {key: value for key, value in old.items() if key in keys}
            new = {key: value for key, value in new.items() if key in keys}
        return Change(self.name, self.type, self.action, old, new)


def _shown(value: Any, hide: tuple[str, ...]) -> Any:
    """A value as a person may see it."""
    if isinstance(value, str):
        return UNKNOWN if value in _UNKNOWNS else _masked(value, hide)
    if isinstance(value, list):
        return [_shown(entry, hide) for entry in value]
    if isinstance(value, dict):
        if value.get(_MARK) == _MARKS_SECRET:
            return SECRET
        if value.get(_MARK) == _MARKS_ASSET:
            return f"file with sha256 {value.get('hash', '?')}"
        return {key: _shown(entry, hide) for key, entry in value.items()}
    return value


def _masked(text: str, hide: tuple[str, ...]) -> str:
    for secret in hide:
        text = text.replace(secret, SECRET)
    return _PRIVATE_KEY.sub(SECRET, text)


def _diagnostic(event: Mapping[str, Any], hide: tuple[str, ...]) -> list[Message]:
    severity: Severity | None = {"error": "error", "info#err": "error", "warning": "warning"}.get(  # type: ignore[assignment]
        event.get("severity", "")
    )
    text = _masked(str(event.get("message", "")).strip(), hide)
    if severity is None or not text or event.get("ephemeral") or text.startswith(_ECHOES):
        return []
    return [Message(severity, text, _name_in(event.get("urn", "")))]


def _violation(event: Mapping[str, Any], hide: tuple[str, ...]) -> list[Message]:
    severity: Severity = "error" if event.get("enforcementLevel") == "mandatory" else "warning"
    text = _masked(f"policy {event.get('policyName', '')}: {str(event.get('message', '')).strip()}", hide)
    return [Message(severity, text, _name_in(event.get("resourceUrn", "")))]


def _name_in(urn: str) -> str:
    """The resource's name; none for the stack itself."""
    return "" if "pulumi:pulumi:Stack::" in urn else urn.rpartition("::")[2]


def _as_dict(plan: Plan) -> dict[str, Any]:
    return {
        "stack": plan.stack,
        "against": plan.against,
        "note": plan.note,
        "failed": plan.failed,
        "hosts": list(plan.hosts),
        "arriving": list(plan.arriving),
        "leaving": list(plan.leaving),
        "changes": [
            {"name": c.name, "type": c.type, "action": c.action, "old": dict(c.old), "new": dict(c.new)}
            for c in plan.changes
        ],
        "messages": [{"severity": m.severity, "text": m.text, "about": m.about} for m in plan.messages],
    }


def _plan(entry: object) -> Plan:
    raw = _dict(entry, "a plan")
    failed = raw.get("failed")
    if not isinstance(failed, bool):
        raise NotAPlan("failed is neither true nor false")
    return Plan(
        stack=_text(raw, "stack"),
        against=_one_of(raw, "against", get_args(Against)),
        note=_text(raw, "note"),
        failed=failed,
        hosts=_texts(raw, "hosts"),
        arriving=_texts(raw, "arriving"),
        leaving=_texts(raw, "leaving"),
        changes=tuple(_change(change) for change in _list(raw.get("changes"), "changes")),
        messages=tuple(_message(message) for message in _list(raw.get("messages"), "messages")),
    )


def _change(entry: object) -> Change:
    raw = _dict(entry, "a change")
    return Change(
        name=_text(raw, "name"),
        type=_text(raw, "type"),
        action=_one_of(raw, "action", get_args(Action)),
        old=_dict(raw.get("old"), "old"),
        new=_dict(raw.get("new"), "new"),
    )


def _message(entry: object) -> Message:
    raw = _dict(entry, "a message")
    return Message(_one_of(raw, "severity", get_args(Severity)), _text(raw, "text"), _text(raw, "about"))


def _dict(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotAPlan(f"{what}: not an object")
    return value


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise NotAPlan(f"{what}: not a list")
    return value


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        raise NotAPlan(f"{key}: not a text")
    return value


def _texts(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = _list(raw.get(key), key)
    if not all(isinstance(value, str) for value in values):
        raise NotAPlan(f"{key}: not a list of texts")
    return tuple(values)


def _one_of(raw: Mapping[str, Any], key: str, values: tuple[Any, ...]) -> Any:
    value = raw.get(key)
    if value not in values:
        raise NotAPlan(f"{key}: not one of {', '.join(values)}")
    return value
