"""Asks one upstream as a cache would, and says what keeps it from serving."""

import base64
import http.client
import re
import socket
import ssl
from typing import Any, Dict, NamedTuple, Optional, Tuple
from urllib.parse import quote, urlencode, urlsplit

from .way import SECONDS, Response, Way

LONGEST_DETAIL = 200
KINDS = ("rate_limited", "unauthorized", "unreachable", "tls", "server_error", "other")
"""Of refusals, as the collector counts them too."""

HUB = "registry-1.docker.io"
HUB_MANIFEST = "ratelimitpreview/test/manifests/latest"
"""Of Docker's own image for this question: a HEAD of it tells the limit and does not count
(https://docs.docker.com/docker-hub/usage/pulls/)."""

NO_SUCH_IMAGE = (401, 403, 404)
"""What an image that is gone or private by now is answered with: the registry may be well all the same."""

MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


Limits = Tuple[Optional[int], Optional[int]]
"""How many pulls there are in one window, and how many are left."""


class Upstream(NamedTuple):
    """A registry, and the login of its cache there.

    ``manifest`` is one that the cache fetched from it (`NAME/manifests/TAG`): a registry may refuse
    manifests, with 429 above all, and go on to answer at /v2/; its cache says "not found" then.
    """

    name: str
    url: str
    username: Optional[str]
    password: Optional[str]
    ca: Optional[str]
    manifest: Optional[str] = None


class Finding(NamedTuple):
    """What came of asking. ``detail`` is a person's; it never holds a secret."""

    refusal: Optional[str]
    detail: str
    rate_limit: Optional[int] = None
    rate_limit_remaining: Optional[int] = None

    @property
    def up(self) -> bool:
        """Whether the upstream would serve its cache."""
        return self.refusal is None


class _Refused(Exception):
    """A server on the way said no."""

    def __init__(self, status: int, who: str) -> None:
        super().__init__(who)
        self.status = status
        self.who = who


def ask(upstream: Upstream, way: Way) -> Finding:
    """Never raises for what a network or a server can do."""
    finding = _finding(upstream, way)
    # Some of it are a server's own words, and it ends up in journals and terminals.
    told = re.sub(r"[^ -~]", "?", finding.detail.strip())
    return finding._replace(detail=told[:LONGEST_DETAIL])


def _finding(upstream: Upstream, way: Way) -> Finding:
    try:
        return _ask(upstream, way)
    except _Refused as refused:
        return Finding(_kind(refused.status), "{} answers {}".format(refused.who, refused.status))
    except (ssl.SSLError, ssl.CertificateError) as error:
        return Finding("tls", _said(error))
    except socket.timeout:
        return Finding("unreachable", "no answer within {:.0f} s".format(SECONDS))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Finding("unreachable", _said(error))


def _ask(upstream: Upstream, way: Way) -> Finding:
    limits: Limits = (None, None)
    manifest = HUB_MANIFEST if urlsplit(upstream.url).hostname == HUB else upstream.manifest
    if manifest is not None:
        try:
            response, _ = _request(upstream, way, "HEAD", "/v2/" + quote(manifest, safe="/:"))
        except _Refused as refused:
            if refused.status not in NO_SUCH_IMAGE:
                raise
        else:
            limits = _limits(response)
            if response.status not in NO_SUCH_IMAGE:
                return _judge(response, limits)
    response, token = _request(upstream, way, "GET", "/v2/")
    if limits == (None, None):
        limits = _limits(response)
    if response.status == 401 and token and not upstream.password:
        # It gives everybody a token, and wants one for an image before it says more.
        return Finding(None, "{} answers and gives tokens".format(_place(upstream.url)), *limits)
    return _judge(response, limits)


def _request(upstream: Upstream, way: Way, method: str, path: str) -> Tuple[Response, bool]:
    """The answer, and whether a token was given on the way to it."""
    url = upstream.url + path
    headers = {"Accept": MANIFESTS, "User-Agent": "registry-cache"}
    response = way.request(method, url, headers)
    # Where it was sent on to, nobody but the upstream itself says who gets its login.
    if response.status != 401 or _place(response.url) != _place(url):
        return response, False
    challenges = response.headers.get_all("WWW-Authenticate") or []
    # Of several the one for tokens: it tells a wrong login as well, and serves without one.
    for challenge in sorted(challenges, key=lambda one: not one.lower().startswith("bearer ")):
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "bearer":
            token = _token(upstream, way, dict(re.findall(r'(\w+)="?([^",]*)"?', rest)))
            authorized = dict(headers, Authorization="Bearer " + token)
            return way.request(method, url, authorized), True
        if scheme.lower() == "basic" and upstream.password:
            return way.request(method, url, dict(headers, Authorization=_basic(upstream))), False
    return response, False


def _token(upstream: Upstream, way: Way, challenge: Dict[str, str]) -> str:
    realm = challenge.pop("realm", "")
    who = urlsplit(realm).netloc
    if urlsplit(realm).scheme not in ("http", "https") or not who:
        raise ValueError("it names no server that gives tokens")
    query = {key: value for key, value in challenge.items() if key in ("service", "scope")}
    headers = {"User-Agent": "registry-cache"}
    if upstream.password:
        # Not to a server that the upstream names without encryption.
        if urlsplit(realm).scheme == "http":
            raise ValueError("it wants the login sent to {} unencrypted".format(who))
        headers["Authorization"] = _basic(upstream)
    response = way.request("GET", realm + ("&" if "?" in realm else "?") + urlencode(query), headers)
    if response.status != 200:
        raise _Refused(response.status, who)
    found = re.search(rb'"(?:token|access_token)"\s*:\s*"([^"\r\n]+)"', response.body)
    if found is None:
        raise ValueError("{} answers without a token".format(who))
    return found.group(1).decode("ascii", "replace")


def _basic(upstream: Upstream) -> str:
    login = "{}:{}".format(upstream.username or "", upstream.password)
    return "Basic " + base64.b64encode(login.encode()).decode()


def _judge(response: Response, limits: Limits) -> Finding:
    detail = "{} answers {}".format(_place(response.url), response.status)
    refusal = None if response.status == 200 else _kind(response.status)
    return Finding(refusal, detail, *limits)


def _place(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _kind(status: int) -> str:
    if status == 429:
        return "rate_limited"
    if status in (401, 403, 407):
        return "unauthorized"
    return "server_error" if status >= 500 else "other"


def _limits(response: Response) -> Limits:
    """Of `100;w=21600`, a hundred in six hours, the hundred."""
    return _leading(response.headers.get("ratelimit-limit")), _leading(
        response.headers.get("ratelimit-remaining")
    )


def _leading(value: Any) -> Optional[int]:
    found = re.match(r"\s*(\d{1,15})", value or "")
    return int(found.group(1)) if found else None


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return getattr(error, "verify_message", "") or error.reason or "the TLS handshake failed"
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
