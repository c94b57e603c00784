"""One round: `python3 -m prober SETTINGS DIRECTORY`. Exits with 0 whatever the upstreams say."""

import json
import os
import sys
import threading
import time
from typing import Any, Dict, Mapping

from . import cached, certificate, exposition
from .upstream import Finding, Upstream, ask
from .way import Proxies, Way

ROUND_SECONDS = 45
"""An upstream that has not answered by then counts as unreachable: the next round is due."""


def ask_all(settings: Mapping[str, Any], seconds: float = ROUND_SECONDS) -> Dict[str, Finding]:
    """All upstreams side by side, so that one that hangs costs the others nothing."""
    proxy = settings["proxy"]
    proxies = Proxies(proxy["http"], proxy["https"], proxy["no_proxy"])
    late = Finding("unreachable", "no answer within {:.0f} s".format(seconds))
    found = {entry["name"]: late for entry in settings["upstreams"]}

    def ask_one(upstream: Upstream) -> None:
        try:
            way = Way(proxies, upstream.ca)
        except OSError as error:
            found[upstream.name] = Finding("tls", "{}: {}".format(upstream.ca, error.strerror or error))
        else:
            found[upstream.name] = ask(upstream, way)

    # Daemons: a name server that does not answer must not keep the round from ending.
    asking = [
        threading.Thread(target=ask_one, args=(_upstream(entry),), daemon=True)
        for entry in settings["upstreams"]
    ]
    for thread in asking:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in asking:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(found)


def _upstream(entry: Mapping[str, Any]) -> Upstream:
    known = {key: value for key, value in entry.items() if key != "data"}
    return Upstream(manifest=cached.some_manifest(entry["data"]), **known)


def write(path: str, text: str) -> None:
    """Whole or not at all."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.chmod(path + ".new", 0o644)
    os.replace(path + ".new", path)


def main(settings_file: str, directory: str) -> None:
    """Asks, writes upstreams.prom and upstreams.json, and says it in one line."""
    with open(settings_file) as file:
        settings = json.load(file)
    found = ask_all(settings)
    path = settings["certificate"]
    end = certificate.not_after(path) if path else None
    now = int(time.time())
    write(os.path.join(directory, "upstreams.prom"), exposition.as_text(found, end, now))
    write(os.path.join(directory, "upstreams.json"), exposition.as_json(found, end, now))
    print("; ".join(sorted("{}: {}".format(name, _told(finding)) for name, finding in found.items())))


def _told(finding: Finding) -> str:
    if finding.refusal is not None:
        return "{} ({})".format(finding.refusal, finding.detail)
    if finding.rate_limit_remaining is None:
        return "up"
    return "up, {} of {} pulls left".format(finding.rate_limit_remaining, finding.rate_limit)


if __name__ == "__main__":
    main(*sys.argv[1:])
