"""`make new-stack NAME=office`: asks for what a stack needs, writes its file, and shows a preview.

Inside `toolchain/run`: python -m toolchain.new_stack NAME [flags]. With flags it asks nothing, for scripts;
whoever writes the file by hand needs none of this.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.prompt import Confirm, Prompt

from components import settings_types
from components.lib import ssh_keys, ssh_options
from components.lib.ssh_keys import KnownHosts
from components.lib.ssh_options import Login
from components.settings import Settings
from components.settings_errors import SettingsError
from components.stack_hosts import login_of
from toolchain import host_keys, stack_file
from toolchain.environment import stack_of
from toolchain.host_keys import NoHostKey
from toolchain.stack import CannotGoOn, Stack
from toolchain.steps import say

LOGIN_SECONDS = 15
FIRST_OTHER_PORT = 5001
Draft = dict[str, Any]
"""The stack's keys, as far as they are known."""

Judge = Callable[[str, Draft, Sequence[str]], str | None]
"""Picks the key of a host (by its title and entry) from those that it shows; None where none is right."""


@dataclass(frozen=True)
class Dialogue:
    """Questions to the person at the terminal. Every answer is checked as it will be in the stack file."""

    console: Console

    def draft(self) -> Draft:
        """Asks for all that a stack needs."""
        self._tell(
            "What is asked here can be changed in the file later. Enter takes what stands in (brackets).\n"
        )
        ssh: Draft = {
            "user": self._ask("SSH user (root, or one with sudo without a password)", "User", "root")
        }
        key = self._ask("SSH key file, or `agent`", None, "~/.ssh/id_ed25519")
        ssh |= {"agent": True} if key == "agent" else {"privateKeyFile": key}
        jump = self._ask("Jump host, as USER@ADDRESS (none)", None, "")
        if jump:
            ssh["jumpHost"] = machine(jump, named=False)
        networks = self._list(
            "Network that may reach the caches, as in 203.0.113.0/24", "Network", at_least=1
        )
        draft: Draft = {
            "ssh": ssh,
            "mirrors": self._machines("Mirror", "mirror", at_least=1),
            "clients": self._machines("Client", "client", at_least=0),
            "access": {"networks": networks},
            "upstreams": upstreams(
                ["docker.io", *self._list("Further registry to cache, as in ghcr.io", "Registry", at_least=0)]
            ),
        }
        limit = self._ask("Limit of all caches of a mirror, as in 50GiB (none)", "Size", "")
        return {**draft, "cache": {"limit": limit}} if limit else draft

    def judge(self, title: str, entry: Draft, keys: Sequence[str]) -> str | None:
        """Shows a host's key by its fingerprint and has the person confirm it."""
        kind = keys[0].split()[0]
        file = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}.get(kind, "ecdsa")
        self._tell(f"\n{title} ({entry['address']}) shows this host key, {kind}:")
        self._tell(f"    {ssh_keys.fingerprint(keys[0])}")
        self._tell(f"On the host itself: ssh-keygen -lf /etc/ssh/ssh_host_{file}_key.pub")
        right = Confirm.ask("Is it the same?", console=self.console, default=False)
        return keys[0] if right else None

    def goes_on(self, failures: Sequence[str]) -> bool:
        """Whether to write the file though logins failed."""
        self._tell("\n".join(failures))
        return Confirm.ask("Write the file all the same?", console=self.console, default=False)

    def _tell(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def _machines(self, title: str, name: str, at_least: int) -> list[Draft]:
        found: list[Draft] = []
        while True:
            end = "" if len(found) < at_least else " (no more)"
            text = self._ask(f"{title} {len(found) + 1}, as ADDRESS or NAME=USER@ADDRESS:PORT{end}", None, "")
            if not text and len(found) >= at_least:
                return found
            if text:
                found.append(machine(text, default_name=f"{name}-{len(found) + 1}"))

    def _list(self, question: str, kind: str, at_least: int) -> list[str]:
        found: list[str] = []
        while True:
            answer = self._ask(question + ("" if len(found) < at_least else " (no more)"), kind, "")
            if not answer and len(found) >= at_least:
                return found
            found += [answer] if answer else []

    def _ask(self, question: str, kind: str | None, default: str) -> str:
        """An answer that the settings' type `kind` takes, or the default."""
        while True:
            answer = Prompt.ask(question, console=self.console, default=default, show_default=bool(default))
            problem = _problem(kind, answer) if answer else None
            if problem is None:
                return answer.strip()
            self._tell(f"  That {problem}.")


@dataclass(frozen=True)
class Flags:
    """What a script hands over in place of answers: keys are right by fingerprint, else by known hosts."""

    fingerprints: Mapping[str, str]
    known_hosts: KnownHosts

    def judge(self, title: str, entry: Draft, keys: Sequence[str]) -> str | None:
        """The key whose fingerprint was given for the host's name or address, or that the file has."""
        names = [str(entry.get("name", "")), str(entry["address"])]
        given = [self.fingerprints[name] for name in names if name in self.fingerprints]
        known = self.known_hosts.key_of(str(entry["address"]), int(entry.get("port", 22)))
        if not given and known is None:
            raise CannotGoOn(
                f"nothing says which host key of {title} ({entry['address']}) is right. Add --fingerprint"
                f" {names[0] or names[1]}=SHA256:…, from `ssh-keygen -lf` on the host, or --known-hosts FILE."
                f" It shows:\n" + "\n".join(f"    {_shown(key)}" for key in keys)
            )
        right = [key for key in keys if (ssh_keys.fingerprint(key) in given if given else key == known)]
        return right[0] if right else None

    def goes_on(self, failures: Sequence[str]) -> bool:
        """A script does not go on."""
        say("\n".join(failures))
        return False


def machine(text: str, *, default_name: str = "", named: bool = True) -> Draft:
    """A host from [NAME=][USER@]ADDRESS[:PORT]; an IPv6 address with a port in brackets."""
    name, _, rest = text.strip().rpartition("=")
    user, _, place = rest.rpartition("@")
    address, port = place, ""
    if place.startswith("["):
        address, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    elif place.count(":") == 1:
        address, _, port = place.partition(":")
    entry: Draft = {"name": name or default_name} if named else {}
    entry["address"] = address
    entry |= {"user": user} if user else {}
    return entry | ({"port": int(port) if port.isdigit() else port} if port else {})


def upstreams(registries: Sequence[str]) -> list[Draft]:
    """The registries as upstreams: the first at its default port, the others at 5001 and on."""
    first, *others = registries
    return [
        {"registry": first},
        *({"registry": name, "port": FIRST_OTHER_PORT + place} for place, name in enumerate(others)),
    ]


def with_host_keys(draft: Draft, root: Path, judge: Judge) -> Draft:
    """The draft with the host key of each machine, fetched and judged; the jump host's first."""
    draft = {key: list(value) if isinstance(value, list) else value for key, value in draft.items()}
    jump = draft["ssh"].get("jumpHost")
    through: Login | None = None
    if jump is not None:
        jump = {**jump, "hostKey": _judged("the jump host", jump, judge, None)}
        draft["ssh"] = {**draft["ssh"], "jumpHost": jump}
        through = _jump_login(draft["ssh"], root)
    for section in ("mirrors", "clients"):
        draft[section] = [
            {**entry, "hostKey": _judged(entry["name"], entry, judge, through)} for entry in draft[section]
        ]
    return draft


def _judged(title: str, entry: Draft, judge: Judge, through: Login | None) -> str:
    keys = host_keys.shown_by(entry["address"], int(entry.get("port", 22)), through)
    key = judge(title, entry, keys)
    if key is None:
        raise CannotGoOn(
            f"{title} ({entry['address']}) shows another host key than it should: somebody may be in between,"
            " or the address is another machine's. Nothing was written. It shows:\n"
            + "\n".join(f"    {_shown(key)}" for key in keys)
        )
    return key


def _jump_login(ssh: Draft, root: Path) -> Login:
    hop = ssh["jumpHost"]
    file = ssh.get("privateKeyFile")
    return Login(
        hop["address"],
        int(hop.get("port", 22)),
        hop.get("user") or ssh.get("user", "root"),
        hop["hostKey"],
        None if file is None else str(root / Path(file).expanduser()),
    )


def checked(draft: Draft, root: Path, *, with_keys: bool) -> Settings | None:
    """The settings that the draft makes. Without the keys: None, and its mistakes apart from those."""
    try:
        return Settings.load({key: value for key, value in draft.items() if value != []}, root)
    except SettingsError as mistakes:
        left = [problem for problem in mistakes.problems if with_keys or problem.path[-1] != "hostKey"]
        if left:
            raise SettingsError(left) from None
        return None


def failed_logins(settings: Settings, root: Path) -> list[str]:
    """Why hosts do not let us in, as `up` itself would say it; all are tried at once."""

    def attempt(host: Any) -> str:
        login = login_of(settings.ssh, host, root)
        way = [login.address, str(login.port), login.destination, *ssh_options.arguments(login)]
        sudo = "yes" if login.needs_sudo else "no"
        done = subprocess.run(
            ["bash", "components/scripts/wait.sh", host.name, str(LOGIN_SECONDS), sudo],
            cwd=root,
            input="\n".join(way),
            capture_output=True,
            text=True,
            check=False,
        )
        return "" if done.returncode == 0 else done.stderr.strip()

    hosts = [*settings.mirrors, *settings.clients]
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        return [failure for failure in pool.map(attempt, hosts) if failure]


def make(name: str, draft: Draft, root: Path, who: Dialogue | Flags) -> None:
    """From a draft to the written file and its preview. Raises CannotGoOn and SettingsError."""
    checked(draft, root, with_keys=False)
    draft = with_host_keys(draft, root, who.judge)
    draft = {key: value for key, value in draft.items() if value != []}
    settings = checked(draft, root, with_keys=True)
    assert settings is not None
    failures = failed_logins(settings, root)
    if failures and not who.goes_on(failures):
        raise CannotGoOn("nothing was written: run it again when the hosts let you in.")
    if not failures:
        say(f"{len(settings.mirrors) + len(settings.clients)} host(s) let us in")
    try:
        file = stack_file.write_new(root, name, stack_file.render(name, draft))
    except FileExistsError:
        raise CannotGoOn(_exists(name)) from None
    for warning in settings.warnings():
        say(f"warning: {warning}")
    say(f"wrote {file.name}; now a preview, which touches no host")
    Stack(root, name).preview()


def _problem(kind: str | None, answer: str) -> str | None:
    if kind is None:
        return None
    try:
        TypeAdapter(getattr(settings_types, kind)).validate_python(answer)
    except ValidationError as error:
        (found, *_) = error.errors(include_url=False)
        context = found.get("ctx", {})
        return f"{context.get('what', found['msg'])}; {context.get('remedy', 'write it otherwise')}"
    return None


def _shown(key: str) -> str:
    return f"{ssh_keys.fingerprint(key)} ({key.partition(' ')[0]})"


def _exists(name: str) -> str:
    return f"Pulumi.{name}.yaml is there already and stays as it is. Take another name, or edit that file."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make new-stack NAME=…",
        description="Asks for what a stack of your own needs. With --mirror it asks nothing, for scripts:"
        ' make new-stack NAME=office ARGS="--mirror … --network …"',
    )
    host = "[NAME=][USER@]ADDRESS[:PORT]"
    parser.add_argument("name", help="of the stack")
    parser.add_argument("--mirror", action="append", default=[], metavar=host, help="repeat for several")
    parser.add_argument("--client", action="append", default=[], metavar=host)
    parser.add_argument(
        "--network", action="append", default=[], metavar="CIDR", help="who may reach the caches"
    )
    parser.add_argument("--registry", action="append", default=[], help="besides docker.io, at 5001 and on")
    parser.add_argument("--user", default="root", help="to log in as (root)")
    parser.add_argument("--key", metavar="FILE", default="~/.ssh/id_ed25519", help="to log in with")
    parser.add_argument("--agent", action="store_true", help="log in with the agent's keys")
    parser.add_argument(
        "--jump", metavar="[USER@]ADDRESS[:PORT]", help="host through which the others are reached"
    )
    parser.add_argument("--limit", metavar="SIZE", help="of all caches of a mirror, as in 50GiB")
    parser.add_argument(
        "--fingerprint",
        action="append",
        default=[],
        metavar="HOST=SHA256:…",
        help="the host key that a host, by name or address, must show",
    )
    parser.add_argument(
        "--known-hosts", metavar="FILE", help="a known_hosts file that is trusted for the rest"
    )
    return parser


def _drafted(options: argparse.Namespace) -> Draft:
    ssh: Draft = {"user": options.user}
    ssh |= {"agent": True} if options.agent else {"privateKeyFile": options.key}
    if options.jump:
        ssh["jumpHost"] = machine(options.jump, named=False)

    def machines(texts: Sequence[str], name: str) -> list[Draft]:
        return [machine(text, default_name=f"{name}-{place}") for place, text in enumerate(texts, 1)]

    draft: Draft = {
        "ssh": ssh,
        "mirrors": machines(options.mirror, "mirror"),
        "clients": machines(options.client, "client"),
        "access": {"networks": options.network},
        "upstreams": upstreams(["docker.io", *options.registry]),
    }
    return {**draft, "cache": {"limit": options.limit}} if options.limit else draft


def _fingerprints(pairs: Sequence[str], draft: Draft) -> dict[str, str]:
    """The fingerprints by host. One of no host is a slip, and would leave its host to known_hosts."""
    hosts = [*draft["mirrors"], *draft["clients"], draft["ssh"].get("jumpHost", {})]
    named = {host[key] for host in hosts for key in ("name", "address") if key in host}
    found: dict[str, str] = {}
    for pair in pairs:
        host, mark, digest = pair.rpartition("=SHA256:")
        if host not in named:
            raise CannotGoOn(f"--fingerprint {pair} is for none of the hosts; write HOST=SHA256:…")
        found[host] = f"{mark[1:]}{digest}"
    return found


def main(arguments: Sequence[str], root: Path) -> int:
    """The command line of `make new-stack`."""
    options = _parser().parse_args(arguments)
    console = Console(markup=False, highlight=False)
    name, by_flags = options.name, len(arguments) > 1
    try:
        if not stack_file.NAME.fullmatch(name):
            raise CannotGoOn(f"{name!r} is no stack's name: use letters, digits, hyphens, as in NAME=office")
        if (root / f"Pulumi.{name}.yaml").exists():
            raise CannotGoOn(_exists(name))
        if stack_of(os.environ) != name:
            # The lab's passphrase, which is published, would encrypt the new stack's secrets.
            raise CannotGoOn(f"this runs with the passphrase of another stack: make new-stack NAME={name}")
        if by_flags:
            known = Path(options.known_hosts).expanduser().read_text() if options.known_hosts else ""
            draft = _drafted(options)
            make(name, draft, root, Flags(_fingerprints(options.fingerprint, draft), KnownHosts(known)))
        else:
            dialogue = Dialogue(console)
            make(name, dialogue.draft(), root, dialogue)
    except CannotGoOn as reason:
        if str(reason):
            say(str(reason))
        return reason.code
    except (SettingsError, NoHostKey, OSError) as reason:
        say(f"{reason}\n  Nothing was written.")
        return 1
    except EOFError:
        say("there is nobody to answer: use flags, see make new-stack NAME=… ARGS=--help")
        return 1
    except KeyboardInterrupt:
        say("interrupted; nothing was written")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent))
