"""What the scripts do on hosts where things are not as usual: programs of the tests' own play the host's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.adoption import facts, report
from components.adoption.facts import HostFacts
from components.adoption.findings import Inspected
from components.host import DAEMON_JSON, SCRIPTS

# A Docker of two containers. Of templates it knows what replace_container.sh asks for.
DOCKER = r"""
import os, pathlib, re, sys
state = pathlib.Path(os.environ["STATE"])
words = sys.argv[1:]
running = lambda name: (state / name).read_text() == "true"
if words[:3] == ["container", "inspect", "-f"]:
    name, text = words[4].removeprefix("id-"), words[3]
    about = {
        ".Id": f"id-{name}",
        ".State.Running": "true" if running(name) else "false",
        ".HostConfig.RestartPolicy.Name": (state / "policy").read_text(),
        ".HostConfig.AutoRemove": "false",
        ".Config.User": "",
    }
    # As real ones do: a template with a name that only the JSON has (.Id) takes 0 for something that is set.
    text = re.sub(r"\{\{with .*?\{\{end\}\}", ":0", text)
    labels = {"registry-cache.replaces": "other"}
    text = re.sub(r'\{\{index .Config.Labels "(.*?)"\}\}', lambda m: labels.get(m[1], ""), text)
    text = re.sub(r'\{\{or (\S+) "(.*?)"\}\}', lambda m: about[m[1]] or m[2], text)
    print(re.sub(r"\{\{(\S+)\}\}", lambda m: about[m[1]], text))
elif words[0] == "update":
    policy = words[1].removeprefix("--restart=").removesuffix(":0")
    if policy not in ("no", "always") or (state / "no-updates").exists() and words[2] == "id-other":
        sys.exit(f"Error response from daemon: invalid restart policy {policy!r}")
elif words[0] == "stop":
    (state / words[-1]).write_text("false")
elif words == ["start", "ours"]:
    sys.exit("Error response from daemon: driver failed programming external connectivity")
elif words[0] == "start":
    (state / words[-1].removeprefix("id-")).write_text("true")
"""


ABOUT = (
    '{"id":"id","name":"/registry","image":"registry:2","args":null,"path":"","user":"","running":true,'
    '"restart":"always","auto_remove":false,"network":"bridge","ports":null,"exposed":null,"mounts":null,'
    '"read_only":false,"privileged":false,"cap_drop":null,"log":"json-file","log_limit":null,"compose":null,'
    '"swarm":null,"ours":null}'
)

DOCKER_OF_A_REGISTRY = f"""
case $* in
  'ps -aq --no-trunc') echo id ;;
  'network ls -q --filter driver=bridge') printf 'bridge\nmine\n' ;;
  'network inspect '*' bridge mine') printf '172.17.0.0/16\nfd00:17::/64\n\n' ;;
  *'{{{{.Config.Image}}}} '*) echo registry:2 ;;
  *'{{{{json .Id}}}}'*) echo '{ABOUT}' ;;
  *'{{{{.Name}}}}'*) echo /registry ;;
  *'range .Mounts'*) echo bind "$STATE/data" /var/lib/registry ;;
esac
"""


@dataclass(frozen=True)
class MadeUpHost:
    """The scripts in a directory of their own, and programs that are found before the system's."""

    root: Path

    @property
    def records(self) -> Path:
        return self.root / "records"

    def program(self, name: str, text: str, interpreter: str = "/bin/bash") -> None:
        """Put a program in the place of the host's."""
        file = self.root / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!{interpreter}\n{text}")
        file.chmod(0o755)

    def run(self, script: str, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """What a script prints on both ways, with what it has below /etc/ below ``root``."""
        place = self.records / "scripts"
        place.mkdir(parents=True, exist_ok=True)
        for file in (*SCRIPTS.glob("*.sh"), DAEMON_JSON):
            text = file.read_text()
            for directory in ("/etc/docker", "/etc/firewalld", "/etc/registry-cache", "/etc/systemd"):
                text = text.replace(directory, f"{self.root}{directory}")
            (place / file.name).write_text(text)
        environment = {
            **os.environ,
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "STATE": str(self.root),
        }
        command = ["bash", str(place / script), *arguments]
        done = subprocess.run(
            command, input=stdin, env=environment, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def host(tmp_path: Path) -> MadeUpHost:
    made_up = MadeUpHost(tmp_path)
    # Only root may give things away: what was told to is noted.
    made_up.program("chown", 'printf "%s\\n" "$*" >>"$STATE/chowned"')
    return made_up


# --- a container in another's place


@pytest.mark.parametrize(
    ("files", "said"),
    [
        # Docker before 28 keeps a container without one that its API was given; docker run never makes any.
        ({"policy": ""}, "other serves again"),
        ({"policy": "always", "no-updates": ""}, "does not get its restart policy always:0 back"),
    ],
)
def test_the_other_container_serves_again_whatever_its_restart_policy(
    host: MadeUpHost, files: Mapping[str, str], said: str
) -> None:
    host.program("docker", DOCKER, "/usr/bin/env python3")
    for name, text in {"other": "true", "ours": "false", **files}.items():
        (host.root / name).write_text(text)
    (host.root / "data").mkdir()
    arguments = ("other", "ours", str(host.root / "data"), "http://127.0.0.1:1", "1")

    failed = host.run(
        "replace_container.sh", "replace-x", "abc", "apply", *arguments, stdin="id\n", check=False
    )

    assert "ours did not come up in the place of other" in failed
    assert said in failed
    assert (host.root / "other").read_text() == "true"

    (host.root / "other").write_text("false")
    host.run("replace_container.sh", "replace-x", "-", "restore", *arguments)
    assert (host.root / "other").read_text() == "true"


# --- a look at a host


def looked_at(host: MadeUpHost, *, active: str) -> HostFacts:
    """What is told of a host whose units of that kind are the active ones."""
    host.program("systemctl", f"for unit; do :; done; [[ $unit =~ ^({active})$ ]]")
    host.program("dockerd", "")
    return facts.parse(host.run("inspect_host.sh"))


@pytest.mark.parametrize(
    ("active", "asked", "said"),
    [
        ("docker|docker.socket", True, "no mirror"),
        ("docker.socket", False, "Docker is stopped"),
        # Without its socket there is nothing that would start it, and dockerd may run by itself.
        ("neither", True, "no mirror"),
    ],
)
def test_a_docker_that_is_stopped_is_not_started_by_a_look(
    host: MadeUpHost, active: str, asked: bool, said: str
) -> None:
    host.program("docker", 'echo "$@" >>"$STATE/asked"')
    found = looked_at(host, active=active)
    assert (host.root / "asked").exists() is asked
    assert said in "\n".join(report.found([Inspected("web-1", "203.0.113.21", found)]))


def test_a_data_directory_that_is_a_link_is_measured_where_it_points_to(host: MadeUpHost) -> None:
    real, link = host.root / "large disk", host.root / "data"
    (real / "docker/registry/v2/repositories/library/nginx/_manifests").mkdir(parents=True)
    (real / "docker/blob").write_bytes(b"x" * 2**20)
    (real / "others").mkdir()
    link.symlink_to(real)
    host.program("docker", DOCKER_OF_A_REGISTRY)
    (data,) = looked_at(host, active="docker").registries[0].data
    assert (data.directory, data.repositories, data.beside) == (str(link), 1, ["others"])
    assert data.used is not None
    assert data.used >= 2**20


def test_the_networks_of_dockers_bridges_are_told(host: MadeUpHost) -> None:
    host.program("docker", DOCKER_OF_A_REGISTRY)
    found = looked_at(host, active="docker").docker_networks
    assert found == ["172.17.0.0/16", "fd00:17::/64"]


# --- a cache's directory


def test_a_data_directory_that_is_a_link_is_given_and_given_back_where_it_points_to(
    host: MadeUpHost,
) -> None:
    real, link = host.root / "large", host.root / "data"
    real.mkdir()
    link.symlink_to(real)
    host.program("docker", "")
    arguments = (str(host.root / "config.yml"), str(link), "no", "shown")
    owner = f"{os.getuid()}:{os.getgid()}"

    host.run("registry_directory.sh", "configuration-x", "abc", "apply", *arguments)
    host.run("registry_directory.sh", "configuration-x", "-", "restore", *arguments)

    given = [line for line in (host.root / "chowned").read_text().splitlines() if "config.yml" not in line]
    assert given == [f"-R 1000:1000 {real}", f"-R {owner} {real}"]
    assert real.is_dir()
    assert link.is_symlink()


def test_a_directory_of_somebodys_outlives_a_destroy_after_a_step_that_was_killed(host: MadeUpHost) -> None:
    data = host.root / "data"
    data.mkdir()
    (data / "theirs").touch()
    host.program("docker", "")
    arguments = (str(host.root / "config.yml"), str(data), "no", "shown")
    host.run("registry_directory.sh", "configuration-x", "abc", "apply", *arguments)
    (host.records / "owner-of-configuration-x").unlink()

    host.run("registry_directory.sh", "configuration-x", "-", "restore", *arguments)

    assert (data / "theirs").exists()


# --- openings in firewalld

# A zone's rules are lines of its file, and of one of the running firewall; its file is made by the first.
FIREWALLD = r"""
zone=$(sed -n 's/^DefaultZone=//p' "$STATE/etc/firewalld/firewalld.conf") place=$STATE/running ending=
for word; do
  case $word in
    --permanent) place=$STATE/etc/firewalld/zones ending=.xml ;;
    --zone=*) zone=${word#*=} ;;
    --*-rich-rule=*) action=${word%%-rich-rule=*} rule=${word#*-rich-rule=} ;;
    --state) exit ;;
  esac
done
mkdir -p "$place"
case $action in
  --query) grep -qxF "$rule" "$place/$zone$ending" ;;
  --add) echo "$rule" >>"$place/$zone$ending" ;;
  --remove) ! grep -qxF "$rule" "$place/$zone$ending" || sed -i "\\,^$rule\$,d" "$place/$zone$ending" ;;
esac 2>/dev/null
"""


@pytest.mark.parametrize("edited", ["", "<service name='http'/>\n"])
def test_what_was_opened_is_closed_in_its_zone_when_another_is_the_default_one(
    host: MadeUpHost, edited: str
) -> None:
    zones = host.root / "etc/firewalld/zones"
    zones.mkdir(parents=True)
    configuration, public = zones.parent / "firewalld.conf", zones / "public.xml"
    configuration.write_text("DefaultZone=public\n")
    public.write_text("<zone/>\n")
    host.program("firewall-cmd", FIREWALLD)
    for name in ("nft", "systemctl", "docker"):
        host.program(name, "")
    arguments = ("443", "fd00::/64=443")
    host.run("firewall.sh", "firewall", "abc", "apply", *arguments)
    assert "fd00::/64" in public.read_text()
    configuration.write_text("DefaultZone=internal\n")
    public.write_text(public.read_text() + edited)

    host.run("firewall.sh", "firewall", "-", "restore", *arguments)

    assert public.read_text() == "<zone/>\n" + edited
    assert (host.root / "running/public").read_text() == ""
    assert list((host.records / "before").iterdir()) == []
    assert [file.name for file in zones.iterdir()] == ["public.xml"]


# --- a client's Docker

CLIENT = ("http://mirror:5000", "", '==== docker.io\n[host."http://mirror:5000"]')
# Some versions of Docker's program do not fail where no Docker answers.
DAEMON_OF_A_CLIENT = r"""
[ -e "$STATE/up" ] || { echo "Cannot connect to the Docker daemon" >&2; echo " []"; exit 0; }
case $* in
  *DriverStatus*) echo "29.0.0 [[driver-type $(cat "$STATE/up")]]" ;;
  *Mirrors*) grep -o 'http:[^"]*' "$STATE/etc/docker/daemon.json" ;;
esac
"""


@pytest.fixture
def client(host: MadeUpHost) -> MadeUpHost:
    """A client. In its file `up` stands the store of its Docker, which is stopped where there is none."""
    host.program("docker", DAEMON_OF_A_CLIENT)
    host.program(
        "systemctl",
        """
        case $1 in
          is-active) [ -e "$STATE/up" ] ;;
          reload)
            [ ! -e "$STATE/only-with-mirrors" ] || grep -q registry-mirrors "$STATE/etc/docker/daemon.json"
            ;;
          show) printf 'ActiveState=active\\nUnitFileState=enabled\\n' ;;
        esac
        """,
    )
    host.program("curl", "exit 7")
    host.program("pgrep", "exit 1")
    (host.root / "etc/docker").mkdir(parents=True)
    return host


@pytest.mark.parametrize(("store", "there"), [("io.containerd.snapshotter.v1", True), ("overlay2", False)])
def test_a_client_whose_docker_is_stopped_keeps_what_its_store_needs(
    client: MadeUpHost, store: str, there: bool
) -> None:
    hosts_toml = client.root / "etc/docker/certs.d/docker.io/hosts.toml"
    (client.root / "up").write_text(store)
    client.run("mirror_client.sh", "mirror-client", "abc", "apply", *CLIENT)
    assert hosts_toml.exists() is there

    (client.root / "up").unlink()
    client.run("mirror_client.sh", "mirror-client", "abd", "apply", *CLIENT)

    assert hosts_toml.exists() is there


def test_a_client_whose_docker_has_never_answered_is_left_alone(client: MadeUpHost) -> None:
    failed = client.run("mirror_client.sh", "mirror-client", "abc", "apply", *CLIENT, check=False)
    assert "Docker does not answer on this client" in failed
    assert list((client.root / "etc/docker").iterdir()) == []


def test_a_destroy_that_broke_off_once_all_was_put_back_changes_nothing_when_it_runs_again(
    client: MadeUpHost,
) -> None:
    daemon_json = client.root / "etc/docker/daemon.json"
    daemon_json.write_text('{"debug": true}\n')
    (client.root / "up").write_text("overlay2")
    client.run("mirror_client.sh", "mirror-client", "abc", "apply", *CLIENT)
    (client.root / "only-with-mirrors").touch()
    client.run("mirror_client.sh", "mirror-client", "-", "restore", *CLIENT, check=False)
    assert list((client.records / "undo").iterdir()), "it broke off"
    (client.root / "only-with-mirrors").unlink()

    client.run("mirror_client.sh", "mirror-client", "-", "restore", *CLIENT)

    assert daemon_json.read_text() == '{"debug": true}\n'
