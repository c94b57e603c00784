"""The settings that a registry knows: everything else it ignores, and so does nothing.

From docs/content/about/configuration.md (3.x) and docs/configuration.md (2.x) of
github.com/distribution/distribution. A branch that ends in None takes any keys below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Tree = Mapping[str, "Tree | None"]

_LEAF: Tree = {}
_ANY: None = None


def _leaves(*names: str) -> dict[str, Tree | None]:
    return dict.fromkeys(names, _LEAF)


KNOWN: Tree = {
    "version": _LEAF,
    "loglevel": _LEAF,
    "log": {
        **_leaves("level", "formatter", "reportcaller"),
        "accesslog": _leaves("disabled"),
        "fields": _ANY,
        "hooks": _ANY,
    },
    "storage": {
        "filesystem": _leaves("rootdirectory", "maxthreads"),
        "delete": _leaves("enabled"),
        "redirect": _leaves("disable"),
        "tag": _leaves("concurrencylimit"),
        "cache": _leaves("blobdescriptor", "blobdescriptorsize", "layerinfo"),
        "maintenance": {
            "uploadpurging": _leaves("enabled", "age", "interval", "dryrun"),
            "readonly": _leaves("enabled"),
        },
        **dict.fromkeys(("azure", "gcs", "s3", "s3aws", "s3goamz", "swift", "oss", "inmemory", "cos"), _ANY),
    },
    "auth": _ANY,
    "middleware": _ANY,
    "reporting": _ANY,
    "http": {
        **_leaves("addr", "net", "prefix", "host", "secret", "relativeurls", "draintimeout"),
        "tls": {
            **_leaves("certificate", "key", "clientcas", "clientauth", "minimumtls", "ciphersuites"),
            "letsencrypt": _ANY,
        },
        "debug": {**_leaves("addr"), "prometheus": _leaves("enabled", "path")},
        "headers": _ANY,
        "http2": _leaves("disabled"),
        "h2c": _leaves("enabled"),
    },
    "notifications": _ANY,
    "redis": _ANY,
    "health": _ANY,
    "proxy": {
        **_leaves("remoteurl", "username", "password", "ttl"),
        "exec": _leaves("command", "lifetime"),
    },
    "compatibility": _ANY,
    "validation": _ANY,
    "policy": _ANY,
    "catalog": _leaves("maxentries"),
}


def is_known(path: Sequence[str]) -> bool:
    """Whether a registry, of version 2 or 3, has a setting at this path (or one above or below it)."""
    level: Tree | None = KNOWN
    for part in path:
        if level is None:
            return True
        if part not in level:
            return False
        level = level[part]
    return True
