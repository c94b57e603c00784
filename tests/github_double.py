"""A GitHub for tests: real HTTP and JSON, with what ci/github.py asks of it, in memory.

It pages (two entries a page, whatever is asked for), wants its token, and hands out artifacts by a redirect
to another server, which refuses a request that still has the token.
"""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ci.github import BOT, GitHub

REPOSITORY = "example/caches"
TOKEN = "made-up-token"
PAGE = 2


@dataclass
class GitHubDouble:
    """What stands on this GitHub; `requests` are all that came, as `METHOD path`."""

    url: str = ""
    storage: str = ""
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    issues: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[int, list[tuple[str, bytes]]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    _count: int = 0

    @property
    def client(self) -> GitHub:
        """The API client for it."""
        return GitHub(self.url, REPOSITORY, TOKEN)

    @property
    def environment(self) -> dict[str, str]:
        """What a workflow's step has in its environment."""
        return {
            "GITHUB_API_URL": self.url,
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_RUN_ID": "77",
            "GITHUB_SHA": "c" * 40,
        }

    def pull_request(self, number: int, commit: str, head: str, state: str = "open") -> None:
        """A pull request from `OWNER:BRANCH`."""
        self.pulls.append({"number": number, "state": state, "label": head, "head": {"sha": commit}})

    def say(self, number: int, body: str, author: str = BOT) -> int:
        """A comment on an issue or pull request; its id."""
        comment: dict[str, Any] = {"id": self.next(), "body": body, "user": {"login": author}}
        self.comments.setdefault(number, []).append(comment)
        return int(comment["id"])

    def issue(self, body: str, author: str = BOT, **further: Any) -> int:
        """An open issue; its number."""
        number = self.next()
        self.issues.append(
            {"number": number, "state": "open", "body": body, "user": {"login": author}, **further}
        )
        return number

    def leave_artifact(self, run: int, name: str, files: dict[str, str]) -> None:
        """What a run has uploaded."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, text in files.items():
                archive.writestr(file, text)
        self.artifacts.setdefault(run, []).append((name, packed.getvalue()))

    def next(self) -> int:
        """A number that nothing else has."""
        self._count += 1
        return self._count


@contextmanager
def running() -> Iterator[GitHubDouble]:
    """A GitHub and its storage, until the block ends."""
    double = GitHubDouble()
    servers = [_serve(double, _Api), _serve(double, _Storage)]
    double.url, double.storage = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    try:
        yield double
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    double: GitHubDouble


def _serve(double: GitHubDouble, handler: type[BaseHTTPRequestHandler]) -> _Server:
    server = _Server(("127.0.0.1", 0), handler)
    server.double = double
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    @property
    def double(self) -> GitHubDouble:
        return self.server.double

    def log_message(self, *args: Any) -> None:
        """Keeps the tests' output clean."""

    def answer(self, status: int, content: object = None, **headers: str) -> None:
        data = (
            content
            if isinstance(content, bytes)
            else b""
            if content is None
            else json.dumps(content).encode()
        )
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Api(_Handler):
    def do_GET(self) -> None:
        self._route("GET")

    def do_POST(self) -> None:
        self._route("POST")

    def do_PATCH(self) -> None:
        self._route("PATCH")

    def do_DELETE(self) -> None:
        self._route("DELETE")

    def _route(self, method: str) -> None:
        parts = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, {"message": "Bad credentials"})
            return
        path = parts.path.removeprefix(f"/repos/{REPOSITORY}/")
        self.double.requests.append(f"{method} {path}")
        if method != "GET":
            self.double.bodies.append(body)
        if len(body.get("body", "")) > 65_536:
            self.answer(422, {"message": "Body is too long (maximum is 65536 characters)"})
            return
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        for verb, pattern, handle in _ROUTES:
            found = re.fullmatch(pattern, path)
            if verb == method and found:
                handle(self, *map(int, found.groups()), query=query, body=body)
                return
        self.answer(404, {"message": "Not Found"})

    def page(self, entries: list[Any], query: dict[str, str], key: str | None = None) -> None:
        """One page of a listing, with the link to the one after it."""
        number = int(query.get("page", "1"))
        shown = entries[(number - 1) * PAGE : number * PAGE]
        headers = {}
        if number * PAGE < len(entries):
            others = "&".join(f"{k}={v}" for k, v in query.items() if k != "page")
            following = f"{self.double.url}{urlsplit(self.path).path}?{others}&page={number + 1}"
            headers["Link"] = f'<{self.double.url}/first>; rel="first", <{following}>; rel="next"'
        self.answer(200, {"total_count": len(entries), key: shown} if key else shown, **headers)

    def comments(self, number: int, *, query: dict[str, str], body: Any) -> None:
        self.page(self.double.comments.get(number, []), query)

    def comment(self, number: int, *, query: dict[str, str], body: Any) -> None:
        self.answer(201, {"id": self.double.say(number, body["body"])})

    def change_comment(self, which: int, *, query: dict[str, str], body: Any) -> None:
        for comments in self.double.comments.values():
            for comment in comments:
                if comment["id"] == which:
                    comment["body"] = body["body"]
                    self.answer(200, comment)
                    return
        self.answer(404, {"message": "Not Found"})

    def delete_comment(self, which: int, *, query: dict[str, str], body: Any) -> None:
        for comments in self.double.comments.values():
            comments[:] = [comment for comment in comments if comment["id"] != which]
        self.answer(204)

    def list_issues(self, *, query: dict[str, str], body: Any) -> None:
        fitting = [
            issue
            for issue in self.double.issues
            if issue["state"] == query["state"] and issue["user"]["login"] == query["creator"]
        ]
        self.page(fitting, query)

    def create_issue(self, *, query: dict[str, str], body: Any) -> None:
        self.answer(201, {"number": self.double.issue(body["body"], title=body["title"])})

    def change_issue(self, number: int, *, query: dict[str, str], body: Any) -> None:
        for issue in self.double.issues:
            if issue["number"] == number:
                issue.update(body)
                self.answer(200, issue)
                return
        self.answer(404, {"message": "Not Found"})

    def list_pulls(self, *, query: dict[str, str], body: Any) -> None:
        wanted = (query["state"], query["head"])
        self.page([pull for pull in self.double.pulls if (pull["state"], pull["label"]) == wanted], query)

    def list_artifacts(self, run: int, *, query: dict[str, str], body: Any) -> None:
        names = [name for name, _ in self.double.artifacts.get(run, [])]
        entries = [{"id": run * 100 + i, "name": name, "expired": False} for i, name in enumerate(names)]
        self.page(entries, query, "artifacts")

    def artifact(self, which: int, *, query: dict[str, str], body: Any) -> None:
        self.answer(302, Location=f"{self.double.storage}/{which}")


class _Storage(_Handler):
    """Where artifacts are: another host, which must not learn the token."""

    def do_GET(self) -> None:
        if "Authorization" in self.headers:
            self.answer(400, {"message": "Only one auth mechanism allowed"})
            return
        run, index = divmod(int(self.path.strip("/")), 100)
        self.answer(200, self.double.artifacts[run][index][1])


_ROUTES = (
    ("GET", r"issues/(\d+)/comments", _Api.comments),
    ("POST", r"issues/(\d+)/comments", _Api.comment),
    ("PATCH", r"issues/comments/(\d+)", _Api.change_comment),
    ("DELETE", r"issues/comments/(\d+)", _Api.delete_comment),
    ("GET", r"issues", _Api.list_issues),
    ("POST", r"issues", _Api.create_issue),
    ("PATCH", r"issues/(\d+)", _Api.change_issue),
    ("GET", r"pulls", _Api.list_pulls),
    ("GET", r"actions/runs/(\d+)/artifacts", _Api.list_artifacts),
    ("GET", r"actions/artifacts/(\d+)/zip", _Api.artifact),
)
