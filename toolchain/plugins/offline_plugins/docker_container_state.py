"""What `docker inspect` says of a container, as a Container's properties.

As upstream (`resourceDockerContainerRead`): environment variables, labels and volumes are not read, since
they mix with the image's own; a container that does not run although it must shows `mustRun` as false, which
the next `up` puts right.
"""

from collections.abc import Mapping
from typing import Any

from offline_plugins import docker_durations
from offline_plugins.handler import Plain

_MEBIBYTE = 1024 * 1024


def properties(found: Mapping[str, Any], stored: Plain) -> Plain:
    """The properties of an inspected container.

    `stored` is its state so far: its inputs when it is new, nothing when it is imported.
    """
    config, host, state = found["Config"], found["HostConfig"], found["State"]
    settings = found["NetworkSettings"]
    read: Plain = {
        "bridge": settings.get("Bridge") or "",
        "command": config.get("Cmd") or [],
        "entrypoints": config.get("Entrypoint") or [],
        "groupAdds": host.get("GroupAdd") or [],
        "hostname": config.get("Hostname") or "",
        "hosts": [_extra_host(entry) for entry in host.get("ExtraHosts") or []],
        "image": _image(found, stored),
        "init": bool(host.get("Init")),
        "ipcMode": host.get("IpcMode") or "",
        "logDriver": host["LogConfig"]["Type"],
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
        "memory": host["Memory"] // _MEBIBYTE,
        "memorySwap": _swap(host["MemorySwap"]),
        "mounts": [_mount(mount) for mount in host.get("Mounts") or []],
        "name": found["Name"].lstrip("/"),
        "networkDatas": [_network(name, data) for name, data in (settings.get("Networks") or {}).items()],
        "networkMode": host["NetworkMode"],
        "platform": found.get("Platform") or "",
        "readOnly": host["ReadonlyRootfs"],
        "restart": host["RestartPolicy"]["Name"] or "no",
        "runtime": host.get("Runtime") or "",
        "securityOpts": host.get("SecurityOpt") or [],
        "shmSize": host["ShmSize"] // _MEBIBYTE,
        "stopSignal": config.get("StopSignal") or "",
        "stopTimeout": config.get("StopTimeout") or 0,
        "tmpfs": host.get("Tmpfs") or {},
        "user": config.get("User") or "",
        "workingDir": config.get("WorkingDir") or "",
    }
    if host.get("CapAdd") or host.get("CapDrop"):
        read["capabilities"] = {"adds": host.get("CapAdd") or [], "drops": host.get("CapDrop") or []}
    imported = not stored
    if imported or stored.get("logOpts"):
        read["logOpts"] = host["LogConfig"].get("Config") or {}
    if imported or stored.get("ulimits"):
        read["ulimits"] = [
            {"name": limit["Name"], "soft": limit["Soft"], "hard": limit["Hard"]}
            for limit in host.get("Ulimits") or []
        ]
    if config.get("Healthcheck"):
        read["healthcheck"] = _healthcheck(config["Healthcheck"])
    must_run = stored.get("mustRun", True)
    if (imported or stored.get("ports")) and (state["Running"] or must_run):
        read["ports"] = _ports(settings.get("Ports") or {})
    if not state["Running"]:
        read["exitCode"] = state["ExitCode"]
        if must_run:
            read["mustRun"] = False
    return read


def _image(found: Mapping[str, Any], stored: Plain) -> str:
    by_id = str(stored.get("image") or "").startswith("sha256:")
    return str(found["Image"] if by_id else found["Config"]["Image"])


def _extra_host(entry: str) -> Plain:
    host, _, ip = entry.partition(":")
    return {"host": host, "ip": ip}


def _swap(limit: int) -> int:
    return limit // _MEBIBYTE if limit > 0 else limit


def _mount(mount: Mapping[str, Any]) -> Plain:
    read: Plain = {
        "target": mount["Target"],
        "source": mount.get("Source") or "",
        "type": mount["Type"],
        "readOnly": mount.get("ReadOnly", False),
    }
    if options := mount.get("BindOptions"):
        read["bindOptions"] = {"propagation": options.get("Propagation") or ""}
    if options := mount.get("TmpfsOptions"):
        read["tmpfsOptions"] = {"sizeBytes": options.get("SizeBytes") or 0, "mode": options.get("Mode") or 0}
    return read


def _network(name: str, data: Mapping[str, Any]) -> Plain:
    return {
        "gateway": data.get("Gateway") or "",
        "globalIpv6Address": data.get("GlobalIPv6Address") or "",
        "globalIpv6PrefixLength": data.get("GlobalIPv6PrefixLen") or 0,
        "ipAddress": data.get("IPAddress") or "",
        "ipPrefixLength": data.get("IPPrefixLen") or 0,
        "ipv6Gateway": data.get("IPv6Gateway") or "",
        "macAddress": data.get("MacAddress") or "",
        "networkName": name,
    }


def _ports(published: Mapping[str, Any]) -> list[Plain]:
    read: list[Plain] = []
    for key in sorted(published, key=lambda key: int(key.split("/")[0])):
        internal, protocol = key.split("/")
        read += [
            {
                "internal": int(internal),
                "external": int(binding["HostPort"]),
                "ip": binding["HostIp"],
                "protocol": protocol,
            }
            for binding in published[key] or []
        ]
    return read


def _healthcheck(check: Mapping[str, Any]) -> Plain:
    return {
        "tests": check.get("Test") or [],
        "interval": docker_durations.text(check.get("Interval") or 0),
        "timeout": docker_durations.text(check.get("Timeout") or 0),
        "startPeriod": docker_durations.text(check.get("StartPeriod") or 0),
        "startInterval": docker_durations.text(check.get("StartInterval") or 0),
        "retries": check.get("Retries") or 0,
    }
