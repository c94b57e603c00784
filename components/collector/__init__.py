"""Keeps a mirror's caches within their size while they serve: what systemd runs on the mirrors.

Runs on Python 3.6 and later with nothing but the standard library, as `python3 -m collector` from the folder
that has this one in it. The names of a registry's files are those of distribution's storage layout
(registry/storage/paths.go).
"""
