"""The rules: each a pure function from a resource, and what came before it, to what is wrong with it.

A message says what is wrong, where, and what to do; it never holds a value that may be secret. What a
preview cannot know yet is judged by the `up`, where it is known, before the resource is made.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import yaml

from components.settings_types import SHARED_DIRECTORIES
from policy import reach, ssh_verification
from policy.resource import Case, Resource, is_unknown, open_texts, revealed, structured

CONTAINER = "docker:index/container:Container"
REMOTE_IMAGE = "docker:index/remoteImage:RemoteImage"
DOCKER_PROVIDER = "pulumi:providers:docker"
CA_YEARS = 10
HOURS_A_DAY = 24

_PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----")
# A slash may be the password's or begin the path, before which a port stands. Without a colon, what stands
# before the @ of an ssh:// is a user's name, of an https:// a token.
_LOGIN_IN_URL = re.compile(
    r"""[a-z][a-z0-9+.-]*://[^/\s:@"'\[]*:([^/\s@"']+|(?!\d+/)[^\s@"'$]+)@|https?://[^/\s:@"'?#$]+@""",
    re.IGNORECASE,
)
_SECRET_NAMES = frozenset(
    {"password", "privatekey", "privatekeypassword", "privatekeypem", "caprivatekeypem", "keymaterial"}
    | {"privatekeyopenssh", "privatekeypempkcs8", "secret", "token"}
)
_SECRET_VARIABLE = re.compile(
    r"[A-Z0-9_]*(PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY)[A-Z0-9_]*", re.IGNORECASE
)
_DIGEST = re.compile(r"(^|@)sha256:[0-9a-f]{64}$")
_LOOPBACK = ("127.0.0.1", "::1")
_HOSTS_NAMESPACES = ("networkMode", "pidMode", "ipcMode", "usernsMode", "cgroupnsMode")
_HOSTS_OWN = ("dev/", "proc/", "run/", "sys/", "var/lib/docker/", "var/lib/containerd/")


@dataclass(frozen=True)
class Rule:
    """A rule. `wanted` is what must hold, as a sentence; `find` yields what is wrong with a case."""

    name: str
    wanted: str
    find: Callable[[Case], Iterator[str]]


def host_keys(case: Case) -> Iterator[str]:
    """Every SSH connection knows the one host key that may answer."""
    resource = case.resource
    if resource.type.startswith("command:remote:"):
        for way in (("connection",), ("connection", "proxy")):
            if resource.get(*way) is None or is_unknown(resource.get(*way)):
                continue
            key = resource.get(*way, "hostKey")
            problem = None if is_unknown(key) else ssh_verification.host_key_problem(key)
            if problem:
                place = ".".join((*way, "hostKey"))
                yield (
                    f"{resource.name}: {problem} in {place}, so another machine could pose as"
                    f" {resource.text(*way, 'host') or 'the host'}. Set {place} from the host's settings."
                )
    elif resource.type.startswith("command:local:"):
        stdin = resource.text("stdin")
        for text in ("create", "update", "delete"):
            lines = ssh_verification.command_lines(
                resource.text(text), stdin, structured(stdin) if text == "create" else None
            )
            for arguments in lines:
                yield from _unverified(resource, text, arguments)
    elif resource.type == DOCKER_PROVIDER and resource.text("host").startswith("ssh://"):
        options = resource.get("sshOpts")
        if not is_unknown(options):
            listed = structured(options) if isinstance(options, str) else options
            yield from _unverified(resource, "sshOpts", [str(option) for option in listed or ()])


def _unverified(resource: Resource, where: str, arguments: Sequence[str]) -> Iterator[str]:
    for problem in ssh_verification.unverified(arguments):
        yield (
            f"{resource.name}: {problem} ({where}), so ssh may talk to another machine than the configured"
            " one. Take the options from ssh_options.arguments(login)."
        )


def secrets(case: Case) -> Iterator[str]:
    """No private key or password stands in an input that is not a secret."""
    name = case.resource.name
    told: set[tuple[str, ...]] = set()
    for path, text in open_texts(case.resource.inputs):
        what = _secret_in(path, text, case.circumstances.passwords)
        if what and path not in told:
            told.add(path)
            yield (
                f"{name}: {'.'.join(path)} holds {what} that is not a secret, so previews and the state show"
                " it. Wrap the value in pulumi.Output.secret(…)."
            )
    for entry in revealed(case.resource.inputs.get("envs") or []):
        variable, _, value = str(entry).partition("=")
        if value and _SECRET_VARIABLE.fullmatch(variable):
            yield (
                f"{name}: the environment variable {variable} holds a secret, which `docker inspect` shows to"
                " everyone on the host. Put it into a file of mode 0400 and mount that."
            )


def _secret_in(path: tuple[str, ...], text: str, passwords: tuple[str, ...]) -> str | None:
    if _PRIVATE_KEY.search(text):
        return "a private key"
    in_environment = path[-2:-1] == ("environment",) and _SECRET_VARIABLE.fullmatch(path[-1])
    if text and (in_environment or path[-1].replace("_", "").lower() in _SECRET_NAMES):
        return "a password or key"
    if _LOGIN_IN_URL.search(text):
        return "a URL with a password"
    if _login_in(text):
        return "a login at an upstream"
    if any(password in text for password in passwords):
        return "a password of the configuration"
    return None


def images(case: Case) -> Iterator[str]:
    """Images are named by digest."""
    resource = case.resource
    key = {CONTAINER: "image", REMOTE_IMAGE: "name"}.get(resource.type)
    if key is None or is_unknown(resource.get(key)):
        return
    image = resource.text(key)
    if not _DIGEST.search(image):
        yield (
            f"{resource.name}: {key} is {image!r}, which may be another image tomorrow. Write it with its"
            " digest, as in name:tag@sha256:…"
        )


def triggers(case: Case) -> Iterator[str]:
    """Commands have no triggers: they replace, and the old one's delete removes what the new one wrote."""
    if case.resource.is_command and case.resource.get("triggers"):
        yield (
            f"{case.resource.name}: triggers are set, so a change runs create and then the old delete, which"
            " undoes it. Put the value into create or stdin in their place."
        )


def credentials(case: Case) -> Iterator[str]:
    """A cache with a login at its upstream is limited in who may reach it."""
    resource = case.resource
    if not resource.type.startswith("command:remote:") or not _login_in(resource.text("stdin")):
        return
    firewall = _firewall(case)
    ports = firewall.caches if firewall else ()
    if firewall is None or not ports or any(not firewall.is_limited(port) for port in ports):
        yield (
            f"{resource.name}: a cache on {resource.host} gets a login, and {_open_how(firewall)}: whoever"
            " reaches it pulls every private image that the login can read. Limit access.networks, or leave"
            " the credentials out."
        )


def open_to_the_world(case: Case) -> Iterator[str]:
    """In production, nobody but named networks reaches a mirror."""
    resource = case.resource
    if not {"prod", "production"} & set(re.split(r"[^a-z0-9]+", case.circumstances.stack.lower())):
        return
    ruleset = reach.read(resource.text("stdin")) if resource.is_command else None
    if ruleset:
        for port in sorted(port for port in ruleset.ports if ruleset.open_to(port)):
            yield (
                f"{resource.name}: port {port} of {resource.host} is open to"
                f" {' and '.join(ruleset.open_to(port))}, in the stack {case.circumstances.stack}. List the"
                " clients' networks as access.networks."
            )
    if resource.type == CONTAINER:
        firewall = _firewall(case)
        for published in resource.get("ports") or ():
            port = published.get("external")
            if published.get("ip") in _LOOPBACK or port is None or is_unknown(port):
                continue
            if firewall is None or int(port) not in firewall.ports:
                yield (
                    f"{resource.name}: publishes port {int(port)} on {resource.host}, and no firewall step"
                    " before it limits that port. Declare the Firewall with this port before the container."
                )


def _firewall(case: Case) -> reach.Reach | None:
    """What limits the host of a case: the last ruleset that was declared for it before."""
    for earlier in reversed(case.before):
        if earlier.type.startswith("command:remote:") and earlier.host == case.resource.host:
            ruleset = reach.read(earlier.text("stdin"))
            if ruleset:
                return ruleset
    return None


def _open_how(firewall: reach.Reach | None) -> str:
    return "no firewall step before it limits that host" if firewall is None else "everyone may reach it"


def _login_in(text: str) -> bool:
    """Whether a text is a registry's configuration, or its credential helper, with a password in it."""
    helper = re.search(r'^\{.*"Secret": "(.+?)".*\}$', text, re.MULTILINE)
    if helper:
        return True
    if not re.search(r"^proxy:", text, re.MULTILINE):
        return False
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    proxy = document.get("proxy") if isinstance(document, dict) else None
    return isinstance(proxy, dict) and bool(proxy.get("password"))


def certificates(case: Case) -> Iterator[str]:
    """Certificates are valid for no longer than configured and name the addresses that they are for."""
    resource, days = case.resource, case.circumstances.valid_days
    hours = resource.get("validityPeriodHours")
    if resource.type.startswith("tls:index/") and isinstance(hours, int | float):
        authority = resource.get("isCaCertificate") is True
        longest = CA_YEARS * 365 if authority else days
        if hours > longest * HOURS_A_DAY:
            says = f"a CA's {CA_YEARS} years" if authority else f"tls.validDays ({days})"
            yield (
                f"{resource.name}: is valid for {hours / HOURS_A_DAY:.0f} days, more than {says}. Take"
                " validity_period_hours from the settings."
            )
    named = resource.type == "tls:index/certRequest:CertRequest" or (
        resource.type == "tls:index/selfSignedCert:SelfSignedCert" and not resource.get("isCaCertificate")
    )
    if named and not resource.get("dnsNames") and not resource.get("ipAddresses"):
        yield (
            f"{resource.name}: has no subject alternative name, and Docker looks at nothing else. Give"
            " dns_names or ip_addresses."
        )


def hardening(case: Case) -> Iterator[str]:
    """Containers run without rights: another user than root, nothing to write to, no capability."""
    if case.resource.type != CONTAINER:
        return
    get = case.resource.get
    drops = [str(one).upper().removeprefix("CAP_") for one in get("capabilities", "drops") or ()]
    options = {str(option).replace("=", ":").removesuffix(":true") for option in get("securityOpts") or ()}
    user = str(get("user") or "").partition(":")[0]
    shared = [key for key in _HOSTS_NAMESPACES if get(key) == "host"]
    sources = [str(volume.get("hostPath") or "") for volume in get("volumes") or ()]
    sources += [str(mount.get("source") or "") for mount in get("mounts") or ()]
    mounts = [source for source in sources if _is_hosts_own(source)]
    wrong = {
        'runs as root: set user="1000:1000"': user in ("", "root") or user.strip("0") == "",
        "may write to its own files: set read_only=True": get("readOnly") is not True,
        'keeps capabilities: drop "ALL" and add none': drops != ["ALL"] or bool(get("capabilities", "adds")),
        'may gain rights: add security_opts=["no-new-privileges:true"]': "no-new-privileges" not in options,
        "runs without confinement: take out the unconfined security options": any(
            option.endswith(":unconfined") or option == "label:disable" for option in options
        ),
        "is privileged: take privileged out": bool(get("privileged")),
        f"shares the host's namespaces: take out {', '.join(shared)}": bool(shared),
        "says no network: set network_mode": not get("networkMode"),
        "has devices of the host: take devices out": bool(get("devices")),
        f"mounts {' and '.join(mounts)} of the host: mount what it needs alone": bool(mounts),
        'does not start again by itself: set restart="always"': get("restart")
        not in ("always", "unless-stopped"),
        'has a log without an end: set log_opts={"max-size": …}': not get("logOpts", "max-size"),
        "publishes the registry's debug port: leave port 5001 inside": any(
            published.get("internal") == 5001 and published.get("ip") not in _LOOPBACK
            for published in get("ports") or ()
        ),
    }
    yield from (f"{case.resource.name}: {problem}." for problem, is_so in wrong.items() if is_so)


def _is_hosts_own(path: str) -> bool:
    """Whether a mount of this path gives more of the host than a container's own files."""
    inside = posixpath.normpath(f"/{path.lstrip('/')}")[1:]
    inside = re.sub(r"^var/run(?=/|$)", "run", inside)
    return path.startswith("/") and (
        inside in SHARED_DIRECTORIES or inside.startswith(_HOSTS_OWN) or inside.endswith("docker.sock")
    )


RULES = (
    Rule("ssh-host-keys", "Every SSH connection knows the one host key that may answer.", host_keys),
    Rule("secrets", "No private key or password stands in an input that is not a secret.", secrets),
    Rule("images-by-digest", "Images are named by digest.", images),
    Rule("no-triggers", "Commands have no triggers.", triggers),
    Rule("credentials-limited", "A cache with credentials has an access limit.", credentials),
    Rule("production-not-open", "No mirror of a production stack is open to the world.", open_to_the_world),
    Rule("certificates", "Certificates end in time and name what they are for.", certificates),
    Rule("hardened-containers", "Containers run hardened.", hardening),
)
