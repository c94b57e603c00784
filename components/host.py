"""A machine reached over SSH: wait until it answers, run a script on it, keep a file."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_command as command

from components.lib import drift, ssh_options
from components.lib.drift import Verdict
from components.lib.ssh_options import Login

if TYPE_CHECKING:
    from components.observation import Observation

COMPONENTS = Path(__file__).parent
SCRIPTS = COMPONENTS / "scripts"
DAEMON_JSON = COMPONENTS / "lib" / "daemon_json.py"
ON_HOST = "/var/lib/registry-cache/scripts"
EVERY_HOST = ("on_host.sh", "leave_stamp.sh", "facts.sh", "scripts.sh", "leave.sh", "mirror_client.sh")
MIRRORS = (
    "docker_engine.sh",
    "firewall.sh",
    "openings.sh",
    "file.sh",
    "load_image.sh",
    "registry_directory.sh",
    "answers.sh",
    "ask_upstream.sh",
    "upstream_login.sh",
    "prefetch.sh",
    "sandbox.sh",
    "prober.sh",
    "exporter.sh",
    "replace_container.sh",
    "collector.sh",
    "collect_containers.sh",
)
MIRROR_PACKAGES = ("puller", "prober", "exporter", "collector")


@dataclass(frozen=True)
class HostArgs:
    """A host's name in the stack, the way in, and the further scripts that its steps will run.

    ``observation`` tells which of them have to put something right. ``packages`` are folders of Python
    beside this file, for services of ours.
    """

    name: str
    login: Login
    observation: Observation
    private_key: pulumi.Input[str] | None = field(default=None, repr=False)
    wait_seconds: int = 120
    scripts: Sequence[str] = ()
    packages: Sequence[str] = ()


class Host(pulumi.ComponentResource):
    """A host that lets us in; its steps run one after the other.

    Everything that changes the host goes through :meth:`run` or :meth:`file`, so that order,
    quoting, sudo, undo and drift are decided in one place. The scripts are sent once; a step's command
    is then one line, which is all of it that an error shows.
    """

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("registry-cache:index:Host", name, None, opts)
        self.name = args.name
        self.login = args.login
        self.connection = _connection(args)
        self._observation = args.observation
        self._marks: dict[str, pulumi.Output[int | None]] = {}
        self._sudo = "sudo -n " if args.login.needs_sudo else ""
        self._last: pulumi.Resource = self._wait(args)
        self._sent = sorted({*EVERY_HOST, *args.scripts})
        texts = {script: script_text(script) for script in self._sent} | {
            "daemon_json.py": DAEMON_JSON.read_text()
        }
        for package in args.packages:
            texts |= package_texts(package)
        leave = f"{ON_HOST}/leave.sh"
        # The names with their digests are what a preview shows of a change in here.
        names = [f"{name}@{_sha256(text)}" for name, text in sorted(texts.items())]
        unpack = f"exec {self._sudo}sh -c {shlex.quote(script_text('unpack.sh').rstrip())} unpack scripts"
        digest = _digest("scripts.sh", None)
        scripts = command.remote.Command(
            f"{self.name}-scripts",
            connection=self.connection,
            create=self.verdict("scripts").apply(
                lambda found: f"{unpack} {digest}{drift.suffix(found.mark)} {shlex.join(names)}"
            ),
            delete=f"{self._sudo}test ! -e {leave} || exec {self._sudo}bash {leave} leave - restore",
            stdin=_packed(texts),
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._last]),
        )
        self._follow_step("scripts", scripts)
        self.register_outputs({})

    def run(
        self,
        step: str,
        script: str,
        *arguments: pulumi.Input[str],
        stdin: pulumi.Input[str] = "",
        package: str | None = None,
        after: Sequence[pulumi.Resource] = (),
        parent: pulumi.Resource | None = None,
    ) -> command.remote.Command:
        """Runs a script of ``components/scripts`` as root, after this host's earlier steps.

        ``step`` names the resource (``<host>-<step>``) and the record that the undo goes by.
        ``stdin`` is what may be secret; ``arguments`` are seen in previews and process lists.
        A changed script, argument, ``stdin`` or ``package`` that it starts runs it again; a destroy
        runs its ``restore``.
        Raises ValueError for a script that the host was not given.
        """
        if script not in self._sent:
            raise ValueError(f"{script} is not among the scripts of {self.name}")
        line = f"exec {self._sudo}bash {ON_HOST}/{script} {step} {_digest(script, package)}"

        def text(values: Sequence[Any]) -> str:
            found, *words = values
            return f"{line}{drift.suffix(found.mark)} apply {shlex.join(words)}"

        undo = f"/var/lib/registry-cache/undo/{step}"
        result = command.remote.Command(
            f"{self.name}-{step}",
            connection=self.connection,
            create=pulumi.Output.all(self.verdict(step), *arguments).apply(text),
            delete=f"{self._sudo}test ! -e {undo} || exec {self._sudo}bash {undo}",
            stdin=stdin,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=parent or self, depends_on=[self._last, *after]),
        )
        self._follow_step(step, result)
        return result

    def file(
        self,
        step: str,
        path: str,
        content: pulumi.Input[str],
        *,
        mode: str = "644",
        owner: str = "root:root",
        parent: pulumi.Resource | None = None,
    ) -> command.remote.Command:
        """Keeps one file. ``mode`` is octal as for chmod, ``owner`` is ``user:group``."""
        return self.run(step, "file.sh", path, mode, owner, stdin=content, parent=parent)

    def follow(self, resource: pulumi.Resource) -> None:
        """Makes the host's next step wait for a resource that is no script."""
        self._last = resource

    def verdict(self, step: str) -> pulumi.Output[Verdict]:
        """What is to become of a step, by what was changed on the host since the last ``up``."""
        return self._observation.verdict(self.name, step)

    def keep_mark(self, step: str, resource: pulumi.Resource, mark: pulumi.Output[int | None]) -> None:
        """Has a resource tell what was changed of it on the host, and the next ``up`` know its mark.

        ``mark`` is to come from the resource's outputs: for one that this ``up`` leaves out (--target)
        they are as they were.
        """
        self._observation.tell(self.name, step, resource)
        self._marks[step] = mark

    @property
    def applied(self) -> pulumi.Output[str]:
        """The steps on this host and their marks, for the next ``up``."""
        return pulumi.Output.all(**self._marks).apply(
            lambda marks: drift.write_applied(
                {step: mark for step, mark in marks.items() if mark is not None}
            )
        )

    def _follow_step(self, step: str, result: command.remote.Command) -> None:
        self._last = result
        self.keep_mark(step, result, result.create.apply(lambda text: drift.mark_in(text or "", step)))

    @property
    def last_step(self) -> pulumi.Resource:
        """The step that everything declared so far on this host comes before or is."""
        return self._last

    def _wait(self, args: HostArgs) -> command.local.Command:
        login = args.login
        sudo = "yes" if login.needs_sudo else "no"
        way = [login.address, str(login.port), login.destination, *ssh_options.arguments(login)]
        return command.local.Command(
            f"{args.name}-wait",
            # Plugins run in the project's directory.
            create=shlex.join(
                ["bash", "components/scripts/wait.sh", args.name, str(args.wait_seconds), sudo]
            ),
            stdin="\n".join(way),
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self),
        )


@functools.cache
def script_text(name: str) -> str:
    """A script as it is sent: without comments and blank lines."""
    lines = (SCRIPTS / name).read_text().splitlines()
    return "".join(f"{line}\n" for line in lines if line.strip() and not line.lstrip().startswith("#"))


@functools.cache
def package_texts(package: str) -> Mapping[str, str]:
    """The files of a Python package by where they go beside the scripts, whole."""
    files = sorted((COMPONENTS / package).glob("*.py"))
    return {f"{package}/{file.name}": file.read_text() for file in files}


def _packed(texts: Mapping[str, str]) -> str:
    """Files as unpack.sh takes them.

    Packed, since a state has them twice for each host and is written whole at every step.
    """
    listing = "".join(f"==== {name}\n{text}" for name, text in sorted(texts.items()))
    return base64.encodebytes(gzip.compress(listing.encode(), mtime=0)).decode()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@functools.cache
def _digest(script: str, package: str | None) -> str:
    # A fix in what every script shares, or in the Python that one runs, is a change of the step too.
    parts = {name: script_text(name) for name in ("on_host.sh", "leave_stamp.sh", "facts.sh", script)}
    parts |= {name: script_text(name) for name in re.findall(r"\$SCRIPTS/(\w+\.sh)", parts[script])}
    if "daemon_json.py" in parts[script]:
        parts["daemon_json.py"] = DAEMON_JSON.read_text()
    if package is not None:
        parts |= package_texts(package)
    return _sha256("".join(parts.values()))


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
