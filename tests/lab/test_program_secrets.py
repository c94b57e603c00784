"""Every secret of a run, looked for where it must not be, while the run goes on and after it."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import Lab
from lab.machine import LabHost
from tests.lab.program_stage import Stage

PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
PASSWORD = uuid.uuid4().hex
HOSTS = ("mirror-1", "client-1")

# The engine hands a program its configuration in this variable, decrypted: no program could change that.
# Only the same user can read it, while the program runs.
ENGINES_OWN = b"PULUMI_CONFIG="

# What a host's processes show of themselves, as one text; sudo, for the environment of others.
SAMPLE = (
    'sudo sh -c \'for p in /proc/[0-9]*; do tr "\\0" "\\n" <$p/cmdline; tr "\\0" "\\n" <$p/environ; '
    "done' 2>/dev/null; true"
)
# The patterns on standard input; /run is another file system, so that the search does not find them.
READABLE_BY_OTHERS = (
    "umask 077; cat >/run/patterns; "
    "find / -xdev -path /proc -prune -o -type f -perm -o+r -size -2M -print0 | "
    "xargs -0 grep -lF -f /run/patterns 2>/dev/null; rm /run/patterns"
)


@dataclass
class Watched:
    """A run, and what was seen of it."""

    stage: Stage
    secrets: dict[str, str]
    texts: dict[str, str] = field(default_factory=dict)
    here: set[bytes] = field(default_factory=set)
    samples: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in HOSTS})


def fragments(secret: str) -> list[str]:
    """What of a secret is looked for: a key's lines of Base64, else the text itself."""
    lines = [line for line in secret.splitlines() if not line.startswith("-----")]
    if "EC PRIVATE KEY" in secret:
        # What comes after the first line is the public key (RFC 5915), which stands in every certificate.
        return lines[:1]
    return [line for line in lines if len(line) >= 20] or [secret.strip()]


def found_in(text: str, secrets: dict[str, str]) -> set[str]:
    """The names of the secrets that stand in a text, plain or with its line ends escaped."""
    return {name for name, secret in secrets.items() if any(part in text for part in fragments(secret))}


def private_keys_in(state: str) -> set[str]:
    """Every private key in a state's text with its secrets shown, where JSON stands in JSON."""
    return set(PRIVATE_KEY.findall(state.replace("\\\\n", "\n").replace("\\n", "\n")))


def watch_here(seen: set[bytes], until: threading.Event) -> None:
    """Collects command lines and environments of this machine's processes."""
    while not until.wait(0.05):
        for process in Path("/proc").glob("[0-9]*"):
            for part in ("cmdline", "environ"):
                try:
                    seen.update((process / part).read_bytes().split(b"\0"))
                except OSError:
                    continue


def watch_host(host: LabHost, seen: list[str], until: threading.Event) -> None:
    """Samples a host's processes; the loop runs here, so that it ends with the run."""
    while not until.wait(0.3):
        seen.append(host.run(SAMPLE, check=False).stdout)


@pytest.fixture(scope="module")
def watched(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """An `up` with a password for the upstream, watched from its preview to its end."""
    lab.renew(HOSTS)
    directory = tmp_path_factory.mktemp("secrets") / "clone"
    stage = Stage.of(lab, directory, plugins, ["mirror-1"], ["client-1"])
    project = stage.project
    stage.set(upstreams=[{"registry": "docker.io", "username": "somebody"}])
    project.cli("config", "set", "--secret", "--path", "registry-cache:upstreams[0].password", stdin=PASSWORD)
    passphrase = Path(project.environment["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text().strip()
    run = Watched(
        stage,
        {"password": PASSWORD, "passphrase": passphrase, "SSH key": lab.private_key_file.read_text()},
    )
    over = threading.Event()
    watchers = [threading.Thread(target=watch_here, args=(run.here, over))]
    watchers += [
        threading.Thread(target=watch_host, args=(lab.host(name), run.samples[name], over)) for name in HOSTS
    ]
    try:
        for watcher in watchers:
            watcher.start()
        try:
            run.texts["preview"] = project.preview().text
            run.texts["up"] = project.up("--logtostderr", "--logflow", "-v=3").text
        finally:
            over.set()
            for watcher in watchers:
                watcher.join()
        shown = project.cli("stack", "export", "--show-secrets").stdout
        keys = sorted(key for key in private_keys_in(shown) if "OPENSSH" not in key)
        run.secrets |= {f"TLS key {number}": key for number, key in enumerate(keys)}
        yield run
    finally:
        project.destroy(check=False)


def test_all_kinds_of_secret_were_in_use(watched: Watched) -> None:
    assert {name.rstrip("0123456789 ") for name in watched.secrets} == {
        "password",
        "passphrase",
        "SSH key",
        "TLS key",
    }
    assert "TLS key 1" in watched.secrets, "the CA's key and the mirror's"
    served = watched.stage.lab.host("mirror-1").read("/etc/registry-cache/tls/server.pem").decode()
    assert found_in(served, watched.secrets), "what is looked for is what is used"


def test_no_secret_stands_in_previews_output_or_logs(watched: Watched) -> None:
    project = watched.stage.project
    project.cli("config", "set", "--path", "registry-cache:tls.rotation", "1")
    watched.texts["another key"] = project.preview().text
    project.cli("config", "rm", "registry-cache:tls")

    assert "replace" in watched.texts["another key"]
    found = {name: found_in(text, watched.secrets) for name, text in watched.texts.items()}
    assert found == {name: set() for name in ("preview", "up", "another key")}


def test_no_secret_stands_plain_in_the_state_or_the_stack_file(watched: Watched) -> None:
    project = watched.stage.project
    state = project.state
    files = [
        file for file in [*state.rglob("*"), *project.directory.rglob("Pulumi.*.yaml")] if file.is_file()
    ]
    found = {file.name: found_in(file.read_text(errors="replace"), watched.secrets) for file in files}

    assert len(files) > 2
    assert {name: secrets for name, secrets in found.items() if secrets} == {}
    assert "ciphertext" in "".join(file.read_text(errors="replace") for file in files)


def test_no_secret_stands_in_a_command_line_or_environment_here(watched: Watched) -> None:
    engines = [text for text in watched.here if text.startswith(ENGINES_OWN)]
    seen = b"\n".join(watched.here.difference(engines)).decode(errors="replace")

    assert "components.lib.proof" in seen, "the run itself was among what was seen"
    assert found_in(seen, watched.secrets) == set()
    assert found_in(b"\n".join(engines).decode(), watched.secrets) <= {"password"}, "no key is in there"


@pytest.mark.parametrize("name", HOSTS)
def test_no_secret_stands_in_a_command_line_or_environment_of_a_host(watched: Watched, name: str) -> None:
    seen = "\n".join(watched.samples[name])

    assert "/var/lib/registry-cache/scripts/" in seen, "the steps were among what was seen"
    assert found_in(seen, watched.secrets) == set()


def test_no_secret_stands_in_docker_inspect_or_the_containers_log(watched: Watched) -> None:
    mirror = watched.stage.lab.host("mirror-1")
    shown = mirror.run("docker inspect $(docker ps -aq); docker logs registry-cache-docker.io 2>&1").stdout

    assert "registry-cache-docker.io" in shown
    assert found_in(shown, watched.secrets) == set()


@pytest.mark.parametrize("name", HOSTS)
def test_no_file_that_others_may_read_holds_a_secret(watched: Watched, name: str) -> None:
    host = watched.stage.lab.host(name)
    patterns = "".join(f"{part}\n" for secret in watched.secrets.values() for part in fragments(secret))
    control = "/etc/found-by-the-search"
    host.run(f"cat >{control}", PASSWORD)

    found = host.run(READABLE_BY_OTHERS, patterns, timeout=240).stdout.split()

    host.run(f"rm {control}")
    assert found == [control]
    journal = host.run("journalctl --no-pager -o cat", timeout=240).stdout
    assert found_in(journal, watched.secrets) == set()
