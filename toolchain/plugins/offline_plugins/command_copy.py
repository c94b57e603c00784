"""`command:remote:CopyToRemote`: a file, text or directory copied to a host, as pulumi-command 1.2.1 does.

Where things go, by what stands at `remotePath`:

| source | an existing directory | nothing | an existing file |
|---|---|---|---|
| directory | remotePath/name | remotePath/name | error |
| directory with a trailing slash | its entries in remotePath | its entries in remotePath | error |
| file | remotePath/name | remotePath | overwritten |
| text | error | remotePath | overwritten |

Missing parent directories are made; archives are copied as they are. Each file is written beside its place
and moved there when it is complete, so that an interrupted copy leaves the old file. (The official plugin
writes in place.) Nothing is deleted, and nothing is read back.
"""

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from offline_plugins.command_login import Login, logged_in
from offline_plugins.command_spec import CONNECTION, TRIGGERS
from offline_plugins.handler import Call, Created, OperationError, Outputs, Plain, ResourceHandler
from offline_plugins.spec import AssetOrArchive, Field, Problem, Spec, Text
from offline_plugins.values import Archive, Asset, Properties, reveal

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPClient


class CopyToRemote(ResourceHandler):
    """A copy of a local file, text or directory on a host."""

    spec = Spec(
        "command:remote:CopyToRemote",
        {
            "connection": CONNECTION,
            "remotePath": Field(Text(), required=True),
            "source": Field(AssetOrArchive(), required=True),
            "triggers": TRIGGERS,
        },
    )

    def validate(self, inputs: Properties, old_inputs: Properties) -> list[Problem]:
        """Only paths and texts can be copied."""
        source = reveal(inputs["source"])
        if isinstance(source, Asset) and source.uri:
            return [Problem(("source",), "asset must be a path-based file asset or a text asset")]
        if isinstance(source, Archive) and not source.path:
            return [Problem(("source",), "archive must be a path to a file or directory")]
        return []

    async def create(self, call: Call, inputs: Plain) -> Created:
        """Copy."""
        await _copy(call, inputs)
        return Created(secrets.token_hex(4))

    async def update(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Outputs:
        """Copy again if the content or its place changed; a changed connection alone copies nothing."""
        same_content = inputs["source"].hash == state["source"].hash
        if not (same_content and inputs["remotePath"] == state["remotePath"]):
            await _copy(call, inputs)
        return {}


async def _copy(call: Call, inputs: Plain) -> None:
    import asyncssh

    source: Asset | Archive = inputs["source"]
    target = PurePosixPath(inputs["remotePath"])
    async with logged_in(Login.of(inputs["connection"]), call.log) as connection:
        try:
            async with connection.start_sftp_client() as sftp:
                if isinstance(source, Asset) and source.text is not None:
                    await _copy_text(sftp, source.text, target)
                else:
                    await _copy_path(sftp, source.path, target)
        except (asyncssh.SFTPError, asyncssh.Error) as error:
            raise OperationError(f"failed to copy to remote path {target}: {error.reason}") from error
        except OSError as error:
            raise OperationError(f"failed to read {source.path}: {error.strerror}") from error


async def _copy_text(sftp: "SFTPClient", text: str, target: PurePosixPath) -> None:
    if await sftp.isdir(str(target)):
        raise OperationError(
            f"remote path {target} is a directory; when using a text asset, remotePath must be a file path"
        )
    await _write(sftp, target, text.encode())


async def _copy_path(sftp: "SFTPClient", source: str, target: PurePosixPath) -> None:
    path = Path(source)
    entries = await asyncio.to_thread(_entries, path)
    if not entries[0].is_directory:
        place = target / path.name if await sftp.isdir(str(target)) else target
        await _write(sftp, place, path)
        return
    if not source.endswith("/"):
        await _make_directory(sftp, target)
        target = target / path.name
    for entry in entries:
        place = target / entry.path.relative_to(path).as_posix()
        if entry.is_directory:
            await _make_directory(sftp, place)
        else:
            await _write(sftp, place, entry.path)


@dataclass(frozen=True)
class _Entry:
    """A local file, or a directory, which stands before what is in it."""

    path: Path
    is_directory: bool


def _entries(path: Path) -> list[_Entry]:
    """The path itself and everything below it; symbolic links to directories are not followed below it."""
    found = [_Entry(path, path.is_dir())]
    if found[0].is_directory:
        for below in sorted(path.iterdir()):
            if not (below.is_symlink() and below.is_dir()):
                found += _entries(below)
    return found


async def _make_directory(sftp: "SFTPClient", place: PurePosixPath) -> None:
    if await sftp.exists(str(place)) and not await sftp.isdir(str(place)):
        raise OperationError(f"remote path {place} exists but is not a directory")
    await sftp.makedirs(str(place), exist_ok=True)


async def _write(sftp: "SFTPClient", target: PurePosixPath, content: bytes | Path) -> None:
    """Put one file in place; an existing one keeps its mode and owner, and a symbolic link stays one."""
    existing = await _attributes(sftp, target)
    place = PurePosixPath(await sftp.realpath(str(target))) if existing else target
    await sftp.makedirs(str(place.parent), exist_ok=True)
    unfinished = str(place.with_name(f".{place.name}.{secrets.token_hex(4)}.part"))
    try:
        if isinstance(content, Path):
            await sftp.put(str(content), unfinished)
        else:
            async with sftp.open(unfinished, "wb") as file:
                await file.write(content)
        if existing is not None:
            await sftp.setstat(unfinished, existing)
        await sftp.posix_rename(unfinished, str(place))
    except BaseException:
        with suppress(Exception):
            await sftp.remove(unfinished)
        raise


async def _attributes(sftp: "SFTPClient", place: PurePosixPath) -> "SFTPAttrs | None":
    """Mode and owner of an existing file, in the form in which they are set on another."""
    import asyncssh

    try:
        found = await sftp.stat(str(place))
    except asyncssh.SFTPNoSuchFile:
        return None
    permissions = None if found.permissions is None else found.permissions & 0o7777
    return asyncssh.SFTPAttrs(permissions=permissions, uid=found.uid, gid=found.gid)
