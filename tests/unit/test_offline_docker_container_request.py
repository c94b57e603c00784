"""Every input of a Container reaches Docker as its API has it."""

from typing import Any

from offline_plugins import docker_container_request
from tests.unit.docker_container_sample import EVERY_ADDRESS, VALUES, checked


def body(**inputs: Any) -> dict[str, Any]:
    return docker_container_request.create_body(checked(**inputs))


def test_every_input_reaches_docker_as_its_api_has_it() -> None:
    asked = body(**VALUES)

    host = asked.pop("HostConfig")
    assert asked == {
        "Image": "sha256:12",
        "Hostname": "cache",
        "Env": ["B=2", "A=1"],
        "Cmd": ["serve", "/etc/config.yml"],
        "Entrypoint": ["/bin/registry"],
        "User": "1000:1000",
        "WorkingDir": "/home",
        "StopSignal": "SIGINT",
        "StopTimeout": 20,
        "Labels": {"a": "1", "b": "2"},
        "ExposedPorts": {"5000/tcp": {}, "53/udp": {}},
        "Volumes": {"/var/lib/registry": {}, "/v": {}, "/anonymous": {}},
        "Healthcheck": {
            "Test": ["CMD", "true"],
            "Retries": 3,
            "Interval": 30_000_000_000,
            "Timeout": 0,
            "StartPeriod": 60_000_000_000,
            "StartInterval": 0,
        },
    }
    assert host == {
        "Init": True,
        "LogConfig": {"Type": "local", "Config": {"max-size": "10m"}},
        "NetworkMode": "host",
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "always", "MaximumRetryCount": 4},
        "Memory": 512 * 1024 * 1024,
        "MemorySwap": 1024 * 1024 * 1024,
        "SecurityOpt": ["no-new-privileges:true"],
        "GroupAdd": ["1001"],
        "Tmpfs": {"/tmp": "size=16m"},
        "CapAdd": ["CAP_NET_BIND_SERVICE"],
        "CapDrop": ["ALL"],
        "ExtraHosts": ["upstream:203.0.113.1"],
        "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
        "Mounts": [
            {
                "Type": "tmpfs",
                "Target": "/m",
                "Source": "",
                "ReadOnly": False,
                "TmpfsOptions": {"SizeBytes": 1000, "Mode": 448},
            },
            {
                "Type": "bind",
                "Target": "/t",
                "Source": "/s",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "slave"},
            },
        ],
        "Binds": ["/data:/var/lib/registry:rw", "v:/v:ro,z"],
        "VolumesFrom": ["other"],
        "PortBindings": {
            "5000/tcp": [{"HostIp": EVERY_ADDRESS, "HostPort": "443"}],
            "53/udp": [{"HostIp": "::", "HostPort": "53"}],
        },
    }


def test_what_is_not_asked_for_is_left_to_the_image_and_the_engine() -> None:
    assert body() == {
        "Image": "sha256:12",
        "HostConfig": {
            "Init": False,
            "LogConfig": {"Type": "", "Config": {}},
            "NetworkMode": "bridge",
            "ReadonlyRootfs": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        },
    }


def test_one_port_on_two_addresses_is_two_bindings_of_it() -> None:
    ports = [{"internal": 5000, "external": 443, "ip": ip} for ip in (EVERY_ADDRESS, "::")]

    assert body(ports=ports)["HostConfig"]["PortBindings"] == {
        "5000/tcp": [{"HostIp": EVERY_ADDRESS, "HostPort": "443"}, {"HostIp": "::", "HostPort": "443"}]
    }


def test_a_port_without_an_external_one_gets_any() -> None:
    assert body(ports=[{"internal": 80}])["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"] == "0"


def test_no_swap_limit_stays_none() -> None:
    assert docker_container_request.memory_limits(checked(memory=1, memorySwap=-1)) == {
        "Memory": 1024 * 1024,
        "MemorySwap": -1,
    }


def test_a_network_gets_its_addresses_and_aliases() -> None:
    network = {"name": "net", "aliases": ["x"], "ipv4Address": "10.0.0.2", "ipv6Address": "fd::2"}

    assert docker_container_request.endpoint(network) == {
        "IPAMConfig": {"IPv4Address": "10.0.0.2", "IPv6Address": "fd::2"},
        "Aliases": ["x"],
    }
