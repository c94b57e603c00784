"""SSH keys as they stand in files and settings: is this text a host key, is this file a private key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_CURVES = {
    "ecdsa-sha2-nistp256": (b"nistp256", 65),
    "ecdsa-sha2-nistp384": (b"nistp384", 97),
    "ecdsa-sha2-nistp521": (b"nistp521", 133),
}
_RSA_MINIMUM_BITS = 2048
# Go's SSH library negotiates ECDSA before RSA before Ed25519 (golang.org/x/crypto ssh/common.go,
# defaultHostKeyAlgos). A client that pins one key without limiting the algorithms to its kind is therefore
# shown another key of a host that has several (hashicorp/terraform#18940); the first of these always fits.
PREFERENCE = (*_CURVES, "ssh-rsa", "ssh-ed25519")


class KeyProblem(ValueError):
    """The text is not the key that it should be.

    `what` completes the sentence "it …", `remedy` says what to write instead. Neither holds any of
    the text, which may be a secret pasted by mistake.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


def read_host_key(text: str) -> str:
    """Return the host key `text` as "type base64", without a comment.

    Everything is decoded: a key cut short while copying is refused here, not at the first connection.
    Raises KeyProblem. Format: RFC 4253 section 6.6, RFC 5656, RFC 8709.
    """
    remedy = "write the key itself, as `ssh-keyscan ADDRESS` prints it after the address"
    words = text.split()
    if "PRIVATE KEY" in text:
        raise KeyProblem("is a private key", f"{remedy}, and replace that private key: it may have been seen")
    if re.match(r"(SHA256|MD5):|[0-9a-f]{2}(:[0-9a-f]{2}){15}$", text.strip()):
        raise KeyProblem("is a fingerprint, which cannot be turned back into the key", remedy)
    if len(words) >= 3 and words[1] in PREFERENCE:
        raise KeyProblem("begins with a host name", "leave out the first word")
    if len(words) < 2:
        raise KeyProblem("is not of the form `type base64`", remedy)
    kind, encoded = words[:2]
    if "-cert-" in kind:
        raise KeyProblem("is a host certificate", remedy)
    if kind not in PREFERENCE:
        known = ", ".join(PREFERENCE)
        raise KeyProblem(f"has a type that is not supported ({_printable(kind)})", f"use one of {known}")
    try:
        blob = base64.b64decode(encoded, validate=True)
        fields = list(_fields(blob))
    except (binascii.Error, struct.error, ValueError):
        raise KeyProblem("is cut short or damaged: its base64 part does not decode", remedy) from None
    if not fields or fields[0] != kind.encode():
        raise KeyProblem(f"says {kind}, but the encoded key is of another type", remedy)
    _check_fields(kind, fields[1:], remedy)
    return f"{kind} {encoded}"


def fingerprint(key: str) -> str:
    """The fingerprint of a host key, "type base64", as ssh-keygen shows it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _printable(word: str) -> str:
    return word if re.fullmatch(r"[a-z0-9@.-]{1,40}", word) else "not a word that names one"


def _fields(blob: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(blob):
        (length,) = struct.unpack_from(">I", blob, position)
        field = blob[position + 4 : position + 4 + length]
        if len(field) != length:
            raise ValueError("cut short")
        yield field
        position += 4 + length


def _check_fields(kind: str, fields: list[bytes], remedy: str) -> None:
    if kind == "ssh-ed25519":
        right = len(fields) == 1 and len(fields[0]) == 32
    elif kind == "ssh-rsa":
        right = len(fields) == 2
        bits = int.from_bytes(fields[1], "big").bit_length() if right else 0
        if right and bits < _RSA_MINIMUM_BITS:
            raise KeyProblem(f"is an RSA key of only {bits} bits", "use the host's Ed25519 or ECDSA key")
    else:
        curve, point = _CURVES[kind]
        right = len(fields) == 2 and fields[0] == curve and len(fields[1]) == point
    if not right:
        raise KeyProblem(f"is not a whole {kind} key", remedy)


def check_private_key(text: str) -> None:
    """Raise KeyProblem unless `text` is a private key that SSH can use without asking for a passphrase."""
    if text.startswith("PuTTY-User-Key-File"):
        raise KeyProblem("is in PuTTY's format", "convert it: puttygen KEY.ppk -O private-openssh -o KEY")
    if re.match(r"(ssh-|ecdsa-|sk-)\S+ AAAA", text):
        raise KeyProblem("is a public key", "give the private one, usually the same name without .pub")
    if not re.search(r"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----", text.replace("ENCRYPTED ", "")):
        raise KeyProblem("is not a private key", "give a file that `ssh-keygen -t ed25519` makes")
    if _is_encrypted(text):
        raise KeyProblem(
            "is protected by a passphrase, which nobody can type during an `up`",
            "load it into an agent (ssh-add) and set agent: true in its place",
        )


def _is_encrypted(text: str) -> bool:
    if "ENCRYPTED" in text:
        return True
    body = "".join(line for line in text.splitlines() if line and "-----" not in line and ":" not in line)
    try:
        blob = base64.b64decode(body)
    except binascii.Error:
        raise KeyProblem(
            "is cut short or damaged: its base64 part does not decode", "copy it again"
        ) from None
    magic = b"openssh-key-v1\0"
    if not blob.startswith(magic):
        return False
    (length,) = struct.unpack_from(">I", blob, len(magic))
    return blob[len(magic) + 4 : len(magic) + 4 + length] != b"none"


@dataclass(frozen=True)
class KnownHosts:
    """The text of a known_hosts file. Format: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT."""

    text: str

    def key_of(self, address: str, port: int) -> str | None:
        """Return the key to pin for a host, or None where the file has none (or only revoked ones)."""
        name = address.lower() if port == 22 else f"[{address.lower()}]:{port}"
        found: dict[str, str] = {}
        revoked: set[str] = set()
        for line in self.text.splitlines():
            words = line.split()
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) < 3 or words[0].startswith("#") or not _matches(words[0], name):
                continue
            try:
                key = read_host_key(f"{words[1]} {words[2]}")
            except KeyProblem:
                continue
            if marker == "@revoked":
                revoked.add(key)
            elif not marker:
                found.setdefault(words[1], key)
        usable = (found[kind] for kind in PREFERENCE if kind in found and found[kind] not in revoked)
        return next(usable, None)


def _matches(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        return _hash_matches(patterns, name)
    matched = False
    for pattern in patterns.lower().split(","):
        wanted = not pattern.startswith("!")
        expression = re.escape(pattern.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(expression, name):
            if not wanted:
                return False
            matched = True
    return matched


def _hash_matches(entry: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in entry.split("|")[2:4])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
