"""A workflow's secrets on their way from the one step that has them into files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.engine import environment_of
from ci.keep_secrets import main

PASSPHRASE = "made-up passphrase"
S3 = {"S3_ACCESS_KEY_ID": "made-up-id", "S3_SECRET_ACCESS_KEY": "made-up-secret"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "env").touch()
    return tmp_path


def kept(place: Path, **given: str) -> tuple[int, dict[str, str]]:
    code = main([str(place / "secrets")], {**given, "GITHUB_ENV": str(place / "env")})
    return code, dict(line.split("=", 1) for line in (place / "env").read_text().splitlines())


def test_each_secret_is_in_a_file_of_its_own_that_nobody_else_reads(place: Path) -> None:
    code, variables = kept(place, PASSPHRASE=PASSPHRASE, SSH_PRIVATE_KEY="key", **S3)
    assert code == 0
    passphrase = Path(variables["PULUMI_CONFIG_PASSPHRASE_FILE"])
    assert passphrase.read_text() == PASSPHRASE
    s3 = Path(variables["AWS_SHARED_CREDENTIALS_FILE"])
    assert "aws_secret_access_key = made-up-secret" in s3.read_text()
    files = [passphrase, s3, place / "home/.ssh/id_ed25519"]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
    assert passphrase.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_was_there_open_to_all_is_closed(place: Path) -> None:
    (place / "secrets").mkdir()
    (place / "secrets" / "passphrase").touch(mode=0o666)
    kept(place, PASSPHRASE=PASSPHRASE)
    assert (place / "secrets" / "passphrase").stat().st_mode & 0o777 == 0o600


def test_no_secret_is_printed_or_handed_on_in_a_variable(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, variables = kept(place, PASSPHRASE=PASSPHRASE, SSH_PRIVATE_KEY="made-up key", **S3)
    out = capfd.readouterr()
    assert "made-up" not in out.out + out.err + str(variables)


def test_openssh_takes_the_key_however_it_was_pasted(place: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made)], check=True)
    kept(place, SSH_PRIVATE_KEY=made.read_text().rstrip("\n").replace("\n", "\r\n"))
    shown = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(place / "home/.ssh/id_ed25519")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.split()[:2] == made.with_suffix(".pub").read_text().split()[:2]


def test_what_is_not_given_is_not_made(place: Path) -> None:
    assert kept(place, PASSPHRASE="", SSH_PRIVATE_KEY="") == (0, {})
    assert not list((place / "secrets").iterdir())


def test_half_of_a_login_is_refused(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _ = kept(place, S3_ACCESS_KEY_ID="made-up-id")
    assert code == 1
    assert "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY: give both or none" in capfd.readouterr().err


def test_stacks_may_have_passphrases_of_their_own(place: Path) -> None:
    code, variables = kept(place, PASSPHRASES="staging=made-up=1\nprod=made-up 2\n", PASSPHRASE=PASSPHRASE)
    assert code == 0
    found = {
        stack: Path(environment_of(stack, variables)["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text()
        for stack in ("staging", "prod", "office")
    }
    assert found == {"staging": "made-up=1", "prod": "made-up 2", "office": PASSPHRASE}


@pytest.mark.parametrize("line", ["made-up 2", "../prod=made-up 2", "=made-up 2"])
def test_a_passphrase_for_no_stack_is_refused_and_not_repeated(
    place: Path, capfd: pytest.CaptureFixture[str], line: str
) -> None:
    code, _ = kept(place, PASSPHRASES=f"staging=made-up 1\n{line}\n")
    assert code == 1
    assert capfd.readouterr().err == "ci.keep_secrets: PASSPHRASES, line 2: write STACK=PASSPHRASE\n"
