#!/usr/bin/python3
"""Hands out tokens as ghcr.io does: to everybody for public images, to who logs in for private ones too.

The protocol: https://distribution.github.io/distribution/spec/auth/token/. Who may log in stands in
/etc/lab/accounts.json, which is read anew for each request.
"""

import base64
import binascii
import json
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jwt  # type: ignore[import-not-found]  # of the upstream's image, not of this machine
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

SERVICE = "ghcr.io"
PUBLIC = {"acme/tool"}
SECONDS = 300
PLACE = Path("/etc/lab")
KEY = (PLACE / "token.key").read_text()
CERTIFICATE = x509.load_pem_x509_certificate((PLACE / "token.crt").read_bytes()).public_bytes(Encoding.DER)


class WrongLogin(Exception):
    """A login that is not among the accounts."""


def user_of(authorization: str | None) -> str:
    """Who asks, empty for nobody in particular."""
    if authorization is None:
        return ""
    scheme, _, encoded = authorization.partition(" ")
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError):
        raise WrongLogin from None
    accounts = json.loads((PLACE / "accounts.json").read_text())
    if scheme.lower() != "basic" or accounts.get(name) != password:
        raise WrongLogin
    return name


def token(user: str, scopes: list[str]) -> str:
    """A signed token for those of the scopes that `user` may have."""
    access: list[dict[str, object]] = []
    for scope in scopes:
        kind, name, actions = [*scope.split(":"), "", ""][:3]
        granted = ["pull"] if user or name in PUBLIC else []
        if kind == "repository" and "pull" in actions.split(",") and granted:
            access.append({"type": kind, "name": name, "actions": granted})
    now = int(time.time())
    claims: dict[str, object] = {"iss": SERVICE, "sub": user, "aud": SERVICE, "jti": uuid.uuid4().hex}
    claims |= {"access": access, "iat": now, "nbf": now - 10, "exp": now + SECONDS}
    signed: str = jwt.encode(claims, KEY, "ES256", {"x5c": [base64.b64encode(CERTIFICATE).decode()]})
    return signed


class Tokens(BaseHTTPRequestHandler):
    """GET /token?service=…&scope=repository:NAME:pull."""

    def do_GET(self) -> None:
        """The one request there is."""
        scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
        try:
            user = user_of(self.headers["Authorization"])
        except WrongLogin:
            refusal = {"code": "UNAUTHORIZED", "message": "incorrect username or password"}
            self._answer(401, {"errors": [refusal]})
            return
        self._answer(200, {"token": token(user, " ".join(scopes).split()), "expires_in": SECONDS})

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The front writes down every request."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 5010), Tokens).serve_forever()
