"""What a Container takes, as pulumi-docker 5.2.0 does: inputs, defaults, what replaces, what is computed.

Checked against the official schema and kreuzwerker/terraform-provider-docker (4.5,
`resource_docker_container.go`). Inputs that registry-cache has no use for are refused by name.
"""

from offline_plugins import docker_durations
from offline_plugins.spec import (
    Computed,
    Field,
    Flag,
    ListOf,
    MapOf,
    Number,
    Object,
    Path,
    Problem,
    Spec,
    Text,
)
from offline_plugins.values import Properties, Value, reveal

_WHOLE = Number(whole=True)
_TEXTS = ListOf(Text())

_CAPABILITIES = Object({"adds": Field(_TEXTS), "drops": Field(_TEXTS)})

_HEALTHCHECK = Object(
    {
        "interval": Field(Text(), default="0s"),
        "retries": Field(_WHOLE, default=0),
        "startInterval": Field(Text(), default="0s"),
        "startPeriod": Field(Text(), default="0s"),
        "tests": Field(_TEXTS),
        "timeout": Field(Text(), default="0s"),
    }
)

_HOST = Object({"host": Field(Text(), required=True), "ip": Field(Text(), required=True)})

_LABEL = Object({"label": Field(Text(), required=True), "value": Field(Text(), required=True)})

_MOUNT = Object(
    {
        "bindOptions": Field(
            Object(
                {"propagation": Field(Text(("private", "rprivate", "shared", "rshared", "slave", "rslave")))}
            )
        ),
        "readOnly": Field(Flag()),
        "source": Field(Text()),
        "target": Field(Text(), required=True),
        "tmpfsOptions": Field(Object({"mode": Field(_WHOLE), "sizeBytes": Field(_WHOLE)})),
        "type": Field(Text(("bind", "volume", "tmpfs")), required=True),
    },
    refused=frozenset({"volumeOptions"}),
)

_NETWORK = Object(
    {
        "aliases": Field(_TEXTS),
        "ipv4Address": Field(Text()),
        "ipv6Address": Field(Text()),
        "name": Field(Text(), required=True),
    },
    refused=frozenset({"driverOpts", "gwPriority", "linkLocalIps", "macAddress"}),
)

_PORT = Object(
    {
        "external": Field(_WHOLE),
        "internal": Field(_WHOLE, required=True),
        "ip": Field(Text(), default="0.0.0.0"),
        "protocol": Field(Text(), default="tcp"),
    }
)

_ULIMIT = Object(
    {
        "hard": Field(_WHOLE, required=True),
        "name": Field(Text(), required=True),
        "soft": Field(_WHOLE, required=True),
    }
)

_VOLUME = Object(
    {
        "containerPath": Field(Text()),
        "fromContainer": Field(Text()),
        "hostPath": Field(Text()),
        "readOnly": Field(Flag()),
        "selinuxRelabel": Field(Text(("z", "Z"))),
        "volumeName": Field(Text()),
    }
)

SPEC = Spec(
    "docker:index/container:Container",
    inputs={
        "capabilities": Field(_CAPABILITIES, replaces=True),
        "command": Field(_TEXTS, replaces=True),
        "destroyGraceSeconds": Field(_WHOLE),
        "entrypoints": Field(_TEXTS, replaces=True),
        "envs": Field(_TEXTS, replaces=True),
        "groupAdds": Field(_TEXTS, replaces=True),
        "healthcheck": Field(_HEALTHCHECK),
        "hostname": Field(Text(), replaces=True),
        "hosts": Field(ListOf(_HOST), replaces=True),
        "image": Field(Text(), required=True, replaces=True),
        "init": Field(Flag()),
        "labels": Field(ListOf(_LABEL), replaces=True),
        "logDriver": Field(Text(), replaces=True),
        "logOpts": Field(MapOf(Text()), replaces=True),
        "maxRetryCount": Field(_WHOLE),
        "memory": Field(_WHOLE),
        "memorySwap": Field(_WHOLE),
        "mounts": Field(ListOf(_MOUNT), replaces=True),
        "mustRun": Field(Flag(), default=True),
        "name": Field(Text(), replaces=True),
        "networkMode": Field(Text(), default="bridge", replaces=True),
        "networksAdvanced": Field(ListOf(_NETWORK), replaces=True),
        "ports": Field(ListOf(_PORT), replaces=True),
        "readOnly": Field(Flag(), default=False, replaces=True),
        "removeVolumes": Field(Flag(), default=True),
        "restart": Field(Text(("no", "on-failure", "always", "unless-stopped")), default="no"),
        "securityOpts": Field(_TEXTS, replaces=True),
        "start": Field(Flag(), default=True),
        "stopSignal": Field(Text(), replaces=True),
        "stopTimeout": Field(_WHOLE, replaces=True),
        "tmpfs": Field(MapOf(Text())),
        "ulimits": Field(ListOf(_ULIMIT), replaces=True),
        "user": Field(Text(), replaces=True),
        "volumes": Field(ListOf(_VOLUME), replaces=True),
        "wait": Field(Flag(), default=False),
        "waitTimeout": Field(_WHOLE, default=60),
        "workingDir": Field(Text(), replaces=True),
    },
    outputs={
        "bridge": Computed(stable=True),
        "command": Computed(stable=True),
        "containerLogs": Computed(stable=True),
        "entrypoints": Computed(stable=True),
        "envs": Computed(stable=True),
        "exitCode": Computed(stable=True),
        "healthcheck": Computed(stable=True),
        "hostname": Computed(stable=True),
        "init": Computed(stable=True),
        "ipcMode": Computed(stable=True),
        "labels": Computed(stable=True),
        "logDriver": Computed(stable=True),
        "networkDatas": Computed(stable=True),
        "platform": Computed(stable=True),
        "runtime": Computed(stable=True),
        "securityOpts": Computed(stable=True),
        "shmSize": Computed(stable=True),
        "stopSignal": Computed(stable=True),
        "stopTimeout": Computed(stable=True),
    },
    refused=frozenset(
        {
            "attach",
            "cgroupParent",
            "cgroupnsMode",
            "containerReadRefreshTimeoutMilliseconds",
            "cpuPeriod",
            "cpuQuota",
            "cpuSet",
            "cpuShares",
            "cpus",
            "deviceCgroupRules",
            "deviceReadBps",
            "deviceReadIops",
            "deviceRequests",
            "deviceWriteBps",
            "deviceWriteIops",
            "devices",
            "dns",
            "dnsOpts",
            "dnsSearches",
            "domainname",
            "gpus",
            "ipcMode",
            "logs",
            "memoryReservation",
            "pidMode",
            "platform",
            "privileged",
            "publishAllPorts",
            "rm",
            "runtime",
            "shmSize",
            "stdinOpen",
            "storageOpts",
            "sysctls",
            "tty",
            "uploads",
            "usernsMode",
        }
    ),
    delete_before_replace=True,
)


def problems(inputs: Properties) -> list[Problem]:
    """Mistakes that the shapes of the inputs do not show; unknown values are no mistakes."""
    plain = reveal(inputs)
    found = [
        Problem(("command", index), "values for 'command' may not be empty")
        for index, part in enumerate(_list(plain.get("command")))
        if part == ""
    ]
    for name in ("interval", "startInterval", "startPeriod", "timeout"):
        healthcheck = plain.get("healthcheck")
        if isinstance(healthcheck, dict):
            found += _duration_problems(healthcheck.get(name), ("healthcheck", name))
    for index, volume in enumerate(_list(plain.get("volumes"))):
        if isinstance(volume, dict):
            found += _volume_problems(volume, ("volumes", index))
    found += [
        Problem((name,), f"'{name}' must be at least {least}")
        for name, least in (("memory", 0), ("memorySwap", -1))
        if isinstance(plain.get(name), int) and plain[name] < least
    ]
    return found


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def _duration_problems(value: Value, path: Path) -> list[Problem]:
    if not isinstance(value, str):
        return []
    try:
        docker_durations.nanoseconds(value)
    except ValueError as error:
        return [Problem(path, str(error))]
    return []


def _volume_problems(volume: dict[str, Value], path: Path) -> list[Problem]:
    if not volume.get("containerPath") and not volume.get("fromContainer"):
        return [Problem(path, "a volume needs 'containerPath' or 'fromContainer'")]
    if volume.get("containerPath") and volume.get("fromContainer"):
        return [Problem(path, "a volume takes 'containerPath' or 'fromContainer', not both")]
    host_path = volume.get("hostPath")
    if isinstance(host_path, str) and not host_path.startswith("/"):
        return [Problem((*path, "hostPath"), "'hostPath' must be an absolute path")]
    return []
