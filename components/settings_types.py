"""The kinds of single value that the settings are made of. Each refuses a wrong one with its remedy."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from components.lib import image_reference, ssh_keys
from components.settings_errors import kind_of, refuse, show

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_HUB_NAMES = {
    "index.docker.io",
    "registry-1.docker.io",
    "hub.docker.com",
    "registry.hub.docker.com",
    "docker.com",
}
SHARED_DIRECTORIES = frozenset(
    {"", "bin", "boot", "data", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root"}
    | {"run", "sbin", "srv", "sys", "tmp", "usr", "var", "var/cache", "var/lib", "var/log", "var/tmp"}
    | {"var/lib/docker", "var/lib/containerd"}
)
_SYSTEM_DIRECTORIES = ("boot/", "dev/", "etc/", "proc/", "run/", "sys/", "tmp/", "usr/", "var/tmp/")
_DOCKERS_DIRECTORIES = ("var/lib/docker/", "var/lib/containerd/")


@dataclass(frozen=True)
class Form:
    """How a value is written, for the reference: in words, with its unit, and an example."""

    words: str
    example: object


@dataclass(frozen=True)
class Example:
    """An example that fits one setting better than its kind's."""

    value: object


def whole_number(low: int, high: int, unit: str = "") -> BeforeValidator:
    """Return the check for a whole number in a range; text with digits only is taken too (`port: "443"`)."""
    remedy = f"write a whole number from {low} to {high}{unit}"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise refuse(
                f"is {kind_of(value)} and not a whole one"
                if isinstance(value, float)
                else f"is {kind_of(value)}",
                remedy,
            )
        if isinstance(value, str) and not re.fullmatch(r"0|[1-9][0-9]{0,9}", value):
            raise refuse(f"is {show(value)}", remedy)
        if not low <= int(value) <= high:
            raise refuse(f"is {show(value)}", remedy)
        return int(value)

    return BeforeValidator(check)


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
        raise refuse(
            f"is {show(value)}, which cannot be part of a resource's name",
            "use small letters, digits and hyphens, as in web-1",
        )
    return value


def _user(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", value):
        raise refuse(f"is {show(value)}, which is not a login name", "write a name such as root or deploy")
    return value


def _address(value: str) -> str:
    if "://" in value:
        raise refuse("is a URL", "write only the IP address or name")
    if "@" in value:
        raise refuse("has a user name in it", "write the part after the @, and the part before it as user:")
    if "/" in value:
        raise refuse(f"is {show(value)}", "write one address, without a / and what follows")
    if value.startswith("[") or re.fullmatch(r"[^:]+:[0-9]+", value):
        raise refuse(f"is {show(value)}", "write the address alone, and an SSH port of its own as port:")
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return domain_name(value)
    if address.is_unspecified or address.is_multicast:
        raise refuse(f"is {show(value)}, which is no machine's address", "write the machine's own address")
    return str(address)


def domain_name(value: str) -> str:
    """Check a DNS name (RFC 1123), which an address with a slip in it must not pass as."""
    last = value.rpartition(".")[2]
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]+", last) or ":" in value:
        raise refuse(
            f"is {show(value)}, which is not an IP address", "four numbers from 0 to 255, as in 203.0.113.10"
        )
    if len(value) > 253 or not _DOMAIN.fullmatch(value):
        raise refuse(
            f"is {show(value)}, which is neither an IP address nor a DNS name", "write one of the two"
        )
    return value.lower()


def _host_key(value: str) -> str:
    try:
        return ssh_keys.read_host_key(value)
    except ssh_keys.KeyProblem as problem:
        raise refuse(problem.what, problem.remedy) from None


def _network(value: str) -> str:
    address, slash, _ = value.partition("/")
    try:
        alone = ipaddress.ip_address(address)
    except ValueError:
        raise refuse(f"is {show(value)}, which is no network", "write it as in 203.0.113.0/24") from None
    if not slash:
        raise refuse(
            f"is {show(value)}, an address without a prefix",
            f"for that one host write {alone}/{alone.max_prefixlen}",
        )
    try:
        right = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise refuse(
            f"is {show(value)}, whose part after the / is wrong",
            f"write a number from 0 to {alone.max_prefixlen}",
        ) from None
    if alone != right.network_address:
        raise refuse(
            f"is {show(value)}, an address inside a network",
            f"write {right} for the network, or {alone}/{alone.max_prefixlen} for that one host",
        )
    return str(right)


def _registry(value: str) -> str:
    if value.lower() in _HUB_NAMES:
        raise refuse(f"is {show(value)}", "write docker.io, the name that images of Docker Hub carry")
    # Before what shows the value: a password may be in it.
    if "://" in value:
        raise refuse("has a scheme", "write the name alone, as in ghcr.io; a special address goes into url:")
    if "@" in value:
        raise refuse("has a user name in it", "write the name alone, and username: and password: beside it")
    if "/" in value:
        raise refuse(
            f"is {show(value)}, with a path",
            f"write {value.partition('/')[0]}: a cache serves a whole registry",
        )
    host, _, port = value.partition(":")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise refuse(
            f"is {show(value)}", "write a name, and after a colon a port from 1 to 65535 if it needs one"
        )
    _address(host)
    return value.lower()


def base_url(value: str) -> str:
    """Check the address of a service: scheme, host and port, with neither a path nor credentials in it."""
    parts = _split_url(value)
    if parts.rstrip("/").count("/") > 2:
        raise refuse(f"is {show(value)}, with a path", f"write {'/'.join(parts.split('/')[:3])}")
    return parts.rstrip("/")


def _repository_url(value: str) -> str:
    return _split_url(value).rstrip("/")


def _split_url(value: str) -> str:
    remedy = "write it as in https://mirror.example.org"
    try:
        parts = urlsplit(value)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        right = False
    if not right or re.search(r"\s", value):
        raise refuse("is not a URL that begins with https:// or http://", remedy)
    if parts.username is not None or parts.password is not None:
        raise refuse(
            "has credentials in it, which others could read on the host", "leave them out of the URL"
        )
    if parts.query or parts.fragment:
        raise refuse("has a ? or # in it", remedy)
    _address(parts.hostname or "")
    return value


def _image(value: str) -> str:
    try:
        image_reference.parse(value)
    except ValueError:
        remedy = "write it as in docker.io/library/registry:3@sha256:…, with all 64 digits of the digest"
        raise refuse(f"is {show(value)}, which is not the name of an image", remedy) from None
    return value


def _container_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]+", value):
        raise refuse(f"is {show(value)}, which no container is called", "write it as `docker ps -a` shows it")
    return value


def _placed_directory(value: str) -> str:
    """Check a directory that is there: as one that is made, but a volume of Docker's may serve."""
    volume = re.fullmatch(r"/var/lib/docker/volumes/[A-Za-z0-9][A-Za-z0-9_.-]*/_data", value.rstrip("/"))
    return volume[0] if volume else _data_directory(value)


def _data_directory(value: str) -> str:
    if not value.startswith("/"):
        raise refuse(
            f"is {show(value)}, a relative directory", "write it from the root on: /data/docker_registry"
        )
    path = value.rstrip("/") or "/"
    if ".." in path.split("/") or "//" in path or "/./" in path:
        raise refuse(f"is {show(value)}", "write the directory without .., // or /./")
    if not re.fullmatch(r"[A-Za-z0-9/._-]+", path):
        raise refuse(
            f"is {show(value)}", "use letters, digits and . _ - only: Docker reads the rest as its own signs"
        )
    if path[1:] in SHARED_DIRECTORIES or path[1:].startswith(_SYSTEM_DIRECTORIES + _DOCKERS_DIRECTORIES):
        raise refuse(
            f"is {show(value)}, which others use too", "give the cache one of its own: /data/docker_registry"
        )
    return path


def _time_to_live(value: object) -> str:
    if value in (0, "0", "0s") and value is not False:
        return "0s"
    return _time(value, "write it with a unit, as in 168h; 0 keeps everything")


def _time(value: object, remedy: str) -> str:
    if _is_number(value):
        raise refuse(f"is {show(value)}, a time without a unit", remedy)
    days = re.fullmatch(r"([1-9][0-9]{0,3})d", str(value))
    if days:
        raise refuse(f"is {show(value)}, and the registry knows no days", f"write {int(days[1]) * 24}h")
    number = "[1-9][0-9]{0,5}"
    if not value or not re.fullmatch(f"({number}h)?({number}m)?({number}s)?", str(value)):
        raise refuse(f"is {show(value)}", remedy)
    return str(value)


def _size(value: object) -> str:
    if _is_number(value):
        raise refuse(f"is {show(value)}, a size without a unit", "write it with one, as in 10GiB")
    if not re.fullmatch(r"[1-9][0-9]*(\.[0-9]+)?(MiB|GiB|TiB|MB|GB|TB)", str(value)):
        raise refuse(f"is {show(value)}, not a size", "write a number and one of MiB, GiB, TiB, MB, GB, TB")
    return str(value)


def _share(value: object) -> str:
    if re.fullmatch(r"[1-9][0-9]?%", str(value)):
        return str(value)
    try:
        return _size(value)
    except ValueError:
        raise refuse(f"is {show(value)}", "write a share from 1% to 99%, or a size such as 2GiB") from None


def _idle(value: object) -> str:
    if value == "keep":
        return "keep"
    remedy = "write a time as in 720h, or keep"
    if value in (0, "0"):
        raise refuse(f"is {show(value)}", remedy)
    return _time(value, remedy)


def _collect_time(value: object) -> str:
    clock = "([01][0-9]|2[0-3]):[0-5][0-9]"
    text = " ".join(str(value).lower().split())
    if not re.fullmatch(f"hourly|daily {clock}|weekly (mon|tue|wed|thu|fri|sat|sun) {clock}", text):
        raise refuse(f"is {show(value)}", 'write hourly, "daily 03:00" or "weekly sun 03:00"')
    return text


def _is_number(value: object) -> bool:
    """Whether YAML read a number, or text that is nothing but digits."""
    return not isinstance(value, bool) and bool(re.fullmatch(r"[0-9]+(\.[0-9]+)?", str(value)))


def _package_version(value: object) -> str:
    remedy = 'write all three numbers in quotes, as in "28.5.2"'
    if isinstance(value, int | float):
        raise refuse("is a number, of which YAML keeps no closing zero", remedy)
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", value):
        raise refuse(f"is {show(value)}, which is not a version of Docker", remedy)
    return value


def _proxy_exception(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.*:/\[\]-]+", value):
        raise refuse(f"is {show(value)}", "write one name, domain, address or network an entry")
    return value


def _local_file(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value).strip():
        raise refuse(f"is {kind_of(value)}, not the name of a file", "write a path, as in ~/.ssh/id_ed25519")
    directory: Path = info.context["directory"] if info.context else Path()
    try:
        return directory / Path(value).expanduser()
    except RuntimeError:
        raise refuse(f"is {show(value)}, of a user that is not known here", "write the whole path") from None


def _tls_mode(value: object) -> object:
    return "off" if value is False else value


def _text(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(check)


Port = Annotated[int, whole_number(1, 65535), Form("port number", 443)]
Name = Annotated[str, _text(_name), Form("small letters, digits and hyphens", "web-1")]
"""Becomes part of resource names."""
User = Annotated[str, _text(_user), Form("login name", "deploy")]
Address = Annotated[str, _text(_address), Form("IP address or DNS name", "203.0.113.10")]
"""IPv4 or IPv6 address without brackets, or DNS name; in canonical form."""
HostKey = Annotated[
    str,
    _text(_host_key),
    Form(
        "type and Base64, as `ssh-keyscan` prints them",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOD8+G0yIAilaUMkDLUnKir+tFIApHMevxc8uHHvxtCX",
    ),
]
"""An SSH host key as "type base64"."""
Network = Annotated[str, _text(_network), Form("network with its prefix length", "203.0.113.0/24")]
"""IPv4 or IPv6 network in CIDR notation, canonical."""
Registry = Annotated[str, _text(_registry), Form("name of a registry", "ghcr.io")]
BaseUrl = Annotated[str, _text(base_url), Form("URL without a path", "https://10.0.0.5:8443")]
RepositoryUrl = Annotated[str, _text(_repository_url), Form("URL", "https://mirrors.aliyun.com/docker-ce")]
Image = Annotated[str, _text(_image), Form("name of an image", "docker.io/library/alpine:3")]
ContainerName = Annotated[str, _text(_container_name), Form("name of a container", "registry-cache")]
DataDirectory = Annotated[
    str, _text(_data_directory), Form("absolute path on the mirror", "/data/docker_registry")
]
PlacedDirectory = Annotated[
    str, _text(_placed_directory), Form("absolute path on the mirror", "/data/registry")
]
"""A directory that is there already; may be a volume of Docker's."""
TimeToLive = Annotated[
    str, BeforeValidator(_time_to_live), Form("time with its unit: h, m or s; 0 for ever", "168h")
]
"""A duration as Go reads it, with units; "0s" is for ever."""
Size = Annotated[
    str, BeforeValidator(_size), Form("size with its unit: MiB, GiB, TiB, MB, GB or TB", "10GiB")
]
Share = Annotated[str, BeforeValidator(_share), Form("share in %, or size with its unit", "2GiB")]
"""A part of a file system: a percentage or a Size."""
Idle = Annotated[str, BeforeValidator(_idle), Form("`keep`, or time with its unit: h, m or s", "720h")]
"""`keep`, or a duration as a TimeToLive that is not for ever."""
CollectTime = Annotated[
    str,
    BeforeValidator(_collect_time),
    Form("`hourly`, or `daily` or `weekly` with day and time", "weekly sun 03:00"),
]
"""`hourly`, `daily HH:MM` or `weekly DAY HH:MM`."""
PackageVersion = Annotated[
    str, BeforeValidator(_package_version), Form("all three numbers, in quotes", "28.5.2")
]
ProxyException = Annotated[str, _text(_proxy_exception), Form("name, domain or network", "10.0.0.0/8")]
LocalFile = Annotated[Path, BeforeValidator(_local_file), Form("file on this machine", "certificates/ca.pem")]
"""A file on this machine: ~ is the home directory, a relative path begins at the project's directory."""
YamlOff = BeforeValidator(_tls_mode)
"""YAML 1.1 reads a bare `off` as false."""
