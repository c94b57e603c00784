"""The prober, against servers on this machine that answer as registries, token servers and proxies do."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.prober import __main__ as prober
from components.prober import cached, certificate, exposition, upstream, way
from components.prober.upstream import Finding, Upstream, ask
from components.prober.way import Proxies, Way

STRAIGHT = Proxies(None, None, ())
PASSWORD = "pass:word é"  # pragma: allowlist secret
TOKEN = "a-token"
LOGIN = "Basic " + base64.b64encode(f"reader:{PASSWORD}".encode()).decode()


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    headers: Mapping[str, str]


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass
class Server:
    """A server that answers by a function, and remembers what it was asked."""

    url: str
    place: str
    asked: list[Asked]


Answering = Callable[[Asked], Answer]


@contextmanager
def serving(answer: Answering, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    asked: list[Asked] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            request = Asked(self.command, self.path, dict(self.headers))
            asked.append(request)
            given = answer(request)
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(given.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(given.body.encode())

        do_HEAD = do_GET  # noqa: N815

        def do_CONNECT(self) -> None:
            asked.append(Asked(self.command, self.path, dict(self.headers)))
            port = self.path.rpartition(":")[2]
            with socket.create_connection(("127.0.0.1", int(port))) as far:
                self.send_response(200)
                self.end_headers()
                ends = [(self.connection, far), (far, self.connection)]
                passing = [threading.Thread(target=_copy, args=pair, daemon=True) for pair in ends]
                for thread in passing:
                    thread.start()
                for thread in passing:
                    thread.join()
            self.close_connection = True

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    place = f"localhost:{server.server_address[1]}" if context else f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Server(f"{'https' if context else 'http'}://{place}", place, asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a certificate for localhost, which is its own authority, and its key."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "9"),
            *("-keyout", f"{file}.key", "-out", f"{file}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    file.write_text(Path(f"{file}.crt").read_text() + Path(f"{file}.key").read_text())
    return file


@pytest.fixture
def tls(pair: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context


def finding(url: str, proxies: Proxies = STRAIGHT, ca: Path | None = None, login: bool = False) -> Finding:
    username, password = ("reader", PASSWORD) if login else (None, None)
    asking = Upstream("example", url, username, password, str(ca) if ca else None)
    return ask(asking, Way(proxies, asking.ca))


# Kinds of answer


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, None),
        (429, "rate_limited"),
        (403, "unauthorized"),
        (500, "server_error"),
        (503, "server_error"),
        (404, "other"),
        (301, "other"),
    ],
)
def test_each_answer_is_told_as_its_kind_and_with_its_status(status: int, kind: str | None) -> None:
    with serving(lambda _: Answer(status)) as server:
        found = finding(server.url)
    assert found.refusal == kind
    assert found.up is (kind is None)
    assert found.detail == f"{server.place} answers {status}"


def test_nobody_at_the_address_is_unreachable() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        found = finding(f"http://127.0.0.1:{unheard.getsockname()[1]}")
    assert found == Finding("unreachable", "Connection refused")


def test_a_name_that_does_not_exist_is_unreachable_and_told_as_that() -> None:
    assert finding("https://registry.invalid") == Finding("unreachable", "its name is not known here")


def test_one_that_says_nothing_is_unreachable_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "SECONDS", 0.2)
    monkeypatch.setattr(upstream, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = finding(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert found == Finding("unreachable", "no answer within 0 s")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"),
        (b"\x1b]0;owned\x1b\\\x1b[2J\xe9\r\n", "?]0;owned?\\?[2J?"),
        (b"A" * 60_000 + b"\r\n", "A" * 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", None),
        (b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="http://\x1b[2J:1/"\r\n\r\n', None),
    ],
)
def test_what_is_no_registry_is_told_in_a_short_line_of_what_can_be_printed(
    said: bytes, told: str | None
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(said)

        threading.Thread(target=greet, daemon=True).start()
        found = finding(f"http://127.0.0.1:{other.getsockname()[1]}")
    assert found.refusal is not None
    assert found.detail == told or told is None
    assert found.detail.isprintable()


def test_a_certificate_of_an_unknown_authority_is_a_refusal_by_tls(tls: ssl.SSLContext) -> None:
    with serving(lambda _: Answer(200), tls) as server:
        found = finding(server.url)
    assert found.refusal == "tls"
    assert "self-signed certificate" in found.detail or "self signed" in found.detail


def test_the_upstreams_own_ca_is_trusted_where_it_is_given(tls: ssl.SSLContext, pair: Path) -> None:
    with serving(lambda _: Answer(200), tls) as server:
        assert finding(server.url, ca=pair).up


def test_a_server_without_tls_at_an_https_address_is_a_refusal_by_tls() -> None:
    with serving(lambda _: Answer(200)) as server:
        assert finding(server.url.replace("http:", "https:")).refusal == "tls"


# Redirects


def redirect(status: int, target: str) -> Answering:
    """As registry.k8s.io: it answers at /v2/ itself, and sends on who asks for an image."""

    def answer(asked: Asked) -> Answer:
        return Answer(200) if asked.target == "/v2/" else Answer(status, {"Location": target})

    return answer


def asked_by_an_image(url: str, ca: Path | None = None) -> Finding:
    asking = Upstream("example", url, None, None, str(ca) if ca else None, "pause/manifests/3.10")
    return ask(asking, Way(STRAIGHT, asking.ca))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("there", "kind"), [(200, None), (429, "rate_limited")])
def test_where_an_upstream_sends_its_cache_is_what_counts(there: int, kind: str | None, status: int) -> None:
    with (
        serving(lambda _: Answer(there)) as far,
        serving(redirect(status, f"{far.url}/elsewhere?x=1 2")) as server,
    ):
        found = asked_by_an_image(server.url)
    assert found == Finding(kind, f"{far.place} answers {there}")
    assert [(asked.method, asked.target) for asked in far.asked] == [("HEAD", "/elsewhere?x=1%202")]


def test_a_redirect_within_an_upstream_may_leave_out_its_name() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(200) if asked.target == "/there" else Answer(302, {"Location": "/there"})

    with serving(answer) as server:
        assert asked_by_an_image(server.url).up


@pytest.mark.parametrize("target", ["/v2/again", "ftp://127.0.0.1/", "http://[", "//", "http://a:b/"])
def test_a_redirect_to_nowhere_is_a_refusal_in_bounded_time(target: str) -> None:
    with serving(redirect(307, target)) as server:
        found = asked_by_an_image(server.url)
    assert not found.up
    assert len(server.asked) <= 6


def test_an_encrypted_way_is_not_left_for_an_unencrypted_one(tls: ssl.SSLContext, pair: Path) -> None:
    with serving(lambda _: Answer(200)) as plain, serving(redirect(307, plain.url), tls) as server:
        found = asked_by_an_image(server.url, pair)
    assert found == Finding("other", f"{server.place} answers 307")
    assert plain.asked == []


def test_a_login_stays_with_the_upstream_that_it_is_for(tls: ssl.SSLContext, pair: Path) -> None:
    """Also where the other one asks for it: only the upstream itself names who gives tokens for it."""

    def answer(asked: Asked) -> Answer:
        right = asked.headers.get("Authorization") == LOGIN
        headers = {"Location": f"{far.url}/"} if right else {"WWW-Authenticate": 'Basic realm="r"'}
        return Answer(307 if right else 401, headers)

    greedy = Answer(401, {"WWW-Authenticate": 'Basic realm="r"'})
    with serving(lambda _: greedy, tls) as far, serving(answer, tls) as server:
        found = finding(server.url, ca=pair, login=True)
    assert found == Finding("unauthorized", f"{far.place} answers 401")
    assert len(server.asked) == 2
    assert [asked.headers.get("Authorization") for asked in far.asked] == [None]


# Tokens and logins


def with_tokens(scheme: str, *, login: str | None, token: str = TOKEN, scope: str = "a:b:c") -> Answering:
    """A registry and its token server in one; `login` is what the token server wants."""

    def answer(asked: Asked) -> Answer:
        if asked.target.startswith("/token"):
            if login is not None and asked.headers.get("Authorization") != login:
                return Answer(401)
            return Answer(200, body=json.dumps({"token": token}))
        if asked.headers.get("Authorization") == f"Bearer {TOKEN}":
            return Answer(200)
        realm = f"{scheme}://{asked.headers['Host']}/token"
        challenge = f'Bearer realm="{realm}",service="the registry",scope="{scope}"'
        return Answer(401, {"WWW-Authenticate": challenge})

    return answer


def test_a_token_is_fetched_as_the_challenge_says_and_shown(tls: ssl.SSLContext, pair: Path) -> None:
    with serving(with_tokens("https", login=LOGIN, scope="repository:a/b:pull"), tls) as server:
        found = finding(server.url, ca=pair, login=True)
    assert found.up
    targets = [asked.target for asked in server.asked]
    assert targets == ["/v2/", "/token?service=the+registry&scope=repository%3Aa%2Fb%3Apull", "/v2/"]


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_of_two_challenges_the_one_for_tokens_is_taken_whichever_is_first(scheme: str) -> None:
    """As Gitea sends them."""
    tokens = with_tokens("http", login=None)

    def answer(asked: Asked) -> Answer:
        given = tokens(asked)
        bearer = given.headers.get("WWW-Authenticate")
        both = {"WWW-Authenticate": bearer or "", "www-authenticate": 'Basic realm="r"'}
        ordered = both if scheme == "Bearer" else dict(reversed(both.items()))
        return Answer(given.status, ordered if bearer else {}, given.body)

    with serving(answer) as server:
        assert finding(server.url).up
        assert finding(server.url, login=True).detail.startswith("it wants the login sent")


def test_a_login_that_the_token_server_refuses_is_unauthorized(tls: ssl.SSLContext, pair: Path) -> None:
    with serving(with_tokens("https", login="Basic another"), tls) as server:
        found = finding(server.url, ca=pair, login=True)
    assert found == Finding("unauthorized", f"{server.place} answers 401")


def test_the_login_is_never_sent_unencrypted() -> None:
    with serving(with_tokens("http", login=LOGIN)) as server:
        found = finding(server.url, login=True)
    assert not found.up
    assert "unencrypted" in found.detail
    assert not [asked for asked in server.asked if LOGIN in asked.headers.values()]


def test_a_public_registry_that_gives_everybody_tokens_is_up_though_it_wants_one_for_an_image() -> None:
    with serving(with_tokens("http", login=None, token="of-no-scope")) as server:
        assert finding(server.url).up


def test_one_that_wants_a_login_which_the_cache_has_not_is_unauthorized() -> None:
    with serving(lambda _: Answer(401, {"WWW-Authenticate": 'Basic realm="r"'})) as server:
        assert finding(server.url).refusal == "unauthorized"


def test_a_registry_with_plain_logins_gets_the_login(tls: ssl.SSLContext, pair: Path) -> None:
    def answer(asked: Asked) -> Answer:
        right = asked.headers.get("Authorization") == LOGIN
        return Answer(200) if right else Answer(401, {"WWW-Authenticate": 'Basic realm="r"'})

    with serving(answer, tls) as server:
        assert finding(server.url, ca=pair, login=True).up


@pytest.mark.parametrize("body", ["", "{}", '{"token": ""}', "<html>"])
def test_a_token_server_without_a_token_is_told_as_that(body: str) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.target.startswith("/token"):
            return Answer(200, body=body)
        return Answer(401, {"WWW-Authenticate": f'Bearer realm="http://{asked.headers["Host"]}/token"'})

    with serving(answer) as server:
        found = finding(server.url)
    assert found == Finding("unreachable", f"{server.place} answers without a token")


# The rate limit


def hub(answer: Answering, monkeypatch: pytest.MonkeyPatch) -> tuple[Finding, list[Asked]]:
    """A finding at a server that this prober takes for Docker Hub's."""
    with serving(answer) as server:
        monkeypatch.setattr(upstream, "HUB", "127.0.0.1")
        return finding(server.url), server.asked


def test_docker_hubs_limit_is_read_from_a_head_that_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "87;w=21600"}
    found, asked = hub(lambda _: Answer(200, headers), monkeypatch)
    assert (found.up, found.rate_limit, found.rate_limit_remaining) == (True, 100, 87)
    assert [(a.method, a.target) for a in asked] == [("HEAD", "/v2/ratelimitpreview/test/manifests/latest")]


def test_docker_hubs_429_is_its_rate_limit_with_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600"}
    found, _ = hub(lambda _: Answer(429, headers), monkeypatch)
    assert (found.refusal, found.rate_limit, found.rate_limit_remaining) == ("rate_limited", 100, 0)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_hub_without_that_image_is_asked_for_its_api(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"ratelimit-limit": "100;w=21600"}
    found, asked = hub(lambda a: Answer(status, limits) if a.method == "HEAD" else Answer(200), monkeypatch)
    assert (found.up, found.rate_limit) == (True, 100)
    assert asked[-1].target == "/v2/"


def test_another_registrys_headers_count_too_and_no_header_means_no_number() -> None:
    with serving(lambda _: Answer(200, {"RateLimit-Limit": "500", "RateLimit-Remaining": "x"})) as server:
        found = finding(server.url)
    assert (found.rate_limit, found.rate_limit_remaining) == (500, None)
    assert server.asked[0].target == "/v2/"


def test_a_registry_that_refuses_manifests_alone_is_seen_by_one_that_the_cache_has(tmp_path: Path) -> None:
    """Its cache tells clients "not found" then, and logs nothing."""
    tags = tmp_path / "docker/registry/v2/repositories/acme/app/_manifests/tags"
    (tags / "1.2").mkdir(parents=True)
    (tags.parent / "revisions").mkdir()
    headers = {"ratelimit-limit": "50;w=60", "ratelimit-remaining": "0;w=60"}

    def answer(asked: Asked) -> Answer:
        return Answer(429, headers) if "/manifests/" in asked.target else Answer(200)

    with serving(answer) as server:
        entry = {"name": "ghcr.io", "url": server.url, "data": str(tmp_path)}
        found = prober.ask_all(settings_of(entry))["ghcr.io"]
    assert (found.refusal, found.rate_limit, found.rate_limit_remaining) == ("rate_limited", 50, 0)
    assert [(a.method, a.target) for a in server.asked] == [("HEAD", "/v2/acme/app/manifests/1.2")]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_image_that_is_gone_or_private_by_now_is_no_refusal(status: int) -> None:
    asking = Upstream("example", "", None, None, None, "acme/app/manifests/1.2")
    with serving(lambda a: Answer(status if a.method == "HEAD" else 200)) as server:
        found = ask(asking._replace(url=server.url), Way(STRAIGHT, None))
    assert found == Finding(None, f"{server.place} answers 200")


def test_a_token_that_is_denied_for_one_image_is_no_refusal_either() -> None:
    def answer(asked: Asked) -> Answer:
        if asked.target.startswith("/token"):
            return Answer(403) if "acme" in asked.target else Answer(200, body='{"token": "t"}')
        scope = ',scope="repository:acme/app:pull"' if asked.method == "HEAD" else ""
        realm = f'Bearer realm="http://{asked.headers["Host"]}/token",service="s"{scope}'
        return Answer(401, {"WWW-Authenticate": realm})

    asking = Upstream("example", "", None, None, None, "acme/app/manifests/1.2")
    with serving(answer) as server:
        assert ask(asking._replace(url=server.url), Way(STRAIGHT, None)).up


def test_a_cache_without_a_tagged_image_has_none_to_ask_for(tmp_path: Path) -> None:
    repositories = tmp_path / "docker/registry/v2/repositories"
    assert cached.some_manifest(str(tmp_path)) is None
    (repositories / "by/digest/only/_manifests/revisions").mkdir(parents=True)
    (repositories / "a/_layers").mkdir(parents=True)
    assert cached.some_manifest(str(tmp_path)) is None
    (repositories / "z/_manifests/tags/b").mkdir(parents=True)
    assert cached.some_manifest(str(tmp_path)) == "z/manifests/b"


# Proxies


def test_a_plain_upstream_is_asked_for_through_the_proxy() -> None:
    with serving(lambda _: Answer(200)) as proxy:
        assert finding("http://registry.example", Proxies(proxy.url, None, ())).up
    assert proxy.asked[0].target == "http://registry.example/v2/"


@pytest.mark.parametrize("secured", [False, True], ids=["proxy at http", "proxy at https"])
def test_an_https_upstream_is_reached_by_a_tunnel(
    tls: ssl.SSLContext, pair: Path, secured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serving(lambda _: Answer(200), tls) as server,
        serving(lambda _: Answer(500), tls if secured else None) as proxy,
    ):
        # No proxy is used to this machine's own addresses, where the test's servers are.
        monkeypatch.setattr(Proxies, "_excepted", lambda *_: False)
        by_proxy = Way(Proxies(None, proxy.url, ()), str(pair))
        # Many: what two threads do to one connection at the same time goes wrong now and then.
        answers = [by_proxy.request("GET", f"{server.url}/v2/", {}).status for _ in range(30)]
    assert set(answers) == {200}
    assert {asked.method for asked in proxy.asked} == {"CONNECT"}


@pytest.mark.parametrize(
    ("exceptions", "url", "proxied"),
    [
        ((), "https://registry.example", True),
        (("registry.example",), "https://registry.example", False),
        (("example",), "https://registry.example", False),
        ((".example",), "https://registry.example", False),
        ((".example",), "https://example", True),
        (("*.example",), "https://registry.example", False),
        (("ample",), "https://registry.example", True),
        (("registry.example:5000",), "https://registry.example:5000", False),
        (("registry.example:5000",), "https://registry.example", True),
        (("10.0.0.0/8",), "https://10.2.3.4", False),
        (("10.0.0.0/8",), "https://11.2.3.4", True),
        (("10.2.3.4",), "https://10.2.3.4:5000", False),
        (("fd00::/8",), "https://[fd00::1]:5000", False),
        (("*",), "https://registry.example", False),
        ((), "https://127.0.0.1:5000", False),
        ((), "https://localhost", False),
    ],
)
def test_the_proxys_exceptions_are_read_as_the_registry_reads_them(
    exceptions: tuple[str, ...], url: str, proxied: bool
) -> None:
    proxies = Proxies("http://plain.example:3128", "http://proxy.example:3128", exceptions)
    assert (proxies.serving(urlsplit(url)) is not None) is proxied


def test_each_scheme_has_its_own_proxy() -> None:
    proxies = Proxies("http://plain.example", None, ())
    assert proxies.serving(urlsplit("https://registry.example")) is None
    assert proxies.serving(urlsplit("http://registry.example")) is not None


# A round


def settings_of(*upstreams: Mapping[str, Any], certificate: Path | None = None) -> dict[str, Any]:
    defaults = {"username": None, "password": None, "ca": None, "data": "/nowhere"}
    whole = [{**defaults, **entry} for entry in upstreams]
    return {
        "certificate": str(certificate) if certificate else None,
        "proxy": {"http": None, "https": None, "no_proxy": []},
        "upstreams": whole,
    }


def test_a_round_writes_both_files_and_one_line_without_a_secret(pair: Path, tmp_path: Path) -> None:
    with serving(with_tokens("http", login=None)) as good, serving(lambda _: Answer(503)) as bad:
        settings = settings_of(
            {"name": "docker.io", "url": good.url},
            {"name": "ghcr.io", "url": bad.url, "username": "reader", "password": PASSWORD},
            certificate=pair,
        )
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        command = [sys.executable, "-m", "prober", str(tmp_path / "settings.json"), str(tmp_path)]
        place = Path(prober.__file__).parent.parent
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True)

    assert done.stdout == f"docker.io: up; ghcr.io: server_error ({bad.place} answers 503)\n"
    assert done.stderr == ""
    document = json.loads((tmp_path / "upstreams.json").read_text())
    assert document["upstreams"]["docker.io"] == {
        "up": True,
        "refusal": None,
        "detail": f"{good.place} answers 200",
        "rate_limit": None,
        "rate_limit_remaining": None,
        "checked": document["at"],
    }
    assert document["upstreams"]["ghcr.io"]["refusal"] == "server_error"
    days = (document["certificate_not_after"] - document["at"]) / 86400
    assert 8.9 < days < 9.1
    for file in ("upstreams.prom", "upstreams.json"):
        assert PASSWORD not in (tmp_path / file).read_text()
        assert (tmp_path / file).stat().st_mode & 0o777 == 0o644
    assert not list(tmp_path.glob("*.new"))


def test_an_upstream_that_hangs_costs_the_others_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, serving(lambda _: Answer(200)) as good:
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = settings_of({"name": "hangs", "url": hanging}, {"name": "good", "url": good.url})
        found = prober.ask_all(settings, seconds=3)
    assert found["good"].up
    assert found["hangs"].refusal == "unreachable"


def test_a_ca_that_cannot_be_read_is_told_and_stops_no_other(tmp_path: Path) -> None:
    with serving(lambda _: Answer(200)) as good:
        missing = {"name": "a", "url": good.url, "ca": str(tmp_path / "none.pem")}
        found = prober.ask_all(settings_of(missing, {"name": "b", "url": good.url}))
    assert found["a"].refusal == "tls"
    assert "none.pem: No such file" in found["a"].detail
    assert found["b"].up


def test_every_kind_of_refusal_has_a_series_so_that_an_alert_ends() -> None:
    text = exposition.as_text({"docker.io": Finding("tls", "x", 100, 87)}, 1800000000, 1700000000)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    refusals = families["registry_cache_upstream_refusal"].samples
    assert {s.labels["kind"]: s.value for s in refusals} == {
        kind: float(kind == "tls") for kind in upstream.KINDS
    }
    assert families["registry_cache_upstream_up"].samples[0].value == 0
    assert families["registry_cache_rate_limit_remaining"].samples[0].value == 87
    assert families["registry_cache_certificate_not_after_timestamp_seconds"].samples[0].value == 1800000000


def test_what_is_not_known_is_left_out_and_not_zero() -> None:
    text = exposition.as_text({"docker.io": Finding(None, "")}, None, 1700000000)
    assert "rate_limit" not in text.replace('kind="rate_limited"', "")
    assert "certificate" not in text


def test_a_certificate_that_is_not_there_or_none_has_no_end(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no certificate\n")
    assert certificate.not_after(str(tmp_path / "absent")) is None
    assert certificate.not_after(str(tmp_path / "text")) is None
