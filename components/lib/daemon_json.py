"""Docker's daemon.json: our mirrors go in and out, everything else stays as it is, byte for byte.

This file runs on the hosts, by whatever Python they have: 2.7 on CentOS 7, 3.6 on EL 8. So it holds only what
both know.

    python -c "$source" merge FILE URL...                 our mirrors first, others' after them
    python -c "$source" remove FILE [--keep-list] URL...  ours out; --keep-list leaves [] where none is left
    python -c "$source" check FILE URL...                 only whether it can be edited, and holds our mirrors

Prints "changed" or "unchanged", or what a check found to be otherwise. Where FILE cannot be understood it is
left alone: exit code 3, and the place on standard error.
"""

# The newer ways that these rules ask for are not in Python 2.7.
# ruff: noqa: PTH101, PTH103, PTH104, PTH110, PTH112, PTH116, PTH118, PTH123, UP003, UP004, UP008, UP010, UP031
from __future__ import print_function, unicode_literals

import json
import os
import re
import subprocess
import sys

KEY = "registry-mirrors"
UNREADABLE = 3
_BOM = "\ufeff"
_BLANK = _BOM + " \t\r\n"
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_RESTORECON = ("/sbin/restorecon", "/usr/sbin/restorecon")


class Unreadable(ValueError):
    """The text is not what Docker would read, or not what can be edited safely."""

    def __init__(self, text, position, what):
        # type: (str, int, str) -> None
        before = text[:position]
        line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
        super(Unreadable, self).__init__("line %d, column %d: %s" % (line, column, what))


class Member(object):
    """One entry of the outermost object: `text[start:end]` is it, `text[value:end]` its value."""

    def __init__(self, key, start, value, end):
        # type: (str, int, int, int) -> None
        self.key = key
        self.start = start
        self.value = value
        self.end = end


def merge(text, mirrors):
    # type: (str, list[str]) -> str
    """Return `text` with `mirrors` at the head of registry-mirrors, in that order. Raises Unreadable."""
    others = [url for url in _mirrors_in(text) if not _is_one_of(url, mirrors)]
    return _with_mirrors(text, mirrors + others)


def remove(text, mirrors, keep_list=False):
    # type: (str, list[str], bool) -> str
    """Return `text` without `mirrors`. Raises Unreadable.

    Where none is left the whole entry goes, or with `keep_list` stays as an empty list: a running daemon
    forgets its mirrors only at a list without them (moby daemon/reload.go).
    """
    before = _mirrors_in(text)
    rest = [url for url in before if not _is_one_of(url, mirrors)]
    if rest or keep_list:
        return _with_mirrors(text, rest)
    return _without_entry(text)


def lack(text, mirrors):
    # type: (str, list[str]) -> str
    """Return what keeps `mirrors` from being tried first, empty where nothing does. Raises Unreadable."""
    there = _mirrors_in(text)
    absent = [url for url in mirrors if not _is_one_of(url, there)]
    if absent:
        return "without " + ", ".join(absent)
    return "" if not mirrors or merge(text, mirrors) == text else "other mirrors come before ours"


def _is_one_of(url, mirrors):
    # type: (str, list[str]) -> bool
    """Docker takes a mirror with and without a slash at the end for the same."""
    return url.rstrip("/") in [mirror.rstrip("/") for mirror in mirrors]


def _mirrors_in(text):
    # type: (str) -> list[str]
    entry = _entry(text)
    if entry is None:
        return []
    mirrors = json.loads(text[entry.value : entry.end])
    if not isinstance(mirrors, list) or not all(isinstance(url, type("")) for url in mirrors):
        raise Unreadable(text, entry.value, '"%s" is not a list of addresses' % KEY)
    return mirrors


def _entry(text):
    # type: (str) -> Member | None
    found = [member for member in _members(text) if member.key == KEY]
    if len(found) > 1:
        raise Unreadable(text, found[1].start, '"%s" is there a second time' % KEY)
    return found[0] if found else None


def _with_mirrors(text, mirrors):
    # type: (str, list[str]) -> str
    entry = _entry(text)
    if entry is not None:
        old = text[entry.value : entry.end]
        if json.loads(old) == mirrors:
            return text
        return text[: entry.value] + _list(text, mirrors, "\n" in old or old == "[]") + text[entry.end :]
    members, newline = _members(text), _newline(text)
    name = json.dumps(KEY) + ": "
    if not text.strip(_BLANK):
        text = (_BOM if text.startswith(_BOM) else "") + "{}" + newline
    if not members:
        entry_text = newline + "  " + name + _list(text, mirrors, True) + newline
        return text[: text.index("{") + 1] + entry_text + text[text.rindex("}") :]
    end, lines = members[-1].end, "\n" in text[: members[0].start]
    gap = newline + _indent(text) if lines else " "
    return text[:end] + "," + gap + name + _list(text, mirrors, lines) + text[end:]


def _without_entry(text):
    # type: (str) -> str
    members = _members(text)
    keys = [member.key for member in members]
    if KEY not in keys:
        return text
    index = keys.index(KEY)
    if len(members) == 1:
        return text[: text.index("{") + 1] + text[text.rindex("}") :]
    if index == 0:
        return text[: members[0].start] + text[members[1].start :]
    return text[: members[index - 1].end] + text[members[index].end :]


def _list(text, mirrors, lines):
    # type: (str, list[str], bool) -> str
    """Write a list in the manner of the file: an address a line, or all in one."""
    entries = [json.dumps(url) for url in mirrors]
    if not entries or not lines:
        return "[" + ", ".join(entries) + "]"
    indent, newline = _indent(text), _newline(text)
    gap = newline + indent * 2
    return "[" + gap + ("," + gap).join(entries) + newline + indent + "]"


def _indent(text):
    # type: (str) -> str
    members = _members(text)
    before = text[: members[0].start] if members else ""
    return before[before.rfind("\n") + 1 :] if "\n" in before else "  "


def _newline(text):
    # type: (str) -> str
    return "\r\n" if "\r\n" in text else "\n"


def _members(text):
    # type: (str) -> list[Member]
    """The entries of the outermost object. Raises Unreadable where `text` is not JSON or not an object."""
    position = _skip_space(text, 1 if text.startswith(_BOM) else 0)
    if position == len(text):
        return []
    if text[position] != "{":
        _value_end(text, position)
        raise Unreadable(text, position, "the file must hold an object: { ... }")
    members, end = _object(text, position)
    end = _skip_space(text, end)
    if end != len(text):
        raise Unreadable(text, end, "something follows the closing brace")
    return members


def _object(text, position):
    # type: (str, int) -> tuple[list[Member], int]
    members = []  # type: list[Member]
    position = _skip_space(text, position + 1)
    if text[position : position + 1] == "}":
        return members, position + 1
    while True:
        key = _STRING.match(text, position)
        if key is None:
            hint = " (the comma before it is one too many)" if text[position : position + 1] == "}" else ""
            raise Unreadable(text, position, "expected a name in double quotes" + hint)
        colon = _skip_space(text, key.end())
        if text[colon : colon + 1] != ":":
            raise Unreadable(text, colon, "expected a colon")
        value = _skip_space(text, colon + 1)
        end = _value_end(text, value)
        members.append(Member(json.loads(key.group()), position, value, end))
        position, closed = _after_element(text, end, "}")
        if closed:
            return members, position


def _after_element(text, end, closing):
    # type: (str, int, str) -> tuple[int, bool]
    position = _skip_space(text, end)
    sign = text[position : position + 1]
    if sign == closing:
        return position + 1, True
    if sign != ",":
        raise Unreadable(text, position, "expected a comma or %s" % closing)
    return _skip_space(text, position + 1), False


def _value_end(text, position):
    # type: (str, int) -> int
    sign = text[position : position + 1]
    if sign == "{":
        return _object(text, position)[1]
    if sign == "[":
        position = _skip_space(text, position + 1)
        if text[position : position + 1] == "]":
            return position + 1
        while True:
            position, closed = _after_element(text, _value_end(text, position), "]")
            if closed:
                return position
    match = (_STRING if sign == '"' else _SCALAR).match(text, position)
    if match is None:
        raise Unreadable(text, position, "expected a value")
    return match.end()


def _skip_space(text, position):
    # type: (str, int) -> int
    match = _SPACE.match(text, position)
    return match.end() if match else position


def read(path):
    # type: (str) -> str
    """Return the file's text, empty where there is none. Raises Unreadable."""
    if not os.path.exists(path):
        return ""
    with open(path, "rb") as file:
        content = file.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        readable = content[: error.start].decode("utf-8")
    raise Unreadable(readable, len(readable), "not UTF-8 text")


def write(path, text):
    # type: (str, str) -> None
    """Replace the file in one step, keeping its mode and owner; a link's target is replaced, not the link."""
    path = os.path.realpath(path)
    directory, name = os.path.split(path)
    if not os.path.isdir(directory):
        os.makedirs(directory, 0o755)
    # One name, so that what a killed run leaves is overwritten by the next.
    temporary = os.path.join(directory, "." + name + ".registry-cache")
    with open(temporary, "wb") as file:
        os.chmod(temporary, 0o600)
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    if os.path.exists(path):
        status = os.stat(path)
        os.chown(temporary, status.st_uid, status.st_gid)
        os.chmod(temporary, status.st_mode & 0o7777)
    else:
        os.chmod(temporary, 0o644)
    os.rename(temporary, path)
    for program in _RESTORECON:
        if os.access(program, os.X_OK):
            subprocess.check_call([program, path])
            break


def main(arguments):
    # type: (list[str]) -> int
    """Do what the command line says; see above."""
    action, path = arguments[0], arguments[1]
    mirrors = [url for url in arguments[2:] if url != "--keep-list"]
    try:
        before = read(path)
        if action == "merge":
            after = merge(before, mirrors)
        elif action == "remove" and os.path.exists(path):
            after = remove(before, mirrors, "--keep-list" in arguments)
        elif action == "check":
            print(lack(before, mirrors) or "unchanged")
            return 0
        else:
            after = before
    except Unreadable as error:
        print("%s: %s; nothing was changed" % (path, error), file=sys.stderr)
        return UNREADABLE
    if after != before:
        write(path, after)
    print("unchanged" if after == before else "changed")
    return 0


if __name__ == "__main__":
    sys.exit(main([part.decode("utf-8") if isinstance(part, bytes) else part for part in sys.argv[1:]]))
