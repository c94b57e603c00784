"""Offline Pulumi plugins of registry-cache.

Drop-in stand-ins for the official resource plugins `command`, `docker` and `tls`, for machines that cannot
reach Pulumi's release hosts. They are not the official plugins; they speak the same provider protocol for
the resource types that registry-cache declares, under the official tokens, and refuse by name every input
that they do not carry out.

Run one as `python -m offline_plugins.command` (`.docker`, `.tls`). `handler.py` says how a resource type is
added.
"""
