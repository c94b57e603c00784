"""Plots of the recent hours as SVG that takes its colours and fonts from the page that it stands in."""

from __future__ import annotations

import datetime
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from components.status.phrases import size
from components.status.records import Sample

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
# Colours that stand for those of the page, which has two sets of them.
_COLOURS = {
    "#010101": "var(--text)",
    "#020202": "var(--faint)",
    "#030303": "var(--good)",
    "#040404": "var(--bad)",
    "#050505": "var(--line)",
}
_TEXT, _FAINT, _GOOD, _BAD, _LINE = _COLOURS
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.4,
    "grid.alpha": 0.5,
    "text.color": _TEXT,
    "xtick.color": _FAINT,
    "xtick.labelcolor": _TEXT,
    "ytick.color": _FAINT,
    "ytick.labelcolor": _TEXT,
    "legend.frameon": False,
}
BARS = 24
SHORTEST_SECONDS = 900


@dataclass(frozen=True)
class Plot:
    """A plot: its title, what it shows in a sentence, for those who do not see it, and the SVG."""

    title: str
    description: str
    svg: str


@dataclass(frozen=True)
class _Bar:
    """What happened in a span of time."""

    at: float
    hits: float
    misses: float
    served: float
    fetched: float


@dataclass(frozen=True)
class Limit:
    """What may be held, in bytes, and whether by this cache alone or by all of its mirror."""

    size: int
    own: bool


def plots(samples: Sequence[Sample], limit: Limit | None, since: float, until: float) -> list[Plot]:
    """The plots of one cache between two moments; none where there are too few samples."""
    recent = [sample for sample in samples if sample.at >= since]
    if len(recent) < 2:
        return []
    # Of a collector that began a while ago, there is nothing to show of the time before.
    since = max(since, min(recent[0].at, until - SHORTEST_SECONDS))
    bars = _bars(samples, since, until)
    width = (until - since) / BARS
    hits, misses = sum(bar.hits for bar in bars), sum(bar.misses for bar in bars)
    served, fetched = sum(bar.served for bar in bars), sum(bar.fetched for bar in bars)
    # Matplotlib's style is the process's: here only for as long as it draws.
    with mpl.rc_context(_STYLE):
        return [
            Plot(
                "Requests",
                f"{hits:.0f} requests answered from the cache, {misses:.0f} fetched from the upstream.",
                _stacked(
                    [bar.at for bar in bars],
                    {"from the cache": [bar.hits for bar in bars], "fetched": [bar.misses for bar in bars]},
                    width,
                    (since, until),
                    bytes_=False,
                ),
            ),
            Plot(
                "Bytes",
                f"{size(served)} served to clients, {size(fetched)} of it fetched from the upstream.",
                _stacked(
                    [bar.at for bar in bars],
                    {
                        "from the cache": [max(0.0, bar.served - bar.fetched) for bar in bars],
                        "fetched": [bar.fetched for bar in bars],
                    },
                    width,
                    (since, until),
                    bytes_=True,
                ),
            ),
            Plot(
                "On disk",
                f"{size(recent[-1].bytes)} held, {_limit(limit)}.",
                _level(recent, limit, (since, until)),
            ),
        ]


def _limit(limit: Limit | None) -> str:
    if limit is None:
        return "without a limit"
    return f"{'its limit' if limit.own else 'the limit of all caches'} is {size(limit.size)}"


def _bars(samples: Sequence[Sample], since: float, until: float) -> list[_Bar]:
    """What the counters grew by in each of the spans between two moments."""
    width = (until - since) / BARS
    grown = [[0.0] * 4 for _ in range(BARS)]
    for before, after in itertools.pairwise(samples):
        if after.at < since:
            continue
        position = min(int((after.at - since) / width), BARS - 1)
        for index, name in enumerate(("hits", "misses", "served", "fetched")):
            old, new = getattr(before, name), getattr(after, name)
            # A counter that falls began anew.
            grown[position][index] += new - old if new >= old else new
    return [_Bar(since + (position + 0.5) * width, *sums) for position, sums in enumerate(grown)]


def _axes(span: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.4, 2.1), layout="constrained")
    axes = figure.add_subplot()
    zone = datetime.datetime.now().astimezone().tzinfo
    locator = AutoDateLocator(tz=zone, minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(_times(locator, zone))
    axes.set_xlim(_day(span[0]), _day(span[1]))
    axes.tick_params(length=2)
    return figure, axes


def _times(locator: AutoDateLocator, zone: datetime.tzinfo | None) -> ConciseDateFormatter:
    formatter = ConciseDateFormatter(locator, tz=zone, show_offset=False)  # type: ignore[no-untyped-call]
    formatter.formats = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
    formatter.zero_formats = ["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"]
    return formatter


def _stacked(
    at: Sequence[float],
    parts: dict[str, list[float]],
    width: float,
    span: tuple[float, float],
    *,
    bytes_: bool,
) -> str:
    figure, axes = _axes(span)
    bottom = [0.0] * len(at)
    for (label, values), colour in zip(parts.items(), (_GOOD, _BAD), strict=True):
        axes.bar(
            [_day(moment) for moment in at],
            values,
            width=_day(width * 0.82),
            bottom=bottom,
            color=colour,
            label=label,
        )
        bottom = [low + value for low, value in zip(bottom, values, strict=True)]
    _upright(axes, max(bottom), bytes_=bytes_)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, handlelength=1)
    return _svg(figure)


def _level(samples: Sequence[Sample], limit: Limit | None, span: tuple[float, float]) -> str:
    figure, axes = _axes(span)
    at, held = [_day(sample.at) for sample in samples], [sample.bytes for sample in samples]
    axes.fill_between(at, held, color=_LINE, alpha=0.2, linewidth=0)
    axes.plot(at, held, color=_LINE, linewidth=1.4, label="held")
    if limit is not None:
        axes.axhline(
            limit.size,
            color=_BAD,
            linewidth=1,
            linestyle=(0, (4, 3)),
            label="limit" if limit.own else "limit of all",
        )
    _upright(axes, max([*held, limit.size if limit else 0]), bytes_=True)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, handlelength=1)
    return _svg(figure)


def _upright(axes: Axes, most: float, *, bytes_: bool) -> None:
    axes.set_ylim(0, most * 1.08 or 1)
    if not bytes_:
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        return
    unit, name = 1.0, "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if most / unit < 1000:
            break
        unit, name = unit * 1024, larger
    # Round numbers of the unit, which are no round numbers of bytes.
    ticks = MaxNLocator(4).tick_values(0, most / unit)
    axes.set_yticks([tick * unit for tick in ticks if 0 <= tick * unit <= most * 1.08])
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value / unit:g} {name}" if value else "0")
    )


def _day(seconds: float) -> float:
    """A moment as matplotlib counts, in days."""
    return seconds / 86400


def _svg(figure: Figure) -> str:
    """The figure without what a page has no use for: its size, names of its parts, and metadata."""
    file = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})  # type: ignore[no-untyped-call]
    for prefix, uri in (("", _SVG), ("xlink", _XLINK)):
        ElementTree.register_namespace(prefix, uri)
    root = ElementTree.fromstring(file.getvalue())  # noqa: S314  what was drawn a line ago
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("aria-hidden", "true")
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", text)
    for colour, ours in _COLOURS.items():
        text = text.replace(colour, ours)
    # The page's own font, which its sizes are close enough to.
    return re.sub(r"font: ([0-9.]+px) [^;\"]*", r"font-size: \1", text)
