"""Whether an OpenSSH command line accepts one known host key and no other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.lib import ssh_keys

_PROGRAM = re.compile(r"(?:^|[\s;&|(/'\"])(?:ssh|scp|sftp)\s")


def host_key_problem(key: object) -> str | None:
    """What is wrong with a host key; None where it is a whole one."""
    if not isinstance(key, str) or not key.strip():
        return "no host key is set"
    try:
        ssh_keys.read_host_key(key)
    except ssh_keys.KeyProblem as problem:
        return f"the host key {problem.what}"
    return None


def unverified(arguments: Sequence[str]) -> Iterator[str]:
    """Why ssh with these arguments would talk to a host that it cannot tell from another one."""
    options = _options(arguments)
    if options.get("stricthostkeychecking", "").lower() not in ("yes", "true"):
        yield "StrictHostKeyChecking is not yes"
    command = options.get("knownhostscommand", "none")
    if command != "none":
        problem = host_key_problem(" ".join(command.split()[-2:]))
        if problem:
            yield f"{problem} in KnownHostsCommand"
    elif options.get("userknownhostsfile", "/dev/null") in ("/dev/null", "none"):
        yield "neither KnownHostsCommand nor UserKnownHostsFile says which host key is right"
    if "proxyjump" in options:
        yield "a jump host by ProxyJump is verified by nobody's rules: use ProxyCommand with its own options"
    hop = options.get("proxycommand", "none")
    if hop != "none" and _PROGRAM.match(hop):
        yield from (f"on the way, {found}" for found in unverified(shlex.split(hop.replace("%%", "%"))))


def command_lines(create: str, stdin: str, structure: Any) -> Iterator[Sequence[str]]:
    """The arguments of each ssh that a Command on this machine will start.

    Its own text, and what this project's programs take from standard input: wait.sh the arguments line by
    line, proof.py objects with a `destination` and `options` (which `structure` is, as JSON).
    """
    if _PROGRAM.search(f"{create} "):
        yield shlex.split(create)
    if "wait.sh" in create:
        yield stdin.splitlines()[3:]
    yield from _ways(structure)


def _ways(value: Any) -> Iterator[Sequence[str]]:
    if isinstance(value, Mapping):
        if "destination" in value:
            yield [str(option) for option in value.get("options", ())]
        for inner in value.values():
            yield from _ways(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _ways(inner)


def _options(arguments: Sequence[str]) -> Mapping[str, str]:
    """Options by name in small letters. As in ssh, the first of a name counts."""
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "-J":
            found.setdefault("proxyjump", rest.pop(0) if rest else "")
        elif argument.startswith("-o"):
            option = argument[2:] or (rest.pop(0) if rest else "")
            name, _, value = option.partition("=")
            found.setdefault(name.strip().lower(), value.strip())
    return found
