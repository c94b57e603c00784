"""Writes the secrets of a workflow's step into files, and tells the later steps where they are.

GitHub hands a secret to a step in an environment variable, and in no other way that stays out of a command
line. So one step takes them, this one, and what runs after it reads files of mode 0600. Nothing is printed.

    PASSPHRASE=… SSH_PRIVATE_KEY=… python -m ci.keep_secrets DIRECTORY
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PASSPHRASES = "REGISTRY_CACHE_PASSPHRASES"
"""Names a folder with a file `passphrase-STACK` for each stack with a passphrase of its own."""

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_S3 = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")


def keep(directory: Path, home: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Writes what is `given` below `directory`, the SSH key where settings look for it; the variables to set.

    Raises ValueError for one without its other half, without repeating it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    variables: dict[str, str] = {}
    if given.get("PASSPHRASE"):
        _write(directory / "passphrase", given["PASSPHRASE"])
        variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(directory / "passphrase")
    for number, line in enumerate(given.get("PASSPHRASES", "").splitlines(), 1):
        stack, equals, passphrase = line.partition("=")
        if not equals or not _NAME.fullmatch(stack):
            raise ValueError(f"PASSPHRASES, line {number}: write STACK=PASSPHRASE")
        _write(directory / f"passphrase-{stack}", passphrase)
        variables[PASSPHRASES] = str(directory)
    if given.get("SSH_PRIVATE_KEY"):
        # OpenSSH refuses a key whose last line does not end.
        (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
        _write(
            home / ".ssh" / "id_ed25519", given["SSH_PRIVATE_KEY"].replace("\r\n", "\n").rstrip("\n") + "\n"
        )
    key, secret = (given.get(name, "") for name in _S3)
    if bool(key) != bool(secret):
        raise ValueError(f"{' and '.join(_S3)}: give both or none")
    if key:
        _write(
            directory / "s3-credentials",
            f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n",
        )
        variables["AWS_SHARED_CREDENTIALS_FILE"] = str(directory / "s3-credentials")
    return variables


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    # One that was there keeps its mode otherwise.
    path.chmod(0o600)


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Names the files for the later steps in GITHUB_ENV."""
    if len(arguments) != 1:
        print("use: python -m ci.keep_secrets DIRECTORY", file=sys.stderr)
        return 2
    try:
        variables = keep(Path(arguments[0]), Path.home(), environment)
    except ValueError as error:
        print(f"ci.keep_secrets: {error}", file=sys.stderr)
        return 1
    with Path(environment["GITHUB_ENV"]).open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in variables.items())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
