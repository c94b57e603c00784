"""The log of a registry in its container: what was answered to whom, and what went wrong on the way.

Both versions write one logfmt line for each answer, "response completed" or "response completed with error"
(registry/handlers/app.go), which is more exact than the access log beside it: it has the duration, so the
moment at which a request began. Docker keeps the lines in a json-file.
"""

import calendar
import json
import os
import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

BLOB, MANIFEST, BASE = "blob", "manifest", "base"

# logrus quotes what is not plain, so a client cannot write fields into the line by its user agent.
_FIELD = re.compile(r'([\w.-]+)=("(?:[^"\\]|\\.)*"|[^ ]*)')
_CONTENT = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>blobs|manifests)/(?P<reference>[^/?]+)(?:\?.*)?$")
_PROOF = re.compile(r"/v2/\?proof=(?P<nonce>[^&]+)\.(?P<event>begin|end)$")
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(?:Z|([+-])(\d\d):?(\d\d))$")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|µs|μs|us|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

RATE_LIMITED, UNAUTHORIZED, UNREACHABLE, TLS, SERVER_ERROR, OTHER = (
    "rate_limited",
    "unauthorized",
    "unreachable",
    "tls",
    "server_error",
    "other",
)
ERRORS = (RATE_LIMITED, UNAUTHORIZED, UNREACHABLE, TLS, SERVER_ERROR, OTHER)
_UPSTREAM = (
    (RATE_LIMITED, re.compile(r"toomanyrequests|too many requests|(?:HTTP|status:?) 429", re.IGNORECASE)),
    (TLS, re.compile(r"x509: |tls: ")),
    (
        UNREACHABLE,
        re.compile(
            r"connection refused|connection reset|no such host|i/o timeout|network is unreachable|no route to"
            r" host|TLS handshake timeout|deadline exceeded|Client\.Timeout"
        ),
    ),
    (
        UNAUTHORIZED,
        re.compile(r"unauthorized|denied|authentication required|(?:HTTP|status:?) 40[13]", re.IGNORECASE),
    ),
    (SERVER_ERROR, re.compile(r"(?:HTTP|HTTP status:?|status:?|status code:?) 5\d\d", re.IGNORECASE)),
)
# A registry in proxy mode says so of what its upstream does not have.
_NOT_THERE = ("manifest unknown", "blob unknown", "name unknown", "manifest_unknown", "blob_unknown")


class Answer(NamedTuple):
    """One answer. `began` and `ended` are seconds since 1970; `client` is an address without port.

    `reference` is a tag or a digest; for a request of the kind BASE it is the mark of a proof
    (`<client>.<hex>`), and `repository` its `begin` or `end`. `error` is the kind of what the upstream did
    wrong, where the line tells.
    """

    began: float
    ended: float
    client: str
    method: str
    kind: str
    repository: str
    reference: str
    status: int
    written: int
    error: Optional[str]


def fields(text: str) -> Dict[str, str]:
    """The fields of a logfmt line, without quotes and escapes."""
    found = {}
    for match in _FIELD.finditer(text):
        value = match.group(2)
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found[match.group(1)] = value
    return found


def seconds_of(duration: str) -> float:
    """The seconds of a duration as Go prints it: 1m2.5s, 658.283µs."""
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(duration))


def time_of(text: str) -> Optional[float]:
    """The seconds since 1970 of an RFC 3339 time, None for anything else."""
    match = _TIME.match(text)
    if match is None:
        return None
    whole = calendar.timegm(tuple(int(part) for part in match.groups()[:6]) + (0, 0, 0))
    offset = 0
    if match.group(8):
        offset = (int(match.group(9)) * 60 + int(match.group(10))) * 60
        offset = -offset if match.group(8) == "-" else offset
    return whole - offset + float(match.group(7) or 0)


def error_kind(values: Dict[str, str]) -> Optional[str]:
    """The kind of trouble with the upstream that a line of level error tells of, None where it does not.

    What the upstream does not have is no trouble. A tag that the upstream refused reads as one that it does
    not have: the registry drops the reason.
    """
    text = " ".join(values.get(key, "") for key in ("msg", "err.code", "err.message", "err.detail", "error"))
    for kind, pattern in _UPSTREAM:
        if pattern.search(text):
            return kind
    code = values.get("err.code", "")
    status = values.get("http.response.status", "")
    if code.lower() in _NOT_THERE or status.startswith("4"):
        return None
    return OTHER if "http.response.status" in values else None


def parse(text: str) -> Optional[Answer]:
    """The answer that a line of the registry's log tells of, None for all other lines."""
    if "http.response.status=" not in text or 'msg="response completed' not in text:
        return None
    values = fields(text.rstrip())
    ended = time_of(values.get("time", ""))
    if ended is None or not values.get("http.response.status", "").isdigit():
        return None
    uri = values.get("http.request.uri", "")
    content, proof = _CONTENT.match(uri), _PROOF.match(uri)
    if content:
        kind = BLOB if content.group("kind") == "blobs" else MANIFEST
        repository, reference = content.group("repository"), content.group("reference")
    elif proof:
        kind, repository, reference = BASE, proof.group("event"), proof.group("nonce")
    else:
        return None
    written = values.get("http.response.written", "0")
    return Answer(
        ended - seconds_of(values.get("http.response.duration", "0s")),
        ended,
        address_of(values.get("http.request.remoteaddr", "")),
        values.get("http.request.method", ""),
        kind,
        repository,
        reference,
        int(values["http.response.status"]),
        int(written) if written.isdigit() else 0,
        error_kind(values) if values.get("level") == "error" else None,
    )


def address_of(remote: str) -> str:
    """An address without its port: 10.0.0.7:4711, [fd00::7]:4711."""
    host = remote.rpartition(":")[0] or remote
    return host.strip("[]")


class Position(NamedTuple):
    """How far a log has been read: which file, and how many bytes of it."""

    inode: int
    offset: int


class LogFile:
    """A container's log, read on from where the last run stopped, over Docker's rotation of its files."""

    READ_AT_ONCE = 8 * 1024 * 1024

    def __init__(self, path: str, position: Optional[Position]) -> None:
        self.path = path
        self.position = position

    def lines(self) -> Iterator[str]:
        """The registry's own lines that are new, in their order."""
        for path, start in self._parts():
            for line in self._read(path, start):
                yield line

    def _parts(self) -> List[Tuple[str, int]]:
        """The files with something new, oldest first, and where that begins."""
        present = []
        for path in (self.path + ".2", self.path + ".1", self.path):
            try:
                status = os.stat(path)
            except OSError:
                continue
            present.append((path, status.st_ino, status.st_size))
        if self.position is None:
            return [(path, 0) for path, _, _ in present]
        for index, (path, inode, size) in enumerate(present):
            if inode == self.position.inode:
                # A file that became shorter was emptied and begins anew.
                start = self.position.offset if size >= self.position.offset else 0
                begun = [(path, start)] if size != start else []
                return begun + [(later, 0) for later, _, _ in present[index + 1 :]]
        return [(path, 0) for path, _, _ in present]

    def _read(self, path: str, start: int) -> Iterator[str]:
        try:
            stream = open(path, "rb")  # noqa: SIM115 - it may be gone, and what comes below must not be caught
        except OSError:
            return
        with stream:
            inode = os.fstat(stream.fileno()).st_ino
            stream.seek(start)
            offset, rest = start, b""
            while True:
                piece = stream.read(self.READ_AT_ONCE)
                if not piece:
                    break
                whole, newline, rest = (rest + piece).rpartition(b"\n")
                if not newline:
                    continue
                for line in whole.split(b"\n"):
                    text = _text(line)
                    if text is not None:
                        yield text
                offset += len(whole) + 1
                self.position = Position(inode, offset)
            # Half a line is read again when it is whole.
            self.position = Position(inode, offset)


def _text(line: bytes) -> Optional[str]:
    """A registry's line out of Docker's JSON around it."""
    if b"http.response.status=" not in line:
        return None
    try:
        text = json.loads(line.decode("utf-8", "replace"))["log"]
    except (ValueError, KeyError, TypeError):
        return None
    # Docker cuts what is longer than 16 KiB, quotes or not: then a client's text would read as fields.
    return text if isinstance(text, str) and text.endswith("\n") else None
