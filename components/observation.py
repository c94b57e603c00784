"""Looks at the hosts for what was changed there since the last ``up``, in previews and in ``up`` alike."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import pulumi

from components.host import script_text
from components.last_up import LastUp
from components.lib import drift
from components.lib.drift import Applied, Stamp, Verdict
from components.lib.remote import HostFailed, Remote, ask_all, remote_by
from components.lib.ssh_options import Login

CONNECT_SECONDS = 5
ANSWER_SECONDS = 30

Stamps = Mapping[str, Stamp]
Look = Callable[[Sequence[Remote]], Mapping[str, "Stamps | HostFailed"]]


def look_at(hosts: Sequence[Remote]) -> Mapping[str, Stamps | HostFailed]:
    """What each host says of its steps, in one SSH session each, all at once."""
    question = _question()
    return ask_all(hosts, lambda host: _stamps_of(host, question))


class Observation:
    """The hosts as they are, and what follows for the steps on them."""

    def __init__(
        self,
        mode: Literal["auto", "always", "never"],
        logins: Mapping[str, Login],
        last_up: LastUp,
        look: Look = look_at,
    ) -> None:
        self._mode, self._logins, self._look = mode, logins, look
        self._applied = last_up.output("generations").apply(_applied)
        self._stamps: pulumi.Output[Mapping[str, Stamps]] = self._applied.apply(self._observed)

    def verdict(self, host: str, step: str) -> pulumi.Output[Verdict]:
        """What is to become of a step on a host."""
        return pulumi.Output.all(self._applied, self._stamps).apply(
            lambda both: drift.verdict(step, both[0].get(host), both[1].get(host))
        )

    def tell(self, host: str, step: str, resource: pulumi.Resource) -> None:
        """Says at a resource what was changed on its host."""

        def say(verdict: Verdict) -> None:
            for reason in verdict.reasons:
                pulumi.log.warn(f"changed on {host} since the last up: {reason}", resource)

        self.verdict(host, step).apply(say)

    async def _observed(self, applied: Mapping[str, Applied]) -> Mapping[str, Stamps]:
        """The stamps of those hosts that answer."""
        known = [self._remote(host) for host in self._logins if host in applied]
        if self._mode == "never" or not known:
            return {}
        answers = await asyncio.to_thread(self._look, known)
        silent = [str(answer) for answer in answers.values() if isinstance(answer, HostFailed)]
        if silent:
            self._tell_silence(silent)
        return {host: answer for host, answer in answers.items() if not isinstance(answer, HostFailed)}

    def _remote(self, host: str) -> Remote:
        remote = remote_by(host, self._logins[host])
        # The first value that ssh is told of an option counts.
        return dataclasses.replace(
            remote, options=["-o", f"ConnectTimeout={CONNECT_SECONDS}", *remote.options]
        )

    def _tell_silence(self, silent: Sequence[str]) -> None:
        hosts = "\n".join(f"  {words}" for words in silent)
        if self._mode == "always":
            raise pulumi.RunError(
                "observe: always, and not every host lets itself be looked at:\n"
                f"{hosts}\n"
                "Have them answer over SSH, or write observe: auto to go on without them."
            )
        pulumi.log.warn(
            f"what was changed on these hosts since the last up is not known, and so not shown:\n{hosts}"
        )


def _question() -> str:
    # What another version of facts.sh left is not compared: the steps have this one's digest, and run again.
    facts = hashlib.sha256(script_text("facts.sh").encode()).hexdigest()
    return "".join([f"FACTS={facts}\n", *map(script_text, ("openings.sh", "facts.sh", "observe.sh"))])


def _stamps_of(host: Remote, question: str) -> Stamps:
    answer = host.call(["bash", "-c", 'eval "$(cat)"'], question, ANSWER_SECONDS, "the look at it")
    try:
        return drift.read(answer)
    except ValueError as problem:
        raise HostFailed(f"{host.name}: what it says of its state cannot be read: {problem}") from None


def _applied(generations: object) -> Mapping[str, Applied]:
    if not isinstance(generations, dict):
        return {}
    return {str(host): drift.read_applied(str(line)) for host, line in generations.items()}
