"""Which stacks a change touches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ci.revisions import stacks_touched
from ci.touched import files_named, stacks_of, touched

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("office", "staging", "prod")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("Pulumi.prod.yaml", ("prod",)),
        ("Pulumi.office.yaml Pulumi.staging.yaml", ("office", "staging")),
        ("Pulumi.yaml", STACKS),
        ("__main__.py", STACKS),
        ("requirements.txt", STACKS),
        ("components/scripts/firewall.sh", STACKS),
        ("components/settings.py Pulumi.prod.yaml", STACKS),
        ("policy/rules.py", STACKS),
        ("hosts/staging.yaml", ("staging",)),
        ("Pulumi.dev.yaml", ()),
        ("README.md docs/bench.md tests/unit/test_ci_touched.py lab/hosts.py", ()),
        ("docs/components/note.md", ()),
        ("", ()),
    ],
)
def test_a_change_touches_the_stacks_whose_preview_it_can_change(
    changed: str, expected: tuple[str, ...]
) -> None:
    named = {"staging": {"hosts/staging.yaml"}}
    assert touched(changed.split(), STACKS, named) == expected


def test_stacks_are_those_with_a_file_and_the_last_is_prod() -> None:
    files = [
        "Pulumi.prod.yaml",
        "Pulumi.yaml",
        "Pulumi.dev.yaml",
        "Pulumi.staging.yaml",
        "docs/Pulumi.x.yaml",
    ]
    assert stacks_of(files) == ("staging", "prod"), "the lab has no hosts that a review could be about"


def test_the_stacks_of_this_clone_are_a_list_that_a_workflow_can_go_through() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ci.touched"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    stacks = json.loads(done.stdout)
    assert "dev" not in stacks
    assert "prod" not in stacks[:-1], "it comes last, where there is one"


def test_a_stack_names_files_anywhere_in_its_settings() -> None:
    settings = {
        "registry-cache:include": "hosts.yaml",
        "registry-cache:upstreams": [{"registry": "quay.io", "caFile": "./certificates/there.pem"}],
        "registry-cache:access": {"networks": ["203.0.113.0/24"], "port": 5000},
    }
    there = {"hosts.yaml", "certificates/there.pem", "README.md"}
    assert files_named(settings, there) == {"hosts.yaml", "certificates/there.pem"}


FOLLOWED = {
    "Pulumi.yaml": "config: {tls: {type: object, default: {caFile: shared/ca.pem}}}",
    "Pulumi.prod.yaml": "config: {'registry-cache:include': ./hosts/prod.yaml}",
    "Pulumi.staging.yaml": "config: {'registry-cache:include': gone.yaml}",
    "hosts/prod.yaml": "upstreams: [{registry: quay.io, caFile: certificates/quay.pem}]",
    "shared/ca.pem": "a CA",
    "certificates/quay.pem": "another",
    "notes.txt": "nothing",
}


@pytest.mark.parametrize(
    ("changed", "stacks"),
    [
        ("shared/ca.pem", ("staging", "prod")),
        ("certificates/quay.pem", ("prod",)),
        ("hosts/prod.yaml", ("prod",)),
        ("notes.txt", ()),
    ],
)
def test_what_shared_settings_and_an_included_file_name_touches_their_stacks(
    changed: str, stacks: tuple[str, ...], tmp_path: Path
) -> None:
    def git(*arguments: str) -> None:
        who = [
            "-c",
            "user.name=Example",
            "-c",
            "user.email=example@example.org",
            "-c",
            "commit.gpgsign=false",
        ]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    git("init", "--quiet")
    for name, text in FOLLOWED.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "base")
    (tmp_path / changed).write_text(f"{FOLLOWED[changed]}\n# changed\n")
    git("commit", "--quiet", "--all", "--message", "change")
    assert stacks_touched(tmp_path, "HEAD~1") == stacks
