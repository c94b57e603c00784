"""Archives as `docker save` writes them."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImageArchive:
    """The one image of an archive. `image_id` is what Docker calls it after `docker load`: sha256:…"""

    tags: tuple[str, ...]
    image_id: str


def read(path: str | Path) -> ImageArchive:
    """Read which image an archive holds. Raises ValueError that says what is wrong with the file.

    The configuration's digest is recomputed, as it becomes the image's id. Format: the Docker image
    specification, github.com/moby/docker-image-spec spec.md, "Combined image JSON + filesystem changeset
    format".
    """
    try:
        size = Path(path).stat().st_size
        with tarfile.open(path, "r:") as archive:
            entries = json.loads(_member(archive, "manifest.json"))
            if not isinstance(entries, list):
                raise TypeError("manifest.json is a list")
            if len(entries) != 1:
                raise ValueError(f"holds {len(entries)} images; save one alone: docker save IMAGE -o FILE")
            config = _member(archive, entries[0]["Config"])
            digest = hashlib.sha256(config).hexdigest()
            named = re.search(r"[0-9a-f]{64}", entries[0]["Config"])
            if named is None or named[0] != digest:
                raise ValueError(
                    "is damaged: its image configuration does not have the digest it is named by"
                )
            layers = [archive.getmember(layer) for layer in entries[0]["Layers"]]
            if any(layer.offset_data + layer.size > size for layer in layers):
                raise EOFError
            return ImageArchive(tuple(entries[0].get("RepoTags") or ()), f"sha256:{digest}")
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    except (tarfile.TarError, EOFError):
        raise ValueError("is not a whole tar archive; make it with: docker save IMAGE -o FILE") from None
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError):
        raise ValueError(
            "is not what `docker save` writes (docker export and podman's OCI form are other things)"
        ) from None


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()
