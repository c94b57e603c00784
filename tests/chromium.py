"""A page in a real browser: what it complains of, what it asks the network for, and how it looks.

Needs Debian's chromium, which test.sh installs.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PHONE, DESKTOP = 390, 1280
SECONDS = 120
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--enable-logging=stderr"),
)
# A page narrower than the least window is seen through a frame, which is its viewport.
_FRAME = """<!doctype html><meta charset="utf-8"><title>frame</title>
<style>body {{ margin: 0 }} iframe {{ border: 0; display: block }}</style>
<iframe width="{width}" height="{height}" srcdoc="{page}"></iframe>
<script>
addEventListener("load", () => {{
  const seen = document.querySelector("iframe").contentDocument;
  const all = [...seen.querySelectorAll("body *:not(thead, thead *)")];
  const wide = all.filter(e => e.getBoundingClientRect().right > {width} + 1);
  document.title = JSON.stringify({{
    width: seen.documentElement.scrollWidth, height: seen.documentElement.scrollHeight,
    wide: wide.map(e => e.tagName), plots: seen.querySelectorAll("svg").length, text: seen.body.innerText,
    background: getComputedStyle(seen.body).backgroundColor,
  }});
}});
</script>"""


@dataclass(frozen=True)
class Seen:
    """A page as a browser showed it. ``wide`` are the elements that stick out at the side."""

    width: int
    height: int
    wide: Sequence[str]
    plots: int
    text: str
    background: str


@dataclass(frozen=True)
class Opened:
    """What a page did when it was opened: its lines on the console, and the addresses that it asked for."""

    console: Sequence[str]
    requests: Sequence[str]


def opened(page: Path) -> Opened:
    """Opens a page as it is."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "net.json"
        said = _chromium(directory, f"--log-net-log={log}", "--dump-dom", page.as_uri())
        requests = _requests(json.loads(log.read_text()))
    console = [line for line in said.stderr.splitlines() if ":CONSOLE" in line]
    return Opened(console, [url for url in requests if url != page.as_uri()])


def seen(page: Path, width: int, *, dark: bool = False) -> Seen:
    """Looks at a page in a window of some width."""
    with tempfile.TemporaryDirectory() as directory:
        frame = _framed(page, Path(directory), width, 2000)
        dom = _chromium(directory, *_scheme(dark=dark), "--dump-dom", frame.as_uri()).stdout
    title = re.search(r"<title>(\{.*\})</title>", dom, re.DOTALL)
    assert title is not None, f"the page was not loaded:\n{dom[-2000:]}"
    return Seen(**json.loads(html.unescape(title[1])))


def picture(page: Path, png: Path, width: int, height: int, *, dark: bool = False) -> None:
    """Takes a picture of the top of a page."""
    with tempfile.TemporaryDirectory() as directory:
        frame = _framed(page, Path(directory), width, height)
        size = f"--window-size={max(width, 500)},{height}"
        _chromium(directory, *_scheme(dark=dark), size, f"--screenshot={png}", frame.as_uri())


def _framed(page: Path, directory: Path, width: int, height: int) -> Path:
    frame = directory / "frame.html"
    text = html.escape(page.read_text(encoding="utf-8"), quote=True)
    frame.write_text(_FRAME.format(width=width, height=height, page=text), encoding="utf-8")
    return frame


def _scheme(*, dark: bool) -> list[str]:
    return [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]


def _chromium(directory: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    profile = f"--user-data-dir={directory}/profile"
    return subprocess.run(
        ["chromium", *_OPTIONS, profile, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )


def _requests(log: dict[str, object]) -> list[str]:
    """The addresses that a page asked for, by the browser's own log of its network."""
    events, constants = log["events"], log["constants"]
    assert isinstance(events, list)
    assert isinstance(constants, dict)
    kind = constants["logEventTypes"]["URL_REQUEST_START_JOB"]
    begun = [event["params"] for event in events if event["type"] == kind and "params" in event]
    # What the browser itself wants has no page that asked for it.
    return [one["url"] for one in begun if one.get("initiator", "not an origin") != "not an origin"]
