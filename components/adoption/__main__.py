"""`make adopt`: looks at hand-made mirrors, and prints what is wrong and the stack that takes them over.

Inside `toolchain/run`: python -m components.adoption STACK [--hosts "root@203.0.113.10 …"] [--out FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components import settings_reading, stack_hosts
from components.adoption import facts, findings, proposal, report, stack_file, throwaway
from components.adoption.findings import Inspected
from components.adoption.proposal import Fetch, Proposal
from components.lib import ssh_keys
from components.lib.remote import HostFailed, Remote, ask_all, remote_by
from components.settings import Host, Settings
from components.settings_errors import SettingsError

ROOT = Path(__file__).parent.parent.parent
INSPECT_SECONDS = 120
NOT_ALL_SEEN = 3
NOBODY = {"networks": ["192.0.2.0/24"]}
"""Stands in for `access` while a stack's file has none: only its hosts are read."""


class Refused(Exception):
    """What has to be given or corrected first."""


@dataclass(frozen=True)
class Asked:
    """The hosts to look at, and the sections that the stack has so far."""

    sections: Mapping[str, Any]
    rest: Mapping[str, Any]
    hosts: Mapping[str, tuple[Host, Remote]]
    clients: Sequence[str] = ()
    roles_by_facts: bool = False


def main(arguments: Sequence[str]) -> int:
    """0: all hosts were seen; 2: nothing was done; 3: some hosts did not answer."""
    options = _options(arguments)
    try:
        asked = _by_flags(options) if options.hosts else _by_stack(options.stack, ROOT)
    except (Refused, SettingsError) as reason:
        print(reason, file=sys.stderr)
        return 2
    remotes = [remote for _, remote in asked.hosts.values()]
    answers = ask_all(remotes, _inspect)
    failed = [str(answer) for answer in answers.values() if isinstance(answer, HostFailed)]
    inspected = [
        Inspected(name, asked.hosts[name][0].address, answer)
        for name, answer in answers.items()
        if not isinstance(answer, HostFailed)
    ]
    if asked.roles_by_facts:
        asked, inspected = _with_roles(asked, inspected)
    for silent in failed:
        print(f"not seen: {silent}", file=sys.stderr)
    proposed = proposal.propose(inspected, asked.sections, asked.clients)
    _print(inspected, proposed, asked, options)
    return NOT_ALL_SEEN if failed else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make adopt")
    parser.add_argument("stack")
    parser.add_argument(
        "--hosts", default="", help='in place of the stack file\'s: "root@203.0.113.10 web-1:2222"'
    )
    parser.add_argument("--known-hosts", default="~/.ssh/known_hosts", help="their host keys, with --hosts")
    parser.add_argument("--key", default="~/.ssh/id_ed25519", help="the private key, with --hosts")
    parser.add_argument("--agent", action="store_true", help="the SSH agent's keys in its place")
    parser.add_argument("--out", type=Path, help="a new file to write the stack to")
    return parser.parse_args(arguments)


def _by_stack(stack: str, root: Path) -> Asked:
    project, own = _yaml_of(root / "Pulumi.yaml"), _yaml_of(root / f"Pulumi.{stack}.yaml")
    prefix = f"{stack_file.PREFIX}:"
    config = own.get("config") or {}
    raw = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    sections, _ = settings_reading.with_include(raw, root)
    shown = stack_hosts.written(project, {"config": {f"{prefix}{key}": v for key, v in sections.items()}})
    settings = Settings.load({"access": NOBODY, **shown}, root)
    hosts = {host.name: (host, _remote(settings, host)) for host in (*settings.mirrors, *settings.clients)}
    rest = {key: value for key, value in own.items() if key != "config"}
    return Asked(sections, rest, hosts, [client.name for client in settings.clients])


def _by_flags(options: argparse.Namespace) -> Asked:
    """Hosts by their addresses: they get their places in the stack by what is found on them."""
    known_file = Path(options.known_hosts).expanduser()
    try:
        known = ssh_keys.KnownHosts(known_file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        known = ssh_keys.KnownHosts("")
    ssh = {"agent": True} if options.agent else {"privateKeyFile": options.key}
    entries, missing = [], []
    for index, text in enumerate(options.hosts.split()):
        user, _, place = text.rpartition("@")
        address, port = _place(place)
        key = known.key_of(address, port)
        if key is None:
            missing.append(f"{address}{'' if port == 22 else f' (port {port})'}")
            continue
        entry = {"name": f"host-{index + 1}", "address": address, "hostKey": key}
        entries.append(
            entry
            | ({"user": user} if user not in ("", "root") else {})
            | ({"port": port} if port != 22 else {})
        )
    if missing:
        raise Refused(
            f"{known_file} has no host key of {', '.join(missing)}, so another machine could pose as it:"
            " `ssh-keyscan ADDRESS` shows the keys; compare them with what `ssh-keygen -lf` says on the host"
            " itself, and add them to that file (or name another: KNOWN_HOSTS=FILE)."
        )
    settings = Settings.load({"ssh": ssh, "mirrors": entries, "access": NOBODY}, ROOT)
    hosts = {host.name: (host, _remote(settings, host)) for host in settings.mirrors}
    return Asked({"ssh": ssh, "mirrors": entries}, {}, hosts, roles_by_facts=True)


def _place(text: str) -> tuple[str, int]:
    """Address and SSH port of ``203.0.113.10``, ``web-1:2222``, ``[2001:db8::1]:22`` or ``2001:db8::1``."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        address, port = text, ""
    return address, int(port) if port.isdigit() else 22


def _with_roles(asked: Asked, inspected: Sequence[Inspected]) -> tuple[Asked, list[Inspected]]:
    """Hosts with a hand-made cache are mirrors, the others clients; named in the order given."""
    caches = {host.name for host in inspected if host.caches}
    names: dict[str, str] = {}
    lists: dict[str, list[dict[str, Any]]] = {"mirrors": [], "clients": []}
    for entry in asked.sections["mirrors"]:
        role = "mirrors" if entry["name"] in caches else "clients"
        name = f"{role[:-1]}-{len(lists[role]) + 1}"
        names[entry["name"]] = name
        lists[role].append({**entry, "name": name})
    sections = {**asked.sections, **{role: entries for role, entries in lists.items() if entries}}
    hosts = {names[name]: found for name, found in asked.hosts.items()}
    renamed = [Inspected(names[host.name], host.address, host.facts) for host in inspected]
    clients = [entry["name"] for entry in lists["clients"]]
    return Asked(sections, asked.rest, hosts, clients), renamed


def _remote(settings: Settings, host: Host) -> Remote:
    return remote_by(host.name, stack_hosts.login_from_anywhere(settings.ssh, host, ROOT))


def _inspect(host: Remote) -> facts.HostFacts:
    answer = host.feed("inspect_host.sh", [], INSPECT_SECONDS)
    try:
        return facts.parse(answer)
    except (ValueError, KeyError) as error:
        raise HostFailed(f"{host.name}: inspect_host.sh gave no whole answer ({error})") from None


def _print(
    hosts: Sequence[Inspected], proposed: Proposal | None, asked: Asked, options: argparse.Namespace
) -> None:
    print("== What is there (looked at only, nothing was changed)", *report.found(hosts), sep="\n")
    wrong = findings.find(hosts)
    print("\n== What is wrong", *(report.wrong(wrong) if wrong else ["nothing"]), sep="\n")
    if proposed is None:
        print("\n== Nothing to take over: no container of these hosts is a pull-through cache made by hand")
        return
    if proposed.left_out:
        print("\n== Not taken over", *(f"- {reason}" for reason in proposed.left_out), sep="\n")
    if not any(entry.get("replaces") for entry in proposed.sections["mirrors"]):
        return
    text = stack_file.render(proposed.sections, proposed.reasons, asked.rest)
    name = options.out or Path(f"Pulumi.{options.stack}.yaml")
    print(f"\n== The stack that takes it over: {name}", text, sep="\n")
    _print_verdict(text)
    steps = [*(_fetch_line(fetch, asked) for fetch in proposed.fetches), *proposed.before]
    if steps:
        print("\n== Before `up`", *(f"- {step}" for step in steps), sep="\n")
    if options.out:
        with contextlib.ExitStack() as files:
            try:
                files.enter_context(options.out.open("x", encoding="utf-8")).write(text)
                print(f"\n{options.out}: written")
            except FileExistsError:
                print(f"\n{options.out} is there already and stays as it is", file=sys.stderr)
    print(
        f"\n== Then\n`make preview STACK={options.stack}` shows each step, among them one `…-replace-…` for"
        f" each container; `make up STACK={options.stack}` carries it out."
    )


def _print_verdict(text: str) -> None:
    """The stack, as the program itself will read it."""
    config = yaml.safe_load(text)["config"]
    raw = stack_hosts.written(_yaml_of(ROOT / "Pulumi.yaml"), {"config": config})
    with throwaway.files_in_place_of_missing(raw, ROOT) as (whole, missing):
        try:
            settings = Settings.load(whole, ROOT)
        except SettingsError as mistakes:
            print(f"== It is not right yet\n{mistakes}")
            return
    without = f" (but for {', '.join(missing)}, not here yet: see below)" if missing else ""
    print(f"== Checked: it loads as it stands{without}")
    for warning in settings.warnings():
        print(f"- {warning}")


def _fetch_line(fetch: Fetch, asked: Asked) -> str:
    remote = asked.hosts[fetch.host][1]
    order = shlex.join([*(["sudo", "-n"] if remote.sudo else []), "cat", fetch.path])
    ssh = shlex.join(["ssh", *remote.options, remote.destination, order])
    mask = "077" if fetch.secret else "022"
    return f"(umask {mask} && mkdir -p {Path(fetch.to).parent} && {ssh} >{fetch.to})"


def _yaml_of(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(
            f'there is no {file.name}: name the hosts, as in HOSTS="root@203.0.113.10 root@203.0.113.21"'
        ) from None
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise Refused(f"{file.name} cannot be read: {type(error).__name__}") from None
    return content if isinstance(content, dict) else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
