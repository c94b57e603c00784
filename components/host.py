"""A machine reached over SSH: run a script on it, keep a file, wait until it answers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_command as command

from components.lib import ssh_options
from components.lib.ssh_options import Login

SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True)
class HostArgs:
    """A host's name in the stack and the way in."""

    name: str
    login: Login
    private_key: pulumi.Input[str] | None = field(default=None, repr=False)
    wait_seconds: int = 120


class Host(pulumi.ComponentResource):
    """A host that lets us in; its steps run one after the other.

    Everything that changes the host goes through :meth:`run` or :meth:`file`, so that order,
    quoting, sudo and undo are decided in one place.
    """

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("registry-cache:index:Host", name, None, opts)
        self.name = args.name
        self.login = args.login
        self.connection = _connection(args)
        login = args.login
        self.waited = command.local.Command(
            f"{args.name}-wait",
            create=shlex.join(
                [
                    *("bash", "-c", script_text("wait.sh"), "wait"),
                    *(args.name, login.address, str(login.port), str(args.wait_seconds)),
                    *("yes" if login.needs_sudo else "no", login.destination),
                    *ssh_options.arguments(login),
                ]
            ),
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._last: pulumi.Resource = self.waited
        self.register_outputs({})

    def run(
        self,
        step: str,
        script: str,
        *arguments: pulumi.Input[str],
        stdin: pulumi.Input[str] = "",
        after: Sequence[pulumi.Resource] = (),
        parent: pulumi.Resource | None = None,
    ) -> command.remote.Command:
        """Runs a script of ``components/scripts`` as root, after this host's earlier steps.

        ``step`` names the resource (``<host>-<step>``) and the record that the undo goes by.
        ``stdin`` is what may be secret; ``arguments`` are seen in previews and process lists.
        A changed script, argument or ``stdin`` runs it again; a destroy runs its ``restore``.
        """
        text = script_text(script)
        sudo = "sudo -n " if self.login.needs_sudo else ""

        def create(values: Sequence[str]) -> str:
            return f"exec {sudo}bash -c {shlex.quote(text)} {step} apply {shlex.join(values)}".rstrip()

        undo = f"/var/lib/registry-cache/undo/{step}"
        result = command.remote.Command(
            f"{self.name}-{step}",
            connection=self.connection,
            create=pulumi.Output.all(*arguments).apply(create) if arguments else create(()),
            delete=f"{sudo}test ! -e {undo} || exec {sudo}bash {undo}",
            stdin=stdin,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=parent or self, depends_on=[self._last, *after]),
        )
        self._last = result
        return result

    def file(
        self,
        step: str,
        path: str,
        content: pulumi.Input[str],
        *,
        mode: str = "644",
        owner: str = "root:root",
        after: Sequence[pulumi.Resource] = (),
        parent: pulumi.Resource | None = None,
    ) -> command.remote.Command:
        """Keeps one file. ``mode`` is octal as for chmod, ``owner`` is ``user:group``."""
        return self.run(step, "file.sh", path, mode, owner, stdin=content, after=after, parent=parent)

    def follow(self, resource: pulumi.Resource) -> None:
        """Makes the host's next step wait for a resource that is no script."""
        self._last = resource

    @property
    def last_step(self) -> pulumi.Resource:
        """The step that everything declared so far on this host comes before or is."""
        return self._last


def script_text(name: str) -> str:
    """A script as it is sent: with ``on_host.sh`` in place of its source line, without comments."""
    lines = (SCRIPTS / name).read_text().splitlines()
    prelude = (SCRIPTS / "on_host.sh").read_text().splitlines()
    whole = [part for line in lines for part in (prelude if line == ". on_host.sh" else [line])]
    return "\n".join(line for line in whole if line.strip() and not line.lstrip().startswith("#")) + "\n"


def _connection(args: HostArgs) -> command.remote.ConnectionArgs:
    login = args.login
    jump = login.jump
    return command.remote.ConnectionArgs(
        host=login.address,
        port=login.port,
        user=login.user,
        host_key=login.host_key,
        private_key=args.private_key,
        # The host has let us in a moment ago: more than a few errors mean something new.
        dial_error_limit=5,
        proxy=None
        if jump is None
        else command.remote.ProxyConnectionArgs(
            host=jump.address,
            port=jump.port,
            user=jump.user,
            host_key=jump.host_key,
            private_key=args.private_key,
        ),
    )
