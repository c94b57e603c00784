"""Files that a proposed stack names and that are not here yet, played by others while it is checked."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

FILES = ("certificateFile", "privateKeyFile", "caFile")


@contextmanager
def files_in_place_of_missing(
    sections: Mapping[str, Any], root: Path
) -> Iterator[tuple[Mapping[str, Any], list[str]]]:
    """Give the sections with a certificate made up here in place of missing files, and those files' names.

    All of them are replaced where one is missing, as they must fit each other.
    """
    tls = dict(sections.get("tls", {}))
    named = [key for key in FILES if key in tls]
    missing = [str(tls[key]) for key in named if not (root / Path(tls[key]).expanduser()).is_file()]
    if not missing:
        yield sections, []
        return
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = _certificate()
        texts = {"certificateFile": certificate, "privateKeyFile": key, "caFile": certificate}
        for name in named:
            place = Path(directory) / name
            place.write_bytes(texts[name])
            tls[name] = str(place)
        yield {**sections, "tls": tls}, list(dict.fromkeys(missing))


def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.PEM), private
