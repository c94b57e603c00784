"""Text of others inside GitHub's Markdown: it stays text, whatever it is made of.

In code, neither HTML nor Markdown counts, and no @name is notified. So a text of others stands in code.
"""

from __future__ import annotations

import html
import re

# Control characters except tab and line end, line separators, halves of a character; and what turns the order
# of the characters around, which makes a line read as what it is not.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,;:()'/-]*")


def visible(text: str) -> str:
    """The text with what cannot be seen, or turns others around, spelt out; tabs and line ends stay."""
    return _UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text.replace("\r\n", "\n"))


def span(text: str) -> str:
    """One line as a code span."""
    line = " ".join(visible(text).split())
    if not line:
        return "` `"
    ticks = "`" * (longest_run(line) + 1)
    # A backtick at an end would join the fence.
    space = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def words(text: str) -> str:
    """Words of ours as they are, where nothing in them can be Markdown; else as a code span."""
    harmless = _HARMLESS.fullmatch(text) and "//" not in text and "www." not in text
    return text if harmless else span(text)


def element(text: str) -> str:
    """One line as an HTML code element, for where Markdown is not read: inside <summary>."""
    return f"<code>{html.escape(' '.join(visible(text).split()))}</code>"


def fence(text: str, language: str = "") -> str:
    """Lines as a fenced block, behind a fence longer than any in the text."""
    shown = visible(text)
    ticks = "`" * max(3, longest_run(shown) + 1)
    return f"{ticks}{language}\n{shown.rstrip()}\n{ticks}"


def longest_run(text: str) -> int:
    """The most backticks in a row."""
    return max((len(run) for run in re.findall("`+", text)), default=0)
