"""Metrics in Prometheus' text format: read, told apart, and put together so that each name stands once.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import re
from typing import Dict, Iterable, List, Mapping, NamedTuple, Tuple

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_VALUE = r"[+-]?(?:Inf|NaN|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|NaN"
_SAMPLE = re.compile(
    r"(?P<name>{})(?:\{{(?P<labels>(?:{label}(?:,{label})*,?)?)\}})? (?P<value>{})(?: -?[0-9]+)?".format(
        _NAME, _VALUE, label=_LABEL
    )
)
_ABOUT = re.compile(r"# (?P<what>HELP|TYPE) (?P<name>{}) (?P<text>.*)".format(_NAME))
_TYPES = ("counter", "gauge")


class Family(NamedTuple):
    """All samples of one name: values by labels, both as they stand in the text."""

    kind: str
    help: str
    samples: Dict[str, str]


def parse(text: str) -> Dict[str, Family]:
    """The counters and gauges of a text; what is neither, or no line of the format, is left out."""
    about: Dict[Tuple[str, str], str] = {}
    samples: Dict[str, Dict[str, str]] = {}
    for line in text.splitlines():
        told = _ABOUT.fullmatch(line)
        if told:
            about[told.group("what"), told.group("name")] = told.group("text")
            continue
        sample = _SAMPLE.fullmatch(line.rstrip())
        if sample:
            labels = (sample.group("labels") or "").rstrip(",")
            samples.setdefault(sample.group("name"), {})[labels] = sample.group("value")
    return {
        name: Family(about["TYPE", name], about.get(("HELP", name), ""), found)
        for name, found in samples.items()
        if about.get(("TYPE", name)) in _TYPES
    }


def with_label(families: Mapping[str, Family], label: str) -> Dict[str, Family]:
    """Each sample gets one more label, `name="value"`."""
    return {
        name: family._replace(
            samples={
                (label + "," + labels if labels else label): value for labels, value in family.samples.items()
            }
        )
        for name, family in families.items()
    }


def render(sources: Iterable[Mapping[str, Family]]) -> str:
    """One text of several sources. Of a sample that two of them have, the first one's stays."""
    merged: Dict[str, Family] = {}
    for source in sources:
        for name, family in source.items():
            known = merged.setdefault(name, Family(family.kind, family.help, {}))
            for labels, value in family.samples.items():
                known.samples.setdefault(labels, value)
    lines: List[str] = []
    for name, family in sorted(merged.items()):
        lines += ["# HELP {} {}".format(name, family.help)] if family.help else []
        lines.append("# TYPE {} {}".format(name, family.kind))
        for labels, value in family.samples.items():
            lines.append("{}{} {}".format(name, "{" + labels + "}" if labels else "", value))
    return "".join(line + "\n" for line in lines)
