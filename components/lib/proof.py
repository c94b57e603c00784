"""Has a client pull an image and looks for the pull in the mirror's log: ``python -m components.lib.proof``.

Reads one JSON object from standard input (components/verification.py writes it), prints the
proof as one line, and exits 1 with the first broken link where there is none.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Mapping

from components.lib import image_reference
from components.lib.evidence import Evidence, upstreams_answer, weigh
from components.lib.remote import HostFailed, Remote, remote

PULL_SECONDS = 600
EVIDENCE_SECONDS = 60
LOG_SETTLES_SECONDS = 5


class Broken(Exception):
    """A link between client and upstream that does not hold; the text says which and what to do."""


def pull(client: Remote, url: str, image: str, nonce: str, ca: str) -> tuple[str | None, list[str]]:
    """Pulls on the client. Gives what went wrong in the pull, if anything, and Docker's own words."""
    lines = client.run("pull_through_mirror.sh", [url, image, nonce], ca, PULL_SECONDS).splitlines()
    answers = [tuple(line.split(" ", 1)) for line in lines if " " in line]
    for key, value in answers:
        if key == "broken":
            raise Broken(value)
    failure = next(
        (value.removeprefix("failed ") for key, value in answers if key == "pull" and value != "ok"), None
    )
    return failure, [value for key, value in answers if key == "log"]


def evidence(mirror: Remote, container: str, data: str, nonce: str, repository: str) -> Evidence:
    """Reads the mirror's log until the closing mark stands in it."""
    deadline = time.monotonic() + LOG_SETTLES_SECONDS
    while True:
        lines = mirror.run("mirror_evidence.sh", [container, nonce, data], "", EVIDENCE_SECONDS).splitlines()
        log = [line.removeprefix("line ") for line in lines if line.startswith("line ")]
        if any(f"proof={nonce}.end" in line for line in log) or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    began = next((int(line.removeprefix("began ")) for line in lines if line.startswith("began ")), 0)
    blobs = [line.split()[1:] for line in lines if line.startswith("blob ")]
    stored = {digest: None if written == "none" else int(written) for digest, written in blobs}
    return weigh(log, stored, nonce, repository, began)


def prove(question: Mapping[str, object]) -> str:
    """The proof as one line. Raises Broken where the client does not pull through the mirror."""
    client_value, mirror_value = question["client"], question["mirror"]
    if not isinstance(client_value, dict) or not isinstance(mirror_value, dict):
        raise TypeError("client and mirror must be objects")
    client, mirror = remote(client_value), remote(mirror_value)
    image, url = str(question["image"]), str(question["url"])
    nonce = f"{client.name}.{secrets.token_hex(8)}"
    link = f"{client.name} does not pull {image} through {mirror.name} ({url})"
    wanted = image_reference.parse(image)
    repository = wanted.repository
    try:
        failure, words = pull(client, url, image, nonce, str(question["ca"]))
        found = evidence(
            mirror, str(question["container"]), str(question["data_directory"]), nonce, repository
        )
        asked = [str(question["container"]), str(question["upstream"]), repository, wanted.reference]
        said = mirror.run("ask_upstream.sh", asked, "", EVIDENCE_SECONDS) if found.refused else ""
    except (Broken, HostFailed) as reason:
        raise Broken(f"{link}: {reason}") from None
    if failure is None and found.went_through:
        return (
            f"{client.name} pulled {repository} through {mirror.name}: "
            f"{len(found.blobs)} blobs served, {len(found.fetched)} fetched from the upstream"
        )
    reasons = [*found.refusals]
    refusal = upstreams_answer(said) if said else None
    if refusal is not None and refusal not in reasons:
        reasons.append(refusal)
    if not found.seen:
        reasons.append(
            f"the requests of {client.name} to {url} reached something that is not this mirror's cache"
        )
    if failure is not None:
        reasons.append(f"the pull failed: {failure}")
    elif not found.went_through:
        reasons.append(
            "the pull worked, but went past the mirror" + (f"; Docker says: {words[-1]}" if words else "")
        )
    raise Broken(f"{link}: {'; '.join(reasons)}")


def main() -> int:
    """The command line."""
    try:
        print(prove(json.load(sys.stdin)))
    except Broken as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
