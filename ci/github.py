"""GitHub's REST API, as much of it as is needed: comments, issues, pull requests, a run's artifacts.

The standard library alone, for the job that holds the token installs nothing.
"""

from __future__ import annotations

import io
import json
import re
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

BOT = "github-actions[bot]"
"""Whom a workflow's own token writes as."""

_SECONDS = 30
_MOST_BYTES = 20_000_000


class GitHubError(Exception):
    """What GitHub answered, or that it did not. Never holds the token."""


@dataclass(frozen=True)
class GitHub:
    """The repository `repository` (`owner/name`) at the API `url`."""

    url: str
    repository: str
    token: str = field(repr=False)

    def put_comment(self, number: int, marker: str, body: str, author: str = BOT) -> str:
        """Has one comment of `author` with `marker` on an issue or pull request; `created` or `updated`.

        Further ones, from two runs that met, are deleted.
        """
        own = [
            comment
            for comment in self._pages(f"issues/{number}/comments")
            if _is_by(comment, author) and marker in (comment.get("body") or "")
        ]
        if not own:
            self._call("POST", f"issues/{number}/comments", {"body": body})
            return "created"
        first, *others = own
        self._call("PATCH", f"issues/comments/{first['id']}", {"body": body})
        for comment in others:
            self._call("DELETE", f"issues/comments/{comment['id']}")
        return "updated"

    def open_issue(self, marker: str, author: str = BOT) -> int | None:
        """The number of the oldest open issue of `author` with `marker`."""
        query = urllib.parse.urlencode({"state": "open", "creator": author, "direction": "asc"})
        for issue in self._pages(f"issues?{query}"):
            # A pull request is an issue to this API.
            if "pull_request" not in issue and _is_by(issue, author) and marker in (issue.get("body") or ""):
                return int(issue["number"])
        return None

    def create_issue(self, title: str, body: str) -> int:
        """Opens an issue; its number."""
        return int(self._call("POST", "issues", {"title": title, "body": body})["number"])

    def update_issue(self, number: int, body: str) -> None:
        """Replaces an issue's text."""
        self._call("PATCH", f"issues/{number}", {"body": body})

    def close_issue(self, number: int, comment: str) -> None:
        """Closes an issue, with a last word."""
        self._call("POST", f"issues/{number}/comments", {"body": comment})
        self._call("PATCH", f"issues/{number}", {"state": "closed", "state_reason": "completed"})

    def pull_requests_at(self, commit: str, head: str) -> list[int]:
        """The open pull requests whose newest commit is `commit`. `head` is `OWNER:BRANCH`."""
        query = urllib.parse.urlencode({"state": "open", "head": head})
        return [
            int(pull["number"]) for pull in self._pages(f"pulls?{query}") if pull["head"]["sha"] == commit
        ]

    def artifact(self, run: int, name: str, file: str) -> str | None:
        """The text of a file in an artifact of a workflow's run; None where the run has no such artifact."""
        for entry in self._pages(f"actions/runs/{run}/artifacts", "artifacts"):
            if entry.get("name") == name and not entry.get("expired"):
                archive = self._read("GET", f"actions/artifacts/{entry['id']}/zip", None)[0]
                return _member(archive, file)
        return None

    def _pages(self, path: str, key: str | None = None) -> Iterator[dict[str, Any]]:
        """All entries of a listing, page by page."""
        following: str | None = f"{path}{'&' if '?' in path else '?'}per_page=100"
        while following is not None:
            data, link = self._read("GET", following, None)
            page = json.loads(data)
            yield from page[key] if key is not None else page
            following = _next_page(link)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        data, _ = self._read(method, path, body)
        return dict(json.loads(data)) if data else {}

    def _read(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[bytes, str]:
        """The answer's bytes and its Link header. `path` is the repository's, or a whole URL of this API."""
        url = path if path.startswith(f"{self.url}/") else f"{self.url}/repos/{self.repository}/{path}"
        if not url.startswith(("https://", "http://127.0.0.1:")):
            raise GitHubError(f"{self.url} is no address of an API: it must begin with https://")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method)  # noqa: S310  # the scheme is looked at above
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        request.add_header("Content-Type", "application/json")
        # Not sent on to where an artifact's download is redirected.
        request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                content = answer.read(_MOST_BYTES + 1)
                link = answer.headers.get("Link") or ""
        except urllib.error.HTTPError as error:
            raise GitHubError(f"{method} {url}: {error.code} {_message(error.read(2_000))}") from None
        except OSError as error:
            raise GitHubError(f"{method} {url}: {error}") from None
        if len(content) > _MOST_BYTES:
            raise GitHubError(f"{method} {url}: more than {_MOST_BYTES:,} bytes")
        return content, link


def _is_by(entry: Mapping[str, Any], author: str) -> bool:
    return bool((entry.get("user") or {}).get("login") == author)


def _next_page(link: str) -> str | None:
    found = re.search(r'<([^>]+)>;\s*rel="next"', link)
    return None if found is None else found[1]


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()


def _member(archive: bytes, file: str) -> str:
    """A file's text in a ZIP archive, which may be a stranger's: no more is unpacked than we take."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as packed, packed.open(file) as member:
            content = member.read(_MOST_BYTES + 1)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        raise GitHubError(f"the artifact has no readable {file}: {error}") from None
    if len(content) > _MOST_BYTES:
        raise GitHubError(f"{file} in the artifact has more than {_MOST_BYTES:,} bytes")
    return content.decode(errors="replace")
