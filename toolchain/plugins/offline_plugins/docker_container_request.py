"""A Container's inputs as the Docker Engine API takes them (`POST /containers/create`)."""

from typing import Any

from offline_plugins import docker_durations
from offline_plugins.handler import Plain

_MEBIBYTE = 1024 * 1024


def create_body(inputs: Plain) -> dict[str, Any]:
    """The request's body. What is not given is left out, so that the image or the engine decides it."""
    body: dict[str, Any] = {"Image": inputs["image"]}
    for name, field in (
        ("hostname", "Hostname"),
        ("envs", "Env"),
        ("command", "Cmd"),
        ("entrypoints", "Entrypoint"),
        ("user", "User"),
        ("workingDir", "WorkingDir"),
        ("stopSignal", "StopSignal"),
        ("stopTimeout", "StopTimeout"),
    ):
        if inputs.get(name):
            body[field] = inputs[name]
    if labels := inputs.get("labels"):
        body["Labels"] = {label["label"]: label["value"] for label in labels}
    if ports := inputs.get("ports"):
        body["ExposedPorts"] = {_port_key(port): {} for port in ports}
    if paths := [volume["containerPath"] for volume in _volumes(inputs) if volume.get("containerPath")]:
        body["Volumes"] = {path: {} for path in paths}
    if healthcheck := inputs.get("healthcheck"):
        body["Healthcheck"] = _healthcheck(healthcheck)
    body["HostConfig"] = _host_config(inputs)
    return body


def endpoint(network: Plain) -> dict[str, Any]:
    """The body of `POST /networks/…/connect` for one of `networksAdvanced`, without the container."""
    addresses = {
        field: network[name]
        for name, field in (("ipv4Address", "IPv4Address"), ("ipv6Address", "IPv6Address"))
        if network.get(name)
    }
    settings: dict[str, Any] = {"IPAMConfig": addresses}
    if network.get("aliases"):
        settings["Aliases"] = network["aliases"]
    return settings


def restart_policy(inputs: Plain) -> dict[str, Any]:
    """The restart policy, for a new container and for an update."""
    return {"Name": inputs["restart"], "MaximumRetryCount": inputs.get("maxRetryCount") or 0}


def memory_limits(inputs: Plain) -> dict[str, int]:
    """The memory limits in bytes, of those that are given; a `memorySwap` of -1 is no limit."""
    limits: dict[str, int] = {}
    if inputs.get("memory"):
        limits["Memory"] = inputs["memory"] * _MEBIBYTE
    if swap := inputs.get("memorySwap"):
        limits["MemorySwap"] = swap * _MEBIBYTE if swap > 0 else swap
    return limits


def _host_config(inputs: Plain) -> dict[str, Any]:
    config: dict[str, Any] = {
        # upstream turns init off where it is not asked for, whatever the engine's own default
        "Init": inputs.get("init", False),
        "LogConfig": {"Type": inputs.get("logDriver") or "", "Config": inputs.get("logOpts") or {}},
        "NetworkMode": inputs["networkMode"],
        "ReadonlyRootfs": inputs["readOnly"],
        "RestartPolicy": restart_policy(inputs),
        **memory_limits(inputs),
    }
    for name, field in (("securityOpts", "SecurityOpt"), ("groupAdds", "GroupAdd"), ("tmpfs", "Tmpfs")):
        if inputs.get(name):
            config[field] = inputs[name]
    capabilities = inputs.get("capabilities") or {}
    for name, field in (("adds", "CapAdd"), ("drops", "CapDrop")):
        if capabilities.get(name):
            config[field] = capabilities[name]
    if hosts := inputs.get("hosts"):
        config["ExtraHosts"] = [f"{entry['host']}:{entry['ip']}" for entry in hosts]
    if ulimits := inputs.get("ulimits"):
        config["Ulimits"] = [
            {"Name": limit["name"], "Soft": limit["soft"], "Hard": limit["hard"]} for limit in ulimits
        ]
    if mounts := inputs.get("mounts"):
        config["Mounts"] = [_mount(mount) for mount in mounts]
    if binds := [bind for volume in _volumes(inputs) if (bind := _bind(volume))]:
        config["Binds"] = binds
    if sources := [volume["fromContainer"] for volume in _volumes(inputs) if volume.get("fromContainer")]:
        config["VolumesFrom"] = sources
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in inputs.get("ports") or []:
        binding = {"HostIp": port["ip"], "HostPort": str(port.get("external") or 0)}
        bindings.setdefault(_port_key(port), []).append(binding)
    if bindings:
        config["PortBindings"] = bindings
    return config


def _port_key(port: Plain) -> str:
    return f"{port['internal']}/{port['protocol']}"


def _volumes(inputs: Plain) -> list[Plain]:
    return inputs.get("volumes") or []


def _bind(volume: Plain) -> str:
    source = volume.get("hostPath") or volume.get("volumeName")
    if not source or volume.get("fromContainer"):
        return ""
    mode = "ro" if volume.get("readOnly") else "rw"
    if volume.get("selinuxRelabel"):
        mode += f",{volume['selinuxRelabel']}"
    return f"{source}:{volume['containerPath']}:{mode}"


def _mount(mount: Plain) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "Type": mount["type"],
        "Target": mount["target"],
        "Source": mount.get("source") or "",
        "ReadOnly": mount.get("readOnly", False),
    }
    if mount["type"] == "bind" and mount.get("bindOptions"):
        asked["BindOptions"] = {"Propagation": mount["bindOptions"].get("propagation") or ""}
    if mount["type"] == "tmpfs" and mount.get("tmpfsOptions"):
        options = mount["tmpfsOptions"]
        asked["TmpfsOptions"] = {"SizeBytes": options.get("sizeBytes") or 0, "Mode": options.get("mode") or 0}
    return asked


def _healthcheck(healthcheck: Plain) -> dict[str, Any]:
    asked: dict[str, Any] = {"Test": healthcheck.get("tests") or [], "Retries": healthcheck["retries"]}
    for name, field in (
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("startPeriod", "StartPeriod"),
        ("startInterval", "StartInterval"),
    ):
        asked[field] = docker_durations.nanoseconds(healthcheck[name])
    return asked
