"""The way to a Docker engine: a local socket, or a socket on a host behind one ssh.

The Docker SDK's own ssh transport ignores ssh options and starts one ssh for each request. So there is one
`ssh -L local.sock:/var/run/docker.sock` for each provider, with the provider's `sshOpts`. It is opened by the
first operation that needs it: a preview that creates things needs no host. The official plugin runs `docker
system dial-stdio` on the host for each operation instead; both need OpenSSH here and a user there who may use
Docker's socket.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from offline_plugins.handler import OperationError

if TYPE_CHECKING:
    from docker import APIClient

Result = TypeVar("Result")

LOCAL_SOCKET = "unix:///var/run/docker.sock"
_REMOTE_SOCKET = "/var/run/docker.sock"
_CONNECT_SECONDS = 30
"""How long ssh may take to connect, as with the official plugin."""
_OPEN_SECONDS = 60
"""How long the tunnel may take to open: connecting, logging in, forwarding."""
_ANSWER_SECONDS = 300
"""How long the engine may be silent within one request; extracting a large layer is silent for long."""
_POLL_SECONDS = 0.02
_SHOWN_LINES = 8


@dataclass(frozen=True)
class EngineAddress:
    """Where a Docker engine is: `unix://…`, `tcp://…` or `ssh://[user@]host[:port]`, and options for ssh."""

    url: str = LOCAL_SOCKET
    ssh_options: tuple[str, ...] = ()

    @property
    def over_ssh(self) -> bool:
        """Whether the engine is reached through ssh."""
        return self.url.startswith("ssh://")

    def problem(self) -> str | None:
        """What is wrong with the address, if anything."""
        parts = urlsplit(self.url)
        try:
            port_is_valid = parts.port != 0
        except ValueError:
            port_is_valid = False
        if parts.scheme not in ("unix", "tcp", "ssh"):
            return f"'host' is '{self.url}'; it must begin with ssh://, unix:// or tcp://"
        if parts.scheme == "ssh" and (not parts.hostname or parts.hostname.startswith("-")):
            return f"'host' is '{self.url}'; it must be like ssh://user@host:22"
        if parts.scheme == "ssh" and (parts.password or not port_is_valid or parts.path not in ("", "/")):
            return f"'host' is '{parts.scheme}://…@{parts.hostname}'; it must be like ssh://user@host:22"
        return None

    def ssh_command(self, socket: Path) -> list[str]:
        """The ssh that forwards `socket` to the engine's socket on the host."""
        parts = urlsplit(self.url)
        login = ["-l", parts.username] if parts.username else []
        port = ["-p", str(parts.port)] if parts.port else []
        # ssh takes the first value of an option: these hold whatever sshOpts says, so that the tunnel is a
        # connection of its own, which ends with the plugin, and asks nobody anything
        own = [
            *("-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "BatchMode=yes"),
            *("-o", "ExitOnForwardFailure=yes", "-o", "StreamLocalBindUnlink=yes"),
        ]
        later = ["-o", f"ConnectTimeout={_CONNECT_SECONDS}", "-o", "ServerAliveInterval=15"]
        forward = ["-L", f"{socket}:{_REMOTE_SOCKET}"]
        return [
            "ssh",
            "-nNT",
            *own,
            *self.ssh_options,
            *later,
            *login,
            *port,
            *forward,
            "--",
            str(parts.hostname),
        ]


class SshTunnel:
    """A local socket that ssh forwards to the engine's on a host."""

    def __init__(self, address: EngineAddress) -> None:
        self._address = address
        self._directory = Path(tempfile.mkdtemp(prefix="docker-ssh-"))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def socket(self) -> Path:
        """The local end."""
        return self._directory / "engine.sock"

    @property
    def alive(self) -> bool:
        """Whether ssh still runs."""
        return self._process is not None and self._process.returncode is None

    async def open(self) -> None:
        """Start ssh and wait until it forwards; OperationError with what ssh said."""
        with (self._directory / "said").open("wb") as said:
            self._process = await asyncio.create_subprocess_exec(
                *self._address.ssh_command(self.socket),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=said,
            )
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                while not self.socket.exists():
                    if not self.alive:
                        raise OperationError(f"ssh to {self._address.url} failed: {self.said()}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise OperationError(
                f"ssh to {self._address.url} did not connect within {_OPEN_SECONDS} s: {self.said()}"
            ) from None

    def said(self) -> str:
        """The last lines that ssh wrote."""
        text = (self._directory / "said").read_text(errors="replace").strip()
        return "\n".join(text.splitlines()[-_SHOWN_LINES:]) or "ssh said nothing"

    async def close(self) -> None:
        """End ssh and remove the socket."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


class Engine:
    """The Docker engine of one provider; connects at the first use, and again when the connection is lost."""

    def __init__(self) -> None:
        self._address = EngineAddress()
        self._tunnel: SshTunnel | None = None
        self._client: APIClient | None = None
        self._opening = asyncio.Lock()

    def configure(self, url: str, ssh_options: Sequence[str]) -> None:
        """Say where the engine is; OperationError for an address that cannot be one."""
        address = EngineAddress(url, tuple(ssh_options))
        if problem := address.problem():
            raise OperationError(problem)
        self._address = address

    async def close(self) -> None:
        """Give the connection up."""
        tunnel, self._tunnel, self._client = self._tunnel, None, None
        if tunnel is not None:
            await tunnel.close()

    async def run(self, work: Callable[["APIClient"], Result]) -> Result:
        """Run blocking work with the engine's API in a thread, and turn its errors into OperationError.

        Work that is cancelled goes on unseen: it must leave nothing that the state has to know of.
        """
        client = await self._connected()
        return await asyncio.to_thread(self._with_shown_errors, partial(work, client))

    async def run_to_the_end(self, work: Callable[["APIClient"], Result]) -> Result:
        """As `run`, for work that must not be left half-way: a cancellation while it runs is let pass."""
        client = await self._connected()
        running = asyncio.create_task(asyncio.to_thread(self._with_shown_errors, partial(work, client)))
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        return running.result()

    async def _connected(self) -> "APIClient":
        async with self._opening:
            if self._client is not None and (self._tunnel is None or self._tunnel.alive):
                return self._client
            await self.close()
            base_url = self._address.url
            if self._address.over_ssh:
                self._tunnel = SshTunnel(self._address)
                await self._tunnel.open()
                base_url = f"unix://{self._tunnel.socket}"
            self._client = await asyncio.to_thread(
                self._with_shown_errors, partial(self._new_client, base_url)
            )
            return self._client

    def _new_client(self, base_url: str) -> "APIClient":
        from docker import APIClient

        return APIClient(base_url=base_url, version="auto", timeout=_ANSWER_SECONDS)

    def _with_shown_errors(self, work: Callable[[], Result]) -> Result:
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException

        try:
            return work()
        except APIError as error:
            raise OperationError(str(error.explanation or error)) from None
        except (DockerException, RequestException) as error:
            said = f" (ssh said: {self._tunnel.said()})" if self._tunnel is not None else ""
            raise OperationError(
                f"Docker on {self._address.url} does not answer: {error}{said}. Is it installed and running"
                " there, and may this user use its socket?"
            ) from None
