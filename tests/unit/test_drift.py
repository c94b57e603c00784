"""What a host says of its stamps, in words, and what follows for a step."""

from __future__ import annotations

import pytest

from components.lib import drift
from components.lib.drift import Difference, Stamp, Verdict

DIGEST, OTHER = "a" * 64, "b" * 64
REPO = "/etc/yum.repos.d/docker-ce.repo"


def answer(*lines: str) -> str:
    """As a host gives it: fields of a line are separated by `|` here."""
    return "".join(f"{line}\n" for line in [*lines, "end"]).replace("|", "\t")


def words(*fields: str, lines: tuple[str, ...] = ()) -> str:
    kind, name, was, now = fields
    return str(Difference(kind, name, was, now, lines))


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (("file", REPO, f"644 0:0 {DIGEST}", "gone"), f"{REPO}: gone"),
        (("file", REPO, f"644 0:0 {DIGEST}", f"644 0:0 {OTHER}"), f"{REPO}: content changed"),
        (("file", REPO, f"644 0:0 {DIGEST}", f"600 0:0 {DIGEST}"), f"{REPO}: mode 600 instead of 644"),
        (
            ("file", REPO, f"644 0:0 {DIGEST}", f"666 7:7 {OTHER}"),
            f"{REPO}: mode 666 instead of 644, owner 7:7 instead of 0:0, content changed",
        ),
        (("file", REPO, f"644 0:0 {DIGEST}", "a link"), f"{REPO}: a link instead of a file"),
        (("directory", "/data", "1000:1000", "0:0"), "/data: 0:0 instead of 1000:1000"),
        (("package", "docker-ce", "installed", "gone"), "package docker-ce: gone"),
        (("package", "docker-ce", "28.5.2", "20.10.24"), "package docker-ce: 20.10.24 instead of 28.5.2"),
        (
            ("unit", "docker.service", "active enabled", "inactive disabled"),
            "docker.service: inactive disabled instead of active enabled",
        ),
        (
            ("nft", "inet registry_cache", DIGEST, "gone"),
            "the firewall's table inet registry_cache: gone",
        ),
        (
            ("opening", "firewalld fd00::/64 443", "open", "closed"),
            "the opening (firewalld fd00::/64 443): closed instead of open",
        ),
        (
            ("state", "registry-cache-docker.io", "running", "exited"),
            "the container registry-cache-docker.io: exited instead of running",
        ),
        (
            ("holder", "registry-cache-docker.io", "ours", "another container"),
            "the container registry-cache-docker.io: another container",
        ),
        (
            ("inside", "registry-cache-docker.io", DIGEST, OTHER),
            "the container registry-cache-docker.io: it runs on files that were replaced meanwhile",
        ),
        (
            ("mirrors", "docker", "https://a https://b", "https://b/ https://a/"),
            "the running Docker's mirrors: https://b/ https://a/ instead of https://a https://b first",
        ),
        (
            ("mirrors", "docker", "https://a", "-"),
            "the running Docker's mirrors: none instead of https://a first",
        ),
        (
            ("configured", "/etc/docker/daemon.json", "https://a", "without https://a"),
            "/etc/docker/daemon.json: without https://a",
        ),
        (("member", "deploy docker", "yes", "no"), "the group's member (deploy docker): no instead of yes"),
    ],
)
def test_each_kind_of_difference_is_named(difference: tuple[str, str, str, str], said: str) -> None:
    assert words(*difference) == said


def test_the_lines_of_a_text_that_may_be_shown_follow() -> None:
    lines = ("-gpgcheck=1", "+gpgcheck=0")
    assert words("file", REPO, f"644 0:0 {DIGEST}", f"644 0:0 {OTHER}", lines=lines).splitlines() == [
        f"{REPO}: content changed",
        "    -gpgcheck=1",
        "    +gpgcheck=0",
    ]


def test_a_long_difference_is_cut_and_says_so() -> None:
    lines = tuple(f"+{number}" for number in range(drift.SHOWN_LINES + 7))
    said = words("nft", "inet registry_cache", DIGEST, OTHER, lines=lines).splitlines()
    assert said[1] == "    +0"
    assert said[-1] == "    … and 7 more lines"
    assert len(said) == 1 + drift.SHOWN_LINES + 1


def test_what_could_steer_a_terminal_is_not_passed_on() -> None:
    said = words("nft", "t", DIGEST, OTHER, lines=("+\x1b[2Jcleared", "+" + "x" * 999))
    assert "\x1b" not in said
    assert len(said.splitlines()[2]) < 999


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("+proxy_password = open sesame", "+proxy_password = [hidden]"),
        ('+  "auth": "b3BlbiBzZXNhbWU="', '+  "auth": [hidden]'),
        (
            "+baseurl=https://reader:sesame@mirror.example/",  # pragma: allowlist secret
            "+baseurl=https://[hidden]@mirror.example/",
        ),
        ("+    authorization: Bearer sesame", "+    authorization: [hidden]"),
        ("-gpgcheck=1", "-gpgcheck=1"),
        ("-gpgkey=https://download.example/gpg", "-gpgkey=https://download.example/gpg"),
        ("+   ip saddr 203.0.113.0/24 accept", "+   ip saddr 203.0.113.0/24 accept"),
    ],
)
def test_a_secret_that_somebody_wrote_into_a_file_is_not_shown(line: str, shown: str) -> None:
    assert words("file", REPO, f"644 0:0 {DIGEST}", f"644 0:0 {OTHER}", lines=(line,)).splitlines()[1:] == [
        f"    {shown}"
    ]


def test_where_a_private_key_was_written_into_a_file_no_line_is_shown() -> None:
    lines = (
        "+-----BEGIN EC PRIVATE KEY-----",  # pragma: allowlist secret
        "+MHcCAQEE",
        "+-----END EC PRIVATE KEY-----",
    )
    said = words("file", REPO, f"644 0:0 {DIGEST}", f"644 0:0 {OTHER}", lines=lines)
    assert "MHcCAQEE" not in said
    assert "a private key is in it" in said


def test_an_answer_is_read_step_by_step() -> None:
    text = answer(
        "step|docker-engine|2",
        f"differs|file|{REPO}|644 0:0 {DIGEST}|644 0:0 {OTHER}",
        "line|-gpgcheck=1",
        "line|+gpgcheck=0",
        "differs|unit|docker.service|active enabled|inactive enabled",
        "step|firewall|0",
        "step|certificate|1",
        "unfinished",
    )
    assert drift.read(text) == {
        "docker-engine": Stamp(
            2,
            differences=(
                Difference(
                    "file",
                    REPO,
                    f"644 0:0 {DIGEST}",
                    f"644 0:0 {OTHER}",
                    ("-gpgcheck=1", "+gpgcheck=0"),
                ),
                Difference("unit", "docker.service", "active enabled", "inactive enabled"),
            ),
        ),
        "firewall": Stamp(0),
        "certificate": Stamp(1, unfinished=True),
    }


def test_a_line_of_a_file_is_taken_as_it_is_whatever_it_looks_like() -> None:
    (stamp,) = drift.read(
        answer("step|s|0", f"differs|file|/f|1 0:0 {DIGEST}|1 0:0 {OTHER}", "line|+step|x|9", "line|+end")
    ).values()
    assert stamp.differences[0].lines == ("+step\tx\t9", "+end")


@pytest.mark.parametrize("text", ["", "end", "step\ts\t0\n", "step\ts\t0\nen", "sh: no bash here\nend\n"])
def test_an_answer_that_is_not_whole_is_no_answer(text: str) -> None:
    with pytest.raises(ValueError, match="answer"):
        drift.read(text)


CHANGED = Difference("package", "docker-ce", "installed", "gone")


@pytest.mark.parametrize(
    ("case", "applied", "stamps", "expected"),
    [
        ("a host that no up ended on", None, None, Verdict(0)),
        ("a host that was not asked", {"s": 3}, None, Verdict(3)),
        ("a new step on a host that was not asked", {"t": 3}, None, Verdict(0)),
        ("all is as it was left", {"s": 3}, {"s": Stamp(3)}, Verdict(3)),
        ("an up that failed put it right", {"s": 3}, {"s": Stamp(4)}, Verdict(4)),
        (
            "something was changed",
            {"s": 3},
            {"s": Stamp(3, differences=(CHANGED,))},
            Verdict(4, ("package docker-ce: gone",)),
        ),
        (
            "something was changed after an up that failed",
            {"s": 3},
            {"s": Stamp(4, differences=(CHANGED,))},
            Verdict(5, ("package docker-ce: gone",)),
        ),
        (
            "the host was put back to an earlier state",
            {"s": 3},
            {"s": Stamp(1)},
            Verdict(4, ("the host is as it was before an earlier up",)),
        ),
        (
            "the step did not end",
            {"s": 3},
            {"s": Stamp(3, unfinished=True)},
            Verdict(4, ("its last run did not end well",)),
        ),
        ("the host was made anew", {"s": 3}, {}, Verdict(4, ("the record of this step is gone",))),
        ("a step that never ended on this host", {"t": 0}, {"t": Stamp(0)}, Verdict(0)),
    ],
)
def test_the_mark_of_a_step(
    case: str,
    applied: dict[str, int] | None,
    stamps: dict[str, Stamp] | None,
    expected: Verdict,
) -> None:
    assert drift.verdict("s", applied, stamps) == expected, case


@pytest.mark.parametrize(
    ("command", "mark"),
    [
        ("exec bash /x/firewall.sh firewall 0123456789ab apply 443", 0),
        ("exec sudo -n bash /x/firewall.sh firewall 0123456789ab+12 apply 443", 12),
        ("exec sh -c 'set -eu' unpack firewall 0123456789ab+1 a.sh@0123456789ab", 1),
        ("exec bash /x/firewall.sh other 0123456789ab+12 apply 443", None),
        ("", None),
    ],
)
def test_the_mark_is_read_back_from_a_command(command: str, mark: int | None) -> None:
    assert drift.mark_in(command, "firewall") == mark


def test_what_was_applied_survives_the_way_through_an_output() -> None:
    marks = {"scripts": 0, "firewall": 12, "configuration-docker.io": 1}
    line = drift.write_applied(marks)
    assert line == "scripts firewall+12 configuration-docker.io+1"
    assert drift.read_applied(line) == marks
