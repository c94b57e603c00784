"""What an upstream answers, as the kind of refusal that it is."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

SCRIPT = Path(__file__).parents[2] / "components/scripts/ask_upstream.sh"
TOKEN = "header.claims.signature"


class Upstream(BaseHTTPRequestHandler):
    """Answers with the status that the repository's name is; some want a token, some are at `localhost`."""

    def do_HEAD(self) -> None:
        host, repository = self.headers["Host"], self.path.split("/")[2]
        elsewhere = host.startswith("localhost")
        bearer, basic = f'Bearer realm="http://{host}/token",service="here",scope="x"', 'Basic realm="here"'
        challenges = {
            "token": [bearer],
            "token-then-sent-on": [bearer],
            "basic-too": [bearer, basic],
            "too-basic": [basic, bearer],
            "asked-elsewhere": [bearer],
        }
        wanted = elsewhere == (repository == "asked-elsewhere")
        if wanted and challenges.get(repository) and self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.send_response(401)
            for challenge in challenges[repository]:
                self.send_header("Www-Authenticate", challenge)
        elif repository == "round-and-round":
            self.send_response(307)
            self.send_header("Location", self.path)
        elif repository.endswith(("sent-on", "elsewhere")) and not elsewhere:
            self.send_response(307)
            self.send_header("Location", f"http://{host.replace('127.0.0.1', 'localhost')}{self.path}")
        elif repository.isdigit():
            self.send_response(int(repository))
        else:
            self.send_response(403 if elsewhere and self.headers["Authorization"] else 200)
        self.end_headers()

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        known = asked["service"] == ["here"] and re.fullmatch("repository:[a-z-]+:pull", asked["scope"][0])
        body = f'{{"token": "{TOKEN}", "expires_in": 300}}'.encode()
        self.send_response(200 if known else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(place: str, repository: str, programs: Path) -> str:
    """The script's answer, with a docker whose container has no environment."""
    docker = programs / "docker"
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "no_proxy": "*"}
    command = ["bash", str(SCRIPT), "registry-cache-nowhere", f"http://{place}", repository, "latest"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("repository", "said"),
    [
        ("200", "ok\n"),
        ("token", "ok\n"),
        ("basic-too", "ok\n"),
        ("too-basic", "ok\n"),
        ("sent-on", "ok\n"),
        ("token-then-sent-on", "ok\n"),
        ("asked-elsewhere", "unauthorized {elsewhere} answers 401\n"),
        ("round-and-round", "other {} answers 307\n"),
        ("404", "absent\n"),
        ("429", "rate_limited {} answers 429\n"),
        ("401", "unauthorized {} answers 401\n"),
        ("403", "unauthorized {} answers 403\n"),
        ("503", "server_error {} answers 503\n"),
        ("418", "other {} answers 418\n"),
    ],
)
def test_an_answer_is_named_as_the_kind_that_it_is(
    repository: str, said: str, address: str, tmp_path: Path
) -> None:
    elsewhere = address.replace("127.0.0.1", "localhost")
    assert ask(address, repository, tmp_path) == said.format(address, elsewhere=elsewhere)


def test_where_curl_says_nothing_its_exit_code_does(tmp_path: Path) -> None:
    (tmp_path / "curl").write_text("#!/bin/sh\nexit 56\n")
    (tmp_path / "curl").chmod(0o755)
    assert ask("127.0.0.1:1", "200", tmp_path) == "unreachable curl: (56)\n"


def test_an_upstream_that_nobody_answers_for_is_unreachable(tmp_path: Path) -> None:
    assert ask("127.0.0.1:1", "200", tmp_path).startswith("unreachable curl: (7)")
