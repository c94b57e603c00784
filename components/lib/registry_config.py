"""What a cache's registry is told: its config.yml, its environment, and how it logs in to its upstream.

The configuration of github.com/distribution/distribution is described in its
docs/content/about/configuration.md (3.x) and docs/configuration.md (2.x). A key that is not known there is
silently ignored, so only known ones stand here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

import yaml

PORT = 5000
DEBUG_ADDRESS = "127.0.0.1:5001"
"""Health and metrics. Never to be published: there is no access control on it."""
COUNTERS = {2: ("/debug/vars", ".vars.json"), 3: ("/metrics", ".metrics")}
"""By version: where the debug server has the registry's own counters, and the file in the data directory that
the health check leaves them in."""
DATA_IN_CONTAINER = "/var/lib/registry"
CERTIFICATE_IN_CONTAINER = "/etc/registry-cache/server.pem"
CREDENTIALS_IN_CONTAINER = "/etc/registry-cache/credentials"
UPSTREAM_CA_IN_CONTAINER = "/etc/registry-cache/trusted/upstream-ca.pem"


def slug_of(registry: str) -> str:
    """A registry's name as part of the names of steps, files and containers, which must not have a colon."""
    return registry.replace(":", "-")


def container_of(registry: str) -> str:
    """The name of a cache's container."""
    return f"registry-cache-{slug_of(registry)}"


@dataclass(frozen=True)
class CacheSettings:
    """One cache. `registry` is the name in image names, `upstream_url` where it is fetched from.

    With `tls` the
    registry serves https with the certificate chain and key in `CERTIFICATE_IN_CONTAINER`. `upstream_ca` is
    what it trusts at its upstream besides the public authorities, as PEM, in `UPSTREAM_CA_IN_CONTAINER`.
    """

    registry: str
    upstream_url: str
    major: Literal[2, 3]
    tls: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: tuple[str, ...] = ()
    upstream_ca: str | None = None


def render(cache: CacheSettings) -> str:
    """Return config.yml. It holds the password where `cache` has one and is of version 2."""
    # Deletion has to be on from the first day (distribution#4249: what expires while it is off stays for
    # ever), and there must be no storage.cache: with it, expiry next to a running registry answers 200 with
    # an empty body (#2367).
    storage: dict[str, object] = {
        "filesystem": {"rootdirectory": DATA_IN_CONTAINER},
        "delete": {"enabled": True},
        "maintenance": {
            "uploadpurging": {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False},
        },
    }
    document: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": storage,
        "http": _http(cache),
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
        "proxy": _proxy(cache),
    }
    if cache.major == 2 and cache.password is not None:
        # As JSON, which is YAML too, so that a shell can read it (ask_upstream.sh).
        login = {"username": cache.username or "", "password": cache.password}
        del document["proxy"]
        return _dump(document) + f"proxy: {json.dumps(login, ensure_ascii=False)}\n"
    return _dump(document)


def _dump(document: dict[str, object]) -> str:
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=False, allow_unicode=True)


def _http(cache: CacheSettings) -> dict[str, object]:
    http: dict[str, object] = {"addr": f":{PORT}"}
    if cache.tls:
        http["tls"] = {
            "certificate": CERTIFICATE_IN_CONTAINER,
            "key": CERTIFICATE_IN_CONTAINER,
            "minimumtls": "tls1.2",
        }
    http["debug"] = {"addr": DEBUG_ADDRESS}
    if cache.major == 3:
        http["debug"] = {"addr": DEBUG_ADDRESS, "prometheus": {"enabled": True, "path": "/metrics"}}
    return http


def _proxy(cache: CacheSettings) -> dict[str, object]:
    """The upstream's address itself is in the environment, where `docker inspect` shows it."""
    if cache.major == 3:
        # Without `exec` a registry 3 asks its upstream for a login at start, and panics if that is away
        # (registry/proxy/proxyregistry.go, configureAuth); with it, the question waits until the first fetch.
        # It lets go of nothing by itself: its expiry breaks blobs that images share and leaves others behind
        # (distribution#4249). The collector does that. Version 2 has 168h and no setting for it.
        return {"ttl": "0s", "exec": {"command": CREDENTIALS_IN_CONTAINER}}
    return {}


def credential_helper(cache: CacheSettings) -> str | None:
    """Return the program that tells a registry 3 its login, or None for version 2, which cannot run one.

    It belongs at `CREDENTIALS_IN_CONTAINER`, executable for the registry's user, and is secret where `cache`
    has a password. It speaks the protocol of github.com/docker/docker-credential-helpers; an empty login
    means that tokens are asked for anonymously.
    """
    if cache.major == 2:
        return None
    login = {"Username": cache.username or "", "Secret": cache.password or ""}
    return (
        "#!/bin/sh\n"
        "# The registry runs this to learn its login at the upstream.\n"
        f"cat <<'LOGIN'\n{json.dumps(login, ensure_ascii=False)}\nLOGIN\n"
    )


def environment(cache: CacheSettings) -> dict[str, str]:
    """Return the container's environment, which `docker inspect` shows: it holds no password.

    Raises ValueError for a value that the registry, which parses REGISTRY_… as YAML, would read as something
    else.
    """
    values = {"REGISTRY_PROXY_REMOTEURL": cache.upstream_url}
    if cache.major == 3:
        # Else it looks for a collector at localhost:4318 and logs that there is none (tracing/tracing.go).
        values["OTEL_TRACES_EXPORTER"] = "none"
    for name, value in values.items():
        if _read_as_yaml(value) != value:
            raise ValueError(f"{name}: the registry would not read {value!r} as it stands")
    if cache.http_proxy:
        values["HTTP_PROXY"] = cache.http_proxy
    if cache.https_proxy:
        values["HTTPS_PROXY"] = cache.https_proxy
    if cache.no_proxy:
        values["NO_PROXY"] = ",".join(cache.no_proxy)
    if cache.upstream_ca is not None:
        # Go's crypto/x509 reads all of these folders, and the image's own bundle as well (root_unix.go).
        values["SSL_CERT_DIR"] = f"/etc/ssl/certs:{UPSTREAM_CA_IN_CONTAINER.rpartition('/')[0]}"
    return values


def _read_as_yaml(value: str) -> object:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return None
