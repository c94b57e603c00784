"""A Container with every input that is carried out, what Docker says of a plain one, and how both compare."""

from typing import Any

from offline_plugins import docker_container_state
from offline_plugins.docker_connection import Engine
from offline_plugins.docker_container import Container
from offline_plugins.docker_container_spec import SPEC
from offline_plugins.values import Properties, reveal

# every input of the official schema, by what a change of it does, and what is computed
OFFICIAL_REPLACING = frozenset(
    {
        "capabilities",
        "cgroupParent",
        "cgroupnsMode",
        "command",
        "cpus",
        "deviceCgroupRules",
        "deviceRequests",
        "devices",
        "dns",
        "dnsOpts",
        "dnsSearches",
        "domainname",
        "entrypoints",
        "envs",
        "gpus",
        "groupAdds",
        "hostname",
        "hosts",
        "image",
        "ipcMode",
        "labels",
        "logDriver",
        "logOpts",
        "mounts",
        "name",
        "networkMode",
        "networksAdvanced",
        "pidMode",
        "platform",
        "ports",
        "privileged",
        "publishAllPorts",
        "readOnly",
        "runtime",
        "securityOpts",
        "shmSize",
        "stdinOpen",
        "stopSignal",
        "stopTimeout",
        "storageOpts",
        "sysctls",
        "tty",
        "ulimits",
        "uploads",
        "user",
        "usernsMode",
        "volumes",
        "workingDir",
    }
)
OFFICIAL_UPDATING = frozenset(
    {
        "attach",
        "containerReadRefreshTimeoutMilliseconds",
        "cpuPeriod",
        "cpuQuota",
        "cpuSet",
        "cpuShares",
        "destroyGraceSeconds",
        "deviceReadBps",
        "deviceReadIops",
        "deviceWriteBps",
        "deviceWriteIops",
        "healthcheck",
        "init",
        "logs",
        "maxRetryCount",
        "memory",
        "memoryReservation",
        "memorySwap",
        "mustRun",
        "removeVolumes",
        "restart",
        "rm",
        "start",
        "tmpfs",
        "wait",
        "waitTimeout",
    }
)
OFFICIAL_COMPUTED = frozenset(
    {
        "bridge",
        "command",
        "containerLogs",
        "entrypoints",
        "envs",
        "exitCode",
        "healthcheck",
        "hostname",
        "init",
        "ipcMode",
        "labels",
        "logDriver",
        "networkDatas",
        "platform",
        "runtime",
        "securityOpts",
        "shmSize",
        "stopSignal",
        "stopTimeout",
    }
)

VALUES: Properties = {
    "capabilities": {"adds": ["CAP_NET_BIND_SERVICE"], "drops": ["ALL"]},
    "command": ["serve", "/etc/config.yml"],
    "destroyGraceSeconds": 10,
    "entrypoints": ["/bin/registry"],
    "envs": ["B=2", "A=1"],
    "groupAdds": ["1001"],
    "healthcheck": {"tests": ["CMD", "true"], "interval": "30s", "retries": 3, "startPeriod": "1m0s"},
    "hostname": "cache",
    "hosts": [{"host": "upstream", "ip": "203.0.113.1"}],
    "image": "sha256:12",
    "init": True,
    "labels": [{"label": "a", "value": "1"}, {"label": "b", "value": "2"}],
    "logDriver": "local",
    "logOpts": {"max-size": "10m"},
    "maxRetryCount": 4,
    "memory": 512,
    "memorySwap": 1024,
    "mounts": [
        {"type": "tmpfs", "target": "/m", "tmpfsOptions": {"sizeBytes": 1000, "mode": 448}},
        {
            "type": "bind",
            "source": "/s",
            "target": "/t",
            "readOnly": True,
            "bindOptions": {"propagation": "slave"},
        },
    ],
    "mustRun": False,
    "name": "cache",
    "networkMode": "host",
    "networksAdvanced": [
        {"name": "net", "aliases": ["x", "y"], "ipv4Address": "10.0.0.2", "ipv6Address": "fd::2"}
    ],
    "ports": [
        {"internal": 5000, "external": 443},
        {"internal": 53, "external": 53, "ip": "::", "protocol": "udp"},
    ],
    "readOnly": True,
    "removeVolumes": False,
    "restart": "always",
    "securityOpts": ["no-new-privileges:true"],
    "start": False,
    "stopSignal": "SIGINT",
    "stopTimeout": 20,
    "tmpfs": {"/tmp": "size=16m"},
    "ulimits": [{"name": "nofile", "soft": 100, "hard": 200}],
    "user": "1000:1000",
    "volumes": [
        {"hostPath": "/data", "containerPath": "/var/lib/registry"},
        {"volumeName": "v", "containerPath": "/v", "readOnly": True, "selinuxRelabel": "z"},
        {"containerPath": "/anonymous"},
        {"fromContainer": "other"},
    ],
    "wait": True,
    "waitTimeout": 5,
    "workingDir": "/home",
}


EVERY_ADDRESS = "0.0.0.0"


def checked(**inputs: Any) -> dict[str, Any]:
    """Checked inputs: a name, an image, and these."""
    done, wrong = SPEC.check({"image": "sha256:12", "name": "cache", **inputs})
    assert not wrong, wrong
    plain: dict[str, Any] = reveal(done)
    return plain


def difference(state: Properties, inputs: Properties) -> tuple[set[str], set[str]]:
    """The inputs that differ, and those of them that replace."""
    handler = Container(Engine())
    found = handler.diff({}, inputs, state)
    changed = {str(change.path[0]) for change in found}
    return changed, {str(change.path[0]) for change in found if handler.replaces(change, state, inputs)}


def inspected(**different: Any) -> dict[str, Any]:
    """What the engine says of a running container with nothing special about it."""
    found: dict[str, Any] = {
        "Id": "c0ffee",
        "Name": "/cache",
        "Image": "sha256:12",
        "Platform": "linux",
        "State": {"Running": True, "ExitCode": 0},
        "Config": {
            "Image": "sha256:12",
            "Hostname": "c0ffee",
            "Cmd": ["serve"],
            "Entrypoint": None,
            "Env": ["PATH=/bin"],
            "User": "nobody",
            "WorkingDir": "/srv",
            "Labels": {"from": "image"},
        },
        "HostConfig": {
            "Init": False,
            "IpcMode": "private",
            "LogConfig": {"Type": "json-file", "Config": {}},
            "Memory": 0,
            "MemorySwap": 0,
            "NetworkMode": "bridge",
            "ReadonlyRootfs": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "Runtime": "runc",
            "ShmSize": 67108864,
        },
        "NetworkSettings": {"Bridge": "", "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}, "Ports": {}},
    }
    for path, value in different.items():
        part, _, name = path.partition("_")
        if name:
            found[part][name] = value
        else:
            found[part] = value
    return found


def after_create(found: dict[str, Any], **inputs: Any) -> tuple[Properties, Properties]:
    """A container's state once it was made with these inputs and then inspected, and the inputs."""
    asked = checked(**inputs)
    return {**asked, **docker_container_state.properties(found, asked)}, asked
