"""From the engine's event log to what a person is told; the logs are the real engine's, of this program."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ci.comment import render
from ci.meaning import diff_of, host_of, meaning_of, step_of
from ci.plan import (
    SECRET,
    UNKNOWN,
    Change,
    Message,
    NotAPlan,
    Plan,
    compared,
    from_json,
    read_events,
    to_json,
)

PLANS = Path(__file__).parent / "plans"
SECRET_VALUE = {
    "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",  # pragma: allowlist secret
    "ciphertext": "[secret]",
}
UNKNOWN_VALUE = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
URN = "urn:pulumi:prod::registry-cache::registry-cache:index:Host$command:remote:Command::"


def recorded(name: str) -> Plan:
    return read_events("prod", (PLANS / f"{name}.jsonl").read_text().splitlines())


def summary(plan: Plan) -> list[str]:
    """The lines of the comment that say what happens on which host."""
    return [line.removeprefix("- ") for line in render([plan]).splitlines() if line.startswith("- `")]


def event(
    op: str, name: str, old: dict[str, Any] | None = None, new: dict[str, Any] | None = None, **more: Any
) -> str:
    metadata = {
        "op": op,
        "urn": f"{URN}{name}",
        "old": old and {"inputs": old},
        "new": new and {"inputs": new},
    }
    return json.dumps({"resourcePreEvent": {"metadata": metadata | more}})


def end(result: str = "succeeded") -> str:
    return json.dumps({"summaryEvent": {"result": result}})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unchanged", []),
        (
            "second-mirror",
            [
                "`client-1`, `client-2`, `mirror-1`: daemon.json, 1 line; reload",
                "`mirror-2`: new host: Docker; firewall, new; certificate, new; the registry's image, new; "
                "config.yml of docker.io, new; login at docker.io, new; cache of docker.io, new; "
                "daemon.json, new mirrors; reload",
            ],
        ),
        (
            "networks-and-ttl",
            [
                "`client-1`, `client-2`: the proof again",
                "`mirror-1`: firewall, 1 line; config.yml of docker.io, 1 line; "
                "cache of docker.io (configuration); its container is replaced",
            ],
        ),
        ("client-leaves", ["`client-2`: leaves: daemon.json as it was before; reload"]),
        ("new-client", ["`web-1`: new host: Docker; daemon.json, new mirrors; reload"]),
        (
            "rotation",
            [
                "`client-1`, `client-2`: the proof again",
                "`mirror-1`: certificate, renewed; cache of docker.io (certificate); "
                "its container is replaced",
            ],
        ),
        ("mistakes", []),
        (
            "credentials",
            [
                "`client-1`, `client-2`: the proof again",
                "`mirror-1`: login at docker.io, secret; cache of docker.io (configuration); "
                "its container is replaced",
            ],
        ),
    ],
)
def test_what_happens_on_each_host_reads_as_a_person_would_say_it(name: str, expected: list[str]) -> None:
    assert summary(recorded(name)) == expected


@pytest.mark.parametrize(
    ("name", "step", "lines"),
    [
        (
            "networks-and-ttl",
            "mirror-1-firewall",
            [
                "-    ip saddr { 192.0.2.0/25 } accept",
                "+    ip saddr { 192.0.2.0/25, 203.0.113.0/24 } accept",
            ],
        ),
        ("networks-and-ttl", "mirror-1-configuration-docker.io", ["-  ttl: 168h", "+  ttl: 72h"]),
        (
            "second-mirror",
            "client-2-mirror-client",
            ["+https://203.0.113.21", '+[host."https://203.0.113.21"]'],
        ),
        ("new-client", "web-1-docker-engine", ["+gpgcheck=1"]),
        ("credentials", "mirror-1-credentials-docker.io", ["+[secret]"]),
    ],
)
def test_a_diff_shows_the_lines_that_change_on_the_host(name: str, step: str, lines: list[str]) -> None:
    changes = {change.name: change for change in recorded(name).changes}
    diff = diff_of(changes[step]).splitlines()
    assert set(lines) <= set(diff), "\n".join(diff)


def test_mistakes_in_the_settings_are_all_told_and_the_preview_has_failed() -> None:
    plan = recorded("mistakes")
    assert plan.failed
    (message,) = plan.messages
    assert message.severity == "error"
    assert "access.networks is missing or empty" in message.text
    assert "cache.ttl is 'often'" in message.text


def test_warnings_of_the_program_are_messages_and_no_failure() -> None:
    plan = recorded("new-client")
    assert [message.severity for message in plan.messages] == ["warning"]
    assert not plan.failed


def test_what_was_recorded_holds_no_secret() -> None:
    for path in PLANS.glob("*.jsonl"):
        assert not re.search("PRIVATE KEY|made-up-hub-token", path.read_text()), path


def test_hosts_that_come_and_go_are_known() -> None:
    assert recorded("new-client").arriving == ("web-1",)
    assert recorded("client-leaves").leaving == ("client-2",)
    assert recorded("networks-and-ttl").hosts == ("client-1", "client-2", "mirror-1")


@pytest.mark.parametrize("name", sorted(path.stem for path in PLANS.glob("*.jsonl")))
def test_plans_survive_the_way_from_one_job_to_the_next(name: str) -> None:
    plan = recorded(name)
    assert from_json(to_json([plan, plan])) == (plan, plan)


def test_what_the_engine_marks_as_secret_or_unknown_stays_so_at_any_depth() -> None:
    new = {
        "stdin": SECRET_VALUE,
        "connection": {"host": "192.0.2.1", "key": SECRET_VALUE},
        "create": UNKNOWN_VALUE,
    }
    (change,) = read_events("prod", [event("create", "web-1-step", None, new), end()]).changes
    assert change.new == {
        "stdin": SECRET,
        "connection": {"host": "192.0.2.1", "key": SECRET},
        "create": UNKNOWN,
    }


@pytest.mark.parametrize(
    "text",
    [
        "a passphrase of sesame-street in a line",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n"  # pragma: allowlist secret
        "-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nb3BlbnNzaC1r",  # pragma: allowlist secret
    ],
)
def test_a_secret_that_the_engine_did_not_mask_gets_into_no_plan(text: str) -> None:
    told = json.dumps({"diagnosticEvent": {"severity": "warning", "message": text}})
    violated = json.dumps(
        {"policyEvent": {"policyName": "x", "message": text, "enforcementLevel": "mandatory"}}
    )
    log = [event("create", "web-1-step", None, {"stdin": [text]}), told, violated, end()]
    shown = to_json([read_events("prod", log, ["sesame-street"])])
    assert "sesame" not in shown
    assert "b3BlbnNzaC1r" not in shown


def test_a_secret_that_changes_is_a_change_though_both_sides_look_the_same() -> None:
    log = [
        event("update", "web-1-step", {"stdin": SECRET_VALUE}, {"stdin": SECRET_VALUE}, diffs=["stdin"]),
        end(),
    ]
    (change,) = read_events("prod", log).changes
    assert diff_of(change) == "# stdin\n! [secret]"


def test_a_policy_that_is_violated_fails_the_preview_and_one_that_only_advises_does_not() -> None:
    def violation(level: str) -> str:
        urn = f"{URN}web-1-scripts"
        return json.dumps(
            {
                "policyEvent": {
                    "resourceUrn": urn,
                    "policyName": "no-triggers",
                    "message": "Out.",
                    "enforcementLevel": level,
                }
            }
        )

    assert read_events("prod", [violation("mandatory"), end()]) == Plan(
        "prod", failed=True, messages=(Message("error", "policy no-triggers: Out.", "web-1-scripts"),)
    )
    assert not read_events("prod", [violation("advisory"), end()]).failed


def test_a_log_without_an_end_is_a_preview_that_failed() -> None:
    plan = read_events("prod", [event("create", "web-1-step", None, {"stdin": "x"}), '{"resourcePreEv'])
    assert plan.failed
    assert [change.name for change in plan.changes] == ["web-1-step"]


@pytest.mark.parametrize(
    ("step", "type_", "old", "new", "words"),
    [
        (
            "mirror-client",
            "command:remote:Command",
            "a apply 'https://a' '' x",
            "a apply '' '' x",
            "daemon.json, 1 line",
        ),
        (
            "mirror-client",
            "command:remote:Command",
            "a apply 'https://a https://b' '' x",
            "a apply 'https://c https://d https://e' '' x",
            "daemon.json, 3 lines",
        ),
        ("mirror-client", "command:remote:Command", "a apply u t x", "a apply u t y", "hosts.toml"),
        (
            "mirror-client",
            "command:remote:Command",
            "a apply u t x",
            "a apply u s x",
            "certificates that Docker trusts",
        ),
        ("mirror-client", "command:remote:Command", "d1 apply u t x", "d2 apply u t x", "daemon.json again"),
        (
            "docker-engine",
            "command:remote:Command",
            "a apply - yes -",
            "a apply 28.5.2 yes -",
            "Docker's version, any to 28.5.2",
        ),
        (
            "docker-engine",
            "command:remote:Command",
            "d1 apply - yes -",
            "d2 apply - yes -",
            "Docker's packages again",
        ),
        (
            "firewall",
            "command:remote:Command",
            "a apply 443",
            "a apply 443,5001",
            "firewall: ports or IPv6 networks",
        ),
        ("gatherer", "command:remote:Command", "a apply 1", "a apply 2", "gatherer, other arguments"),
        (
            "scripts",
            "command:remote:Command",
            "exec sh -c x unpack file.sh@0123456789ab on_host.sh@0123456789ab",
            "exec sh -c x unpack file.sh@0123456789ab on_host.sh@ba9876543210",
            "scripts on_host.sh",
        ),
    ],
)
def test_a_changed_command_line_tells_what_it_changes(
    step: str, type_: str, old: str, new: str, words: str
) -> None:
    assert (
        meaning_of(Change(f"web-1-{step}", type_, "update", {"create": old}, {"create": new}), step).thing
        == words
    )


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("mirror-client", "daemon.json and what Docker trusts, put right"),
        ("docker-engine", "Docker, put right"),
        ("firewall", "firewall, put right"),
        ("configuration-docker.io", "config.yml of docker.io, put right"),
        ("gatherer", "gatherer, put right"),
    ],
)
def test_a_step_that_runs_for_what_somebody_changed_on_the_host_puts_it_right(step: str, words: str) -> None:
    line = "exec sudo -n bash /var/lib/registry-cache/scripts/x.sh step 0123456789ab{} apply a b c"
    for old, new in (("", "+1"), ("+3", "+4")):
        change = Change(
            "h",
            "command:remote:Command",
            "update",
            {"create": line.format(old)},
            {"create": line.format(new)},
        )
        assert meaning_of(change, step).thing == words
    other = Change(
        "h",
        "command:remote:Command",
        "update",
        {"create": line.format("")},
        {"create": line.format("+1") + "d"},
    )
    assert "put right" not in meaning_of(other, step).thing, "that is a change of the configuration"


def test_a_step_that_nobody_knows_yet_is_told_by_its_name_and_its_lines() -> None:
    change = Change(
        "m-collect", "command:remote:Command", "update", {"stdin": "a\nb\nc"}, {"stdin": "a\nB\nc\nd"}
    )
    assert meaning_of(change, "collect").thing == "collect, 2 lines"


@pytest.mark.parametrize(
    ("name", "host", "step"),
    [
        ("web-1-scripts", "web-1", "scripts"),
        ("web-1-b-scripts", "web-1-b", "scripts"),
        ("web-10-scripts", "the stack", "web-10-scripts"),
        ("ca-key", "the stack", "ca-key"),
    ],
)
def test_a_resource_is_on_the_host_with_the_longest_name_that_it_begins_with(
    name: str, host: str, step: str
) -> None:
    found = host_of(name, ("web-1", "web-1-b"))
    assert (found, step_of(name, found)) == (host, step)


def test_two_programs_compared_show_what_the_change_declares_otherwise() -> None:
    def plan(hosts: tuple[str, ...], **steps: dict[str, Any]) -> Plan:
        return Plan(
            "prod", hosts=hosts, changes=tuple(Change(n, "t", "create", {}, v) for n, v in steps.items())
        )

    base = plan(("a", "b"), same={"x": UNKNOWN}, other={"x": 1, "y": 2}, gone={"x": 1})
    head = plan(("a", "c"), same={"x": UNKNOWN}, other={"x": 1, "y": 3}, new={"x": 1})
    found = compared(base, head, "why")
    assert {change.name: (change.action, change.old, change.new) for change in found.changes} == {
        "gone": ("delete", {"x": 1}, {}),
        "new": ("create", {}, {"x": 1}),
        "other": ("update", {"y": 2}, {"y": 3}),
    }
    assert (found.arriving, found.leaving, found.against, found.note) == (("c",), ("b",), "base", "why")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"plans": [1]}',
        '{"plans": {}}',
        "[" * 100_000,
        to_json([Plan("prod")]).replace('"state"', '"whatever"'),
        to_json([Plan("prod")]).replace("false", '"no"'),
        to_json([Plan("prod", changes=(Change("n", "t", "create"),))]).replace('"create"', '"destroy"'),
        to_json([Plan("prod", hosts=("a",))]).replace('"a"', "{}"),
    ],
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(NotAPlan):
        from_json(text)


def test_the_json_has_every_field_of_a_plan() -> None:
    assert set(json.loads(to_json([Plan("prod")]))["plans"][0]) == {
        field.name for field in dataclasses.fields(Plan)
    }
