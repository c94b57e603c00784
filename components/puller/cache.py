"""Reading from a cache on this host, with what its upstream says where the cache gives nothing."""

import contextlib
import hashlib
import http.client
import os
import re
import socket
import ssl
import subprocess
import time
from typing import Any, Callable, List, NamedTuple, Tuple
from urllib.parse import urlsplit

PATIENCE = 300.0
"""Seconds without a byte: what is not cached yet comes as fast as the upstream gives it."""
CHUNK = 1 << 20
HOPELESS = ("absent", "unauthorized", "tls")
"""Answers of an upstream that are the same a moment later."""


class NotServed(Exception):
    """What a cache does not give; the text says why, by its upstream's own words where it has some."""


class _Failed(Exception):
    """One try that may go better the next time."""


class Cache(NamedTuple):
    """A cache's address for its clients, its container, and where it fetches from."""

    url: str
    container: str
    upstream: str


class CachedRegistry:
    """A registry, as a cache of it on this host serves it. ``ca`` is PEM, or empty."""

    def __init__(self, name: str, cache: Cache, ca: str, tries: int) -> None:
        self._name = name
        self._cache = cache
        self._tries = tries
        self._url = urlsplit(cache.url)
        self._trusted = ssl.create_default_context(cadata=ca or None)

    def read(
        self, path: str, accept: Tuple[str, ...], keep: Callable[[bytes], Any], asked: Tuple[str, str]
    ) -> int:
        """Reads an answer to its end and checks its digest; its length.

        ``keep`` gets what came, once all of it is right. The upstream is asked about ``asked``, a
        repository and a reference, where the cache does not serve.
        """
        for failures in range(1, self._tries + 1):
            chunks: List[bytes] = []
            try:
                length = self._read_once(path, accept, chunks.append if accept else keep)
            except _Failed as failed:
                kind, said = self._upstreams_word(*asked)
                if kind in HOPELESS or failures == self._tries:
                    raise NotServed(said or str(failed)) from None
                time.sleep(2.0 ** (failures - 1))
            else:
                for chunk in chunks:
                    keep(chunk)
                return length
        raise NotServed("nobody tried")

    def _read_once(self, path: str, accept: Tuple[str, ...], keep: Callable[[bytes], Any]) -> int:
        summed, length = hashlib.sha256(), 0
        try:
            with contextlib.closing(self._connection()) as connection:
                connection.request("GET", path, headers={"Accept": ", ".join(accept)} if accept else {})
                answer = connection.getresponse()
                if answer.status != 200:
                    raise _Failed("its cache answers {}".format(answer.status))
                # Whole, though nobody looks at it: a registry keeps nothing of what its client breaks off.
                for chunk in iter(lambda: answer.read(CHUNK), b""):
                    summed.update(chunk)
                    length += len(chunk)
                    keep(chunk)
        except (OSError, http.client.HTTPException, ssl.CertificateError) as error:
            said = str(error) or type(error).__name__
            raise _Failed("its cache {} cannot be read: {}".format(self._cache.url, said)) from None
        promised = answer.headers.get("Content-Length")
        if promised is not None and length != int(promised):
            raise _Failed("its cache breaks off after {} of {} bytes".format(length, promised))
        last = path.rpartition("/")[2]
        digest = last if ":" in last else answer.headers.get("Docker-Content-Digest")
        if digest is not None and digest != "sha256:" + summed.hexdigest():
            raise _Failed("its cache gives something else than {}".format(digest))
        return length

    def _connection(self) -> http.client.HTTPConnection:
        host, secured = self._url.hostname or "", self._url.scheme == "https"
        port = self._url.port or (443 if secured else 80)
        # The mirror's name need not resolve on the mirror.
        place = host if re.match(r"[0-9.]+$|.*:", host) else "127.0.0.1"
        connection = socket.create_connection((place, port), PATIENCE)
        client = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        client.sock = self._trusted.wrap_socket(connection, server_hostname=host) if secured else connection
        return client

    def _upstreams_word(self, repository: str, reference: str) -> Tuple[str, str]:
        """The kind of answer that the upstream gives, and that in words; both empty where it would serve."""
        script = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "ask_upstream.sh")
        question = [script, self._cache.container, self._cache.upstream, repository, reference]
        done = subprocess.run(
            ["bash"] + question, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        kind, _, what = done.stdout.decode("utf-8", "replace").strip().partition(" ")
        if kind in ("", "ok"):
            return "", ""
        if kind == "absent":
            return kind, "{} has no such image".format(self._name)
        return kind, "{} does not give it, {}: {}".format(self._name, kind.replace("_", " "), what)
