"""Files, texts and directories copied to a host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.preview.command_program import COPY, CommandStack, resource
from tests.preview.loopback_sshd import LoopbackSshd
from tests.pulumi_project import Project


@pytest.fixture
def stack(pulumi_project: Callable[..., Project]) -> CommandStack:
    return CommandStack(pulumi_project)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    (directory / "below").mkdir(parents=True)
    (directory / "one").write_bytes(bytes(range(256)) * 4096)
    (directory / "below" / "two").write_text("two")
    return directory


def tree(directory: Path) -> dict[str, bytes]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def test_a_file_is_copied_byte_for_byte_into_parents_that_are_made(
    stack: CommandStack, sshd: LoopbackSshd, source: Path, tmp_path: Path
) -> None:
    place = tmp_path / "new" / "place"
    stack.up(
        resource(
            COPY,
            "a",
            connection=sshd.connection(),
            source={"$file": str(source / "one")},
            remotePath=str(place),
        )
    )
    assert place.read_bytes() == (source / "one").read_bytes()
    assert [path.name for path in place.parent.iterdir()] == ["place"], "nothing unfinished stays beside it"


def test_a_file_goes_into_a_directory_that_is_there(
    stack: CommandStack, sshd: LoopbackSshd, source: Path, tmp_path: Path
) -> None:
    place = tmp_path / "there"
    place.mkdir()
    stack.up(
        resource(
            COPY,
            "a",
            connection=sshd.connection(),
            source={"$file": str(source / "one")},
            remotePath=str(place),
        )
    )
    assert list(tree(place)) == ["one"]


def test_an_overwritten_file_keeps_its_mode_and_its_links(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    place, link = tmp_path / "place", tmp_path / "link"
    place.write_text("before")
    place.chmod(0o640)
    link.symlink_to(place)
    stack.up(
        resource(COPY, "a", connection=sshd.connection(), source={"$text": "after"}, remotePath=str(link))
    )
    assert (place.read_text(), place.stat().st_mode & 0o777, link.is_symlink()) == ("after", 0o640, True)


@pytest.mark.parametrize("exists", [True, False])
def test_a_directory_is_copied_under_its_name(
    stack: CommandStack, sshd: LoopbackSshd, source: Path, tmp_path: Path, exists: bool
) -> None:
    place = tmp_path / "place"
    if exists:
        place.mkdir()
    stack.up(
        resource(
            COPY, "a", connection=sshd.connection(), source={"$directory": str(source)}, remotePath=str(place)
        )
    )
    assert tree(place) == {f"source/{name}": content for name, content in tree(source).items()}


def test_a_directory_with_a_trailing_slash_gives_its_entries(
    stack: CommandStack, sshd: LoopbackSshd, source: Path, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    stack.up(
        resource(
            COPY,
            "a",
            connection=sshd.connection(),
            source={"$directory": f"{source}/"},
            remotePath=str(place),
        )
    )
    assert tree(place) == tree(source)


def test_a_directory_does_not_go_where_a_file_is(
    stack: CommandStack, sshd: LoopbackSshd, source: Path, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.write_text("a file")
    text = stack.failing_up(
        resource(
            COPY, "a", connection=sshd.connection(), source={"$directory": str(source)}, remotePath=str(place)
        )
    )
    assert f"remote path {place} exists but is not a directory" in text


def test_a_text_does_not_go_where_a_directory_is(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    text = stack.failing_up(
        resource(COPY, "a", connection=sshd.connection(), source={"$text": "x"}, remotePath=str(tmp_path))
    )
    assert "is a directory; when using a text asset, remotePath must be a file path" in text


def test_only_changed_content_is_copied_again(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    file, place = tmp_path / "file", tmp_path / "place"
    copy = resource(
        COPY, "a", connection=sshd.connection(), source={"$file": str(file)}, remotePath=str(place)
    )
    file.write_text("1")
    stack.up(copy)
    assert {step["op"] for step in stack.project.planned()} == {"same"}
    file.write_text("2")
    (step,) = [step for step in stack.project.planned() if "::a" in step["urn"]]
    assert (step["op"], list(step["detailedDiff"])) == ("update", ["source"])
    stack.up(copy)
    assert place.read_text() == "2"
    place.write_text("by hand")
    other_login = resource(
        COPY,
        "a",
        connection=sshd.connection(perDialTimeout=20),
        source={"$file": str(file)},
        remotePath=str(place),
    )
    stack.up(other_login)
    assert place.read_text() == "by hand", "as the official plugin: a changed connection alone copies nothing"
    stack.project.destroy()
    assert place.exists(), "a copy is not removed from the host"


def test_a_place_that_cannot_be_written_is_named_and_leaves_nothing(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no directory")
    place = tmp_path / "file" / "place"
    text = stack.failing_up(
        resource(COPY, "a", connection=sshd.connection(), source={"$text": "x"}, remotePath=str(place))
    )
    assert f"failed to copy to remote path {place}" in text
    with pytest.raises(KeyError):
        stack.state("a")
