"""What a prefetch reads from a cache, what it makes of a wrong answer, and when it gives up."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.puller import __main__ as puller
from components.puller import cache
from components.puller.image import chosen

PACKAGE = Path(puller.__file__).parent


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass
class Content:
    """What a cache serves, by path; `refusals` are statuses that it answers with before that.

    It sends no more than `breaks_off` bytes of a body. `upstream` is ask_upstream.sh's answer.
    """

    bodies: dict[str, bytes] = field(default_factory=dict)
    refusals: dict[str, list[int]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    upstream: str = "ok"
    breaks_off: int | None = None

    def put(self, repository: str, kind: str, content: bytes, tag: str | None = None) -> str:
        """Serves content by its digest, and by a tag."""
        digest = digest_of(content)
        for reference in filter(None, (digest, tag)):
            self.bodies[f"/v2/{repository}/{kind}/{reference}"] = content
        return digest

    def image(self, repository: str, tag: str | None, **more: object) -> str:
        """Serves an image of one layer and one that is only named; the digest of its manifest."""
        blobs = [self.put(repository, "blobs", f"{repository} {tag} {n}".encode()) for n in range(2)]
        elsewhere = {"digest": digest_of(b"elsewhere"), "urls": ["https://maker.example/layer"]}
        manifest = {"config": {"digest": blobs[0]}, "layers": [{"digest": blobs[1]}, elsewhere], **more}
        return self.put(repository, "manifests", json.dumps(manifest).encode(), tag)


@dataclass
class Stage:
    """A cache on this machine, and pulls from it."""

    url: str
    content: Content

    def pull(self, *images: str, required: bool = True) -> int:
        entries = [
            {"name": f"r/{name}", "registry": "r", "repository": name, "reference": reference}
            for name, reference in (image.split(" ") for image in images)
        ]
        where = {"url": self.url, "container": "registry-cache-r", "upstream": "https://r"}
        return puller.main(
            json.dumps({"required": required, "ca": "", "images": entries, "caches": {"r": where}})
        )


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    content = Content()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content.asked[self.path] += 1
            refusals = content.refusals.get(self.path, [])
            body = content.bodies.get(self.path)
            status = refusals.pop(0) if refusals else 200 if body is not None else 404
            self.send_response(status)
            sent = (body or b"") if status == 200 else b"{}"
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent[: content.breaks_off])

        def log_message(self, *_: object) -> None:
            pass

    def asks(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, 0, stdout=f"{content.upstream}\n".encode())

    monkeypatch.setattr("components.puller.cache.subprocess.run", asks)
    monkeypatch.setattr("components.puller.cache.time.sleep", lambda _: None)
    monkeypatch.setattr("components.puller.__main__.platform.machine", lambda: "aarch64")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Stage(f"http://127.0.0.1:{server.server_address[1]}", content)
    server.shutdown()
    thread.join()
    server.server_close()


def test_manifest_configuration_and_layers_are_read_once_each(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.content.image("a/b", "1")

    assert stage.pull("a/b 1") == 0

    assert Counter(path.split("/")[4] for path in stage.content.asked) == {"manifests": 1, "blobs": 2}
    assert set(stage.content.asked.values()) == {1}
    assert capsys.readouterr().out == "r/a/b: 2 blobs, 0.0 MiB\n"


def test_of_an_index_the_image_for_this_host_is_pulled_by_digest(stage: Stage) -> None:
    here = stage.content.image("a/b", None, here=True)
    other = stage.content.image("a/b", None, here=False)
    index = {
        "manifests": [
            {"digest": other, "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": digest_of(b"proof"), "platform": {"os": "unknown", "architecture": "unknown"}},
            {"digest": here, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        ]
    }
    by_digest = stage.content.put("a/b", "manifests", json.dumps(index).encode(), "1")

    assert stage.pull(f"a/b {by_digest}") == 0

    manifests = {path.rpartition("/")[2] for path in stage.content.asked if "/manifests/" in path}
    assert manifests == {by_digest, here}


def test_an_index_without_this_hosts_platform_is_told() -> None:
    index = {"manifests": [{"digest": "sha256:0", "platform": {"os": "windows", "architecture": "amd64"}}]}
    with pytest.raises(cache.NotServed, match="it is not made for linux/amd64"):
        chosen(index, "amd64")


def _wrong_digest(content: Content) -> None:
    path = next(path for path in content.bodies if "/blobs/" in path)
    content.bodies[path] = b"something else"


def _limited(content: Content) -> None:
    content.bodies.clear()
    content.upstream = "rate_limited r answers 429"


def _absent(content: Content) -> None:
    content.bodies.clear()
    content.upstream = "absent"


def _refused(content: Content) -> None:
    content.bodies.clear()
    content.upstream = "unauthorized r answers 401"


def _silent(content: Content) -> None:
    content.bodies.clear()


STRANGE = "its manifest is of a kind that no host pulls"


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ('{"fsLayers": []}', STRANGE),
        ("{", "its manifest is not JSON"),
        ("[" * 100_000, "its manifest is not JSON"),
        ('"\\ud800', "its manifest is not JSON"),
        ("null", STRANGE),
        ("[1, 2]", STRANGE),
        ("7", STRANGE),
        ('{"manifests": null}', STRANGE),
        ('{"manifests": 7}', STRANGE),
        ('{"manifests": [null]}', STRANGE),
        ('{"manifests": {"a": 1}}', STRANGE),
        ('{"manifests": [{"platform": 7}]}', STRANGE),
        ('{"manifests": [{"platform": {"os": "linux", "architecture": "arm64"}}]}', STRANGE),
        ('{"manifests": []}', "it is not made for linux/arm64"),
        ('{"manifests": [{}]}', "it is not made for linux/arm64"),
        ('{"manifests": [{"platform": null}]}', "it is not made for linux/arm64"),
        ('{"config": null, "layers": []}', STRANGE),
        ('{"config": {"digest": "sha256:0"}, "layers": null}', STRANGE),
        ('{"config": {"digest": "sha256:0"}, "layers": [null]}', STRANGE),
        ('{"config": {"digest": "sha256:0"}, "layers": [[]]}', STRANGE),
    ],
)
def test_a_manifest_that_is_none_is_told_in_a_line(
    manifest: str, told: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.content.put("a/b", "manifests", manifest.encode(), "1")

    assert stage.pull("a/b 1") == 1
    assert capsys.readouterr().err == f"r/a/b: {told}\n"


@pytest.mark.parametrize(
    ("spoilt", "tries", "told"),
    [
        (_wrong_digest, puller.TRIES, "its cache gives something else than sha256:"),
        (_limited, puller.TRIES, "r does not give it, rate limited: r answers 429"),
        (_silent, puller.TRIES, "its cache answers 404"),
        (_absent, 1, "r has no such image"),
        (_refused, 1, "r does not give it, unauthorized: r answers 401"),
    ],
)
def test_what_does_not_come_is_named_and_tried_again_only_where_that_may_help(
    spoilt: Callable[[Content], None],
    tries: int,
    told: str,
    stage: Stage,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage.content.image("a/b", "1")
    stage.content.image("c/d", "1")
    whole = {path: body for path, body in stage.content.bodies.items() if "/c/d/" in path}
    spoilt(stage.content)
    stage.content.bodies |= whole

    assert stage.pull("a/b 1", "c/d 1") == 1

    said = capsys.readouterr()
    assert said.err.startswith(f"r/a/b: {told}"), said.err
    assert said.out == "r/a/b: not pulled\nr/c/d: 2 blobs, 0.0 MiB\n", "the others are pulled all the same"
    assert max(stage.content.asked.values()) == tries


def test_what_fails_once_is_pulled_in_the_end(stage: Stage) -> None:
    stage.content.image("a/b", "1")
    for path in stage.content.bodies:
        stage.content.refusals[path] = [502, 404]
    stage.content.upstream = "server_error r answers 502"

    assert stage.pull("a/b 1") == 0
    assert max(stage.content.asked.values()) == 3


def test_what_is_not_required_is_tried_once_and_told(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.content.upstream = "unreachable curl: (7)"

    assert stage.pull("a/b 1", required=False) == 0

    assert set(stage.content.asked.values()) == {1}
    assert "r does not give it, unreachable: curl: (7)" in capsys.readouterr().out


def test_a_cache_that_breaks_off_or_does_not_answer_has_not_served(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.content.image("a/b", "1")
    stage.content.breaks_off = 5

    assert stage.pull("a/b 1") == 1
    assert "r/a/b: its cache breaks off after 5 of " in capsys.readouterr().err
    assert Stage("http://127.0.0.1:1", stage.content).pull("a/b 1") == 1
    assert "its cache http://127.0.0.1:1 cannot be read: [Errno 111]" in capsys.readouterr().err


def test_it_runs_on_python_3_6() -> None:
    vermin = Path(sys.executable).with_name("vermin")
    done = subprocess.run(
        [vermin, "--target=3.6-", "--violations", *sorted(PACKAGE.glob("*.py"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
