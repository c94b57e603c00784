"""The containers of a lab: made, started and repaired, with the files each needs before its first start."""

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.command import docker
from lab.progress import say

# What --privileged would give, spelt out: where the machine lacks CAP_SYS_RESOURCE, --privileged fails.
HOST_CAPABILITIES = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "BLOCK_SUSPEND",
    "DAC_READ_SEARCH",
    "IPC_LOCK",
    "IPC_OWNER",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "NET_ADMIN",
    "NET_BROADCAST",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
]

# The cgroup namespace is private and the machine's /sys/fs/cgroup is never mounted: systemd in the host would
# remount the machine's cgroups read-only.
HOST_OPTIONS = (
    *(option for capability in HOST_CAPABILITIES for option in ("--cap-add", capability)),
    *("--security-opt", "seccomp=unconfined"),
    *("--security-opt", "apparmor=unconfined"),
    *("--security-opt", "systempaths=unconfined"),
    *("--device-cgroup-rule", "a *:* rwm"),
    "--cgroupns=private",
    *("--tmpfs", "/run"),
    *("--tmpfs", "/run/lock"),
    *("--tmpfs", "/tmp:exec"),
)

FINGERPRINT = "registry-cache.lab.fingerprint"


@dataclass(frozen=True)
class HostFile:
    """A file put into a container before it starts first; `uid` and `gid` are the container's."""

    path: str
    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class ContainerSpec:
    """One container of a lab. A change of any value makes it anew."""

    name: str
    hostname: str
    image: str
    network: str
    address4: str
    address6: str
    options: tuple[str, ...] = ()
    files: tuple[HostFile, ...] = field(default=(), repr=False)

    def fingerprint(self) -> str:
        """Tells whether a container that stands was made from these very values."""
        contents = [(f.path, hashlib.sha256(f.content).hexdigest(), f.mode) for f in self.files]
        return hashlib.sha256(repr((self, contents)).encode()).hexdigest()


def _archive(files: Sequence[HostFile]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode, entry.uid, entry.gid = len(file.content), file.mode, file.uid, file.gid
            archive.addfile(entry, io.BytesIO(file.content))
    return stream.getvalue()


def ensure_container(spec: ContainerSpec, labels: Mapping[str, str]) -> bool:
    """Have the container run, made from `spec`; True if it had to be made or started."""
    template = f'{{{{.State.Status}}}}={{{{index .Config.Labels "{FINGERPRINT}"}}}}'
    present = docker("container", "ls", "-aq", "--filter", f"name=^{spec.name}$")
    if present:
        inspected = docker("container", "inspect", "-f", template, spec.name)
        status, _, fingerprint = inspected.partition("=")
        if fingerprint == spec.fingerprint() and status == "running":
            return False
        if fingerprint == spec.fingerprint() and status == "exited":
            docker("start", spec.name)
            return True
        # "created" is what a lab that was killed half-way leaves: its files may be missing.
        if status != "created":
            say(f"{spec.hostname} was made from other settings; making it anew")
        docker("rm", "-fv", spec.name)
    all_labels = {**labels, FINGERPRINT: spec.fingerprint()}
    label_options = [option for key, value in all_labels.items() for option in ("--label", f"{key}={value}")]
    place = ["--network", spec.network, "--ip", spec.address4, "--ip6", spec.address6]
    names = ["--name", spec.name, "--hostname", spec.hostname]
    docker("create", *names, *label_options, *place, *spec.options, spec.image)
    if spec.files:
        docker("cp", "-", f"{spec.name}:/", stdin=_archive(spec.files))
    docker("start", spec.name)
    return True
