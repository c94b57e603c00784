"""The first preview of the whole program: no host is up, and much is not known yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from tests.pulumi_project import STACK, Project
from tests.unit.settings_sample import SAMPLE, make_home, read

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@pytest.fixture
def project(clone_project: Callable[[Mapping[str, object]], Project], tmp_path: Path) -> Project:
    """The clone's program on hosts that do not answer."""
    make_home(tmp_path / "user")
    raw = read(SAMPLE) | {"ssh": {"privateKeyFile": str(tmp_path / "user/.ssh/id_ed25519")}}
    return clone_project({f"registry-cache:{key}": value for key, value in raw.items()})


def test_what_depends_on_a_certificate_that_is_not_issued_yet_previews_as_unknown(project: Project) -> None:
    steps = {
        step["urn"].rpartition("$")[2].replace("::", " "): step["newState"] for step in project.planned()
    }
    assert (
        steps["tls:index/locallySignedCert:LocallySignedCert mirror-1-certificate"]["inputs"][
            "certRequestPem"
        ]
        == UNKNOWN
    )
    assert steps["command:remote:Command web-1-mirror-client"]["inputs"]["stdin"] == UNKNOWN
    assert UNKNOWN in str(
        steps["docker:index/container:Container mirror-1-docker.io-container"]["inputs"]["labels"]
    )


def test_the_first_preview_shows_in_full_what_will_be_written_and_nothing_secret(project: Project) -> None:
    text = project.preview("--show-full-output").text
    for line in (
        "policy accept;",
        "counter drop",
        "gpgcheck=1",
        "baseurl=https://download.docker.com/linux/@DISTRO@/$releasever/$basearch/stable",
        'rootdirectory: "/var/lib/registry"',
    ):
        assert line in text, f"{line!r} is to be seen in the preview"
    assert "PRIVATE KEY" not in text


def test_the_preview_shows_which_container_gives_its_place_to_a_cache(project: Project) -> None:
    """A person is to know beforehand, though the cache's own container is not known yet."""
    raw = read(SAMPLE)
    mirrors = raw["mirrors"]
    assert isinstance(mirrors, list)
    mirrors[0]["replaces"] = [{"container": "by-hand", "directory": "/srv/images"}]
    stack = yaml.safe_load((project.directory / f"Pulumi.{STACK}.yaml").read_text())["config"]
    project.configure({**stack, "registry-cache:mirrors": mirrors, "registry-cache:tls": {"mode": "off"}})

    text = project.preview().text

    line = next(line for line in text.splitlines() if "replace_container.sh" in line)
    assert " apply by-hand registry-cache-docker.io /srv/images " in line
