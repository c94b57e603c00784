"""Names of images, as Docker reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:(?P<registry>{_HOST}(?::[0-9]+)?)/)?(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class ImageReference:
    """An image's full name. `tag` is None only where there is a digest."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def reference(self) -> str:
        """What a registry is asked for: the digest if there is one, else the tag."""
        return self.digest or str(self.tag)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def parse(text: str) -> ImageReference:
    """Read a name, filling in docker.io, library/ and :latest as Docker does.

    Raises ValueError. Grammar and defaults: github.com/distribution/reference, regexp.go and normalize.go.
    """
    head, slash, rest = text.partition("/")
    if slash and not (set(".:") & set(head)) and head != "localhost" and head == head.lower():
        head, slash, rest = "docker.io", "/", text
    elif not slash:
        head, rest = "docker.io", text
    if head == "index.docker.io":
        head = "docker.io"
    if head == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    match = _REFERENCE.fullmatch(f"{head}/{rest}")
    if match is None or match["registry"] is None:
        raise ValueError("not the name of an image")
    tag = match["tag"] or (None if match["digest"] else "latest")
    return ImageReference(match["registry"], match["repository"], tag, match["digest"])
