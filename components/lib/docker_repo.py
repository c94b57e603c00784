"""Docker's yum repository."""

from __future__ import annotations

DISTRIBUTION = "@DISTRO@"
"""Stands where the host's script writes the distribution's path: centos or rhel."""


def render(packages: str) -> str:
    """Return docker-ce.repo for the package tree at `packages`, laid out as https://download.docker.com.

    $releasever and $basearch are for yum to fill in. Signatures are always checked, also of a mirror's
    packages.
    """
    base = f"{packages.rstrip('/')}/linux/{DISTRIBUTION}"
    return (
        "[docker-ce-stable]\n"
        "name=Docker CE Stable - $basearch\n"
        f"baseurl={base}/$releasever/$basearch/stable\n"
        "enabled=1\n"
        "gpgcheck=1\n"
        f"gpgkey={base}/gpg\n"
    )
