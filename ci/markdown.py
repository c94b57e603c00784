"""Text of others inside GitHub's Markdown: it stays text, whatever it is made of.

In code, neither HTML nor Markdown counts, and no @name is notified. So a text of others stands in code.
"""

from __future__ import annotations

import html
import re
import unicodedata

# What turns the order of the characters around makes a line read as what it is not.
_TURNING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,;:()'/-]*")


def visible(text: str) -> str:
    """The text with what cannot be seen, or turns others around, spelt out; tabs and line ends stay."""
    text = text.replace("\r\n", "\n")
    return "".join(_spelt(character) for character in text)


def span(text: str) -> str:
    """One line as a code span."""
    line = " ".join(visible(text).split())
    if not line:
        return "` `"
    ticks = "`" * (_longest_run(line) + 1)
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
    ticks = "`" * max(3, _longest_run(shown) + 1)
    return f"{ticks}{language}\n{shown.rstrip()}\n{ticks}"


def _spelt(character: str) -> str:
    if character in "\n\t":
        return character
    if character in _TURNING or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
        return f"<U+{ord(character):04X}>"
    return character


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
