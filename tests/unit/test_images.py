"""Names of images as Docker reads them, and archives of images."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from components.lib import image_archive, image_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4

NAMES = [
    ("hello-world", "docker.io/library/hello-world:latest"),
    ("nginx:1.29-alpine", "docker.io/library/nginx:1.29-alpine"),
    ("bitnami/redis", "docker.io/bitnami/redis:latest"),
    ("docker.io/nginx", "docker.io/library/nginx:latest"),
    ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
    ("ghcr.io/a/b/c:1", "ghcr.io/a/b/c:1"),
    ("localhost/a", "localhost/a:latest"),
    ("m.example:5000/a:2", "m.example:5000/a:2"),
    ("[2001:db8::1]:5000/a", "[2001:db8::1]:5000/a:latest"),
    (f"registry@{DIGEST}", f"docker.io/library/registry@{DIGEST}"),
    (f"registry:3@{DIGEST}", f"docker.io/library/registry:3@{DIGEST}"),
]


@pytest.mark.parametrize(("text", "full"), NAMES)
def test_a_short_name_becomes_the_name_that_docker_means(text: str, full: str) -> None:
    parsed = image_reference.parse(text)
    assert str(parsed) == full
    assert image_reference.parse(full) == parsed


@pytest.mark.parametrize(
    "text", ["", "Nginx", "a b", "nginx:", "nginx@sha256:12", "-a", "a//b", "https://a/b", "a:b:c", "a/"]
)
def test_what_is_no_name_of_an_image_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of an image"):
        image_reference.parse(text)


def tar(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


CONFIG = b'{"architecture": "amd64", "os": "linux"}'
HEX = hashlib.sha256(CONFIG).hexdigest()


def manifest(config: str, *, count: int = 1, tags: list[str] | None = None) -> bytes:
    return json.dumps([{"Config": config, "RepoTags": tags, "Layers": ["layer.tar"]}] * count).encode()


@pytest.mark.parametrize("config", [f"{HEX}.json", f"blobs/sha256/{HEX}"], ids=["up to 24", "25 and later"])
def test_an_archive_tells_its_image_id_and_tags(config: str, tmp_path: Path) -> None:
    members = {config: CONFIG, "layer.tar": b"x", "manifest.json": manifest(config, tags=["registry:3"])}
    archive = image_archive.read(tar(tmp_path / "a.tar", members))
    assert archive == image_archive.ImageArchive(("registry:3",), f"sha256:{HEX}")


def test_an_archive_of_an_untagged_image_has_no_tags(tmp_path: Path) -> None:
    members = {f"{HEX}.json": CONFIG, "layer.tar": b"x", "manifest.json": manifest(f"{HEX}.json")}
    assert image_archive.read(tar(tmp_path / "a.tar", members)).tags == ()


@pytest.mark.parametrize(
    ("members", "phrase"),
    [
        ({"etc/passwd": b""}, "is not what `docker save` writes"),
        ({"manifest.json": b"{"}, "is not what `docker save` writes"),
        ({"manifest.json": b"{}"}, "is not what `docker save` writes"),
        ({"manifest.json": b"[{}]"}, "is not what `docker save` writes"),
        ({f"{HEX}.json": CONFIG, "manifest.json": manifest(f"{HEX}.json", count=2)}, "holds 2 images"),
        ({f"{HEX}.json": b"{}", "layer.tar": b"", "manifest.json": manifest(f"{HEX}.json")}, "is damaged"),
        ({f"{HEX}.json": CONFIG, "manifest.json": manifest(f"{HEX}.json")}, "is not what"),
    ],
)
def test_an_archive_that_cannot_be_loaded_is_told_why(
    members: Mapping[str, bytes], phrase: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=phrase):
        image_archive.read(tar(tmp_path / "a.tar", members))


def test_an_archive_cut_short_while_copying_is_refused(tmp_path: Path) -> None:
    members = {f"{HEX}.json": CONFIG, "manifest.json": manifest(f"{HEX}.json"), "layer.tar": b"x" * 20480}
    whole = tar(tmp_path / "a.tar", members)
    whole.write_bytes(whole.read_bytes()[:12000])
    with pytest.raises(ValueError, match="is not a whole tar archive"):
        image_archive.read(whole)


def test_a_file_that_is_no_archive_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("no")
    with pytest.raises(ValueError, match="is not a whole tar archive"):
        image_archive.read(tmp_path / "a.tar")
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        image_archive.read(tmp_path / "b.tar")
