"""What must hold between several settings, and between the settings and the files that they name."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.lib import access_rules, durations, image_archive, image_reference, sizes, ssh_keys
from components.lib.image_reference import ImageReference
from components.lib.registry_config import container_of
from components.settings_errors import KeyPath, Problem, render_path, show

if TYPE_CHECKING:
    from components.settings import Host, JumpHost, Mirror, Settings, Upstream

SMALLEST_LIMIT = 100 * 2**20
TTL_OF_REGISTRY_2 = 168 * 3600


def find_problems(settings: Settings) -> Iterator[Problem]:
    """Yield what is wrong between the values of completed settings."""
    yield from _login(settings)
    yield from _hosts(settings)
    yield from _mirrors(settings)
    yield from _clients(settings)
    yield from _upstreams(settings)
    yield from _replaced(settings)
    yield from _access(settings)
    yield from _tls(settings)
    yield from _caching(settings)
    yield from _metrics(settings)
    yield from _images(settings)


def _login(settings: Settings) -> Iterator[Problem]:
    ssh = settings.ssh
    where, agent = ("ssh", "privateKeyFile"), (("ssh", "agent"),)
    key = ssh.private_key_file
    if ssh.agent and key:
        yield Problem(where, "is given beside agent: true", "keep one of the two", agent)
    elif key and not key.is_file():
        given = "private_key_file" in ssh.model_fields_set
        what = f"names {key}, which is not there" if given else f"is not given, and {key} is not there"
        yield Problem(where, what, "name the key that the hosts accept, or set agent: true", agent)
    elif key:
        yield from _private_key(where, key, agent)
    if ssh.known_hosts_file and not ssh.known_hosts_file.is_file():
        yield _missing(("ssh", "knownHostsFile"), ssh.known_hosts_file)


def _private_key(where: KeyPath, key: Path, rests_on: tuple[KeyPath, ...]) -> Iterator[Problem]:
    try:
        ssh_keys.check_private_key(key.read_text(encoding="utf-8"))
    except ssh_keys.KeyProblem as problem:
        yield Problem(where, f"names {key}, which {problem.what}", problem.remedy, rests_on)
    except (OSError, UnicodeError) as error:
        what = f"names {key}, which cannot be read ({type(error).__name__})"
        yield Problem(where, what, "give a private key in text form that this user may read", rests_on)
    else:
        if key.stat().st_mode & 0o077:
            what = f"names {key}, which others may read, and ssh refuses such a key"
            yield Problem(where, what, f"run chmod 600 {key}", rests_on)


def _missing(where: KeyPath, path: Path) -> Problem:
    remedy = "correct the path: ~ is your home, and a relative one begins at the project's directory"
    return Problem(where, f"names {path}, which is not there", remedy)


def _hosts(settings: Settings) -> Iterator[Problem]:
    if not settings.mirrors:
        remedy = "name at least one host, with name, address and hostKey"
        yield Problem(("mirrors",), "is missing or empty", remedy)
    from_file = settings.ssh.known_hosts_file is not None
    places: list[tuple[KeyPath, Host]] = [
        *((("mirrors", index), mirror) for index, mirror in enumerate(settings.mirrors)),
        *((("clients", index), client) for index, client in enumerate(settings.clients)),
    ]
    names: dict[str, KeyPath] = {}
    logins: dict[tuple[str, int], KeyPath] = {}
    for place, host in places:
        where = (*place, "name")
        first = names.setdefault(host.name, where)
        if first != where:
            what = f"is {show(host.name)}, as is {render_path(first)}"
            yield Problem(where, what, "give each host a name of its own", (first,))
        where = (*place, "address")
        first = logins.setdefault((host.address, host.port), where)
        if first != where:
            what = f"is {show(host.address)}, as is {render_path(first)}"
            both = first[0] == "mirrors" and place[0] == "clients"
            remedy = (
                "list it only under mirrors: with mirrorsAreClients it is a client too"
                if both
                else "list it once"
            )
            yield Problem(where, what, remedy, (first,))
        yield from _host_key(place, host, from_file)
    if settings.ssh.jump_host:
        yield from _host_key(("ssh", "jumpHost"), settings.ssh.jump_host, from_file)


def _host_key(place: KeyPath, host: Host | JumpHost, from_file: bool) -> Iterator[Problem]:
    if host.host_key:
        return
    remedy = (
        "`ssh-keyscan ADDRESS` shows the keys: compare them with what `ssh-keygen -lf` says on the host"
        " itself, and write the first of ecdsa, rsa and ed25519 that it has; or name a file that has them as"
        " ssh.knownHostsFile"
    )
    looked_up = ((*place, "address"), (*place, "port"), ("ssh", "knownHostsFile"), ("ssh", "port"))
    what = "is missing, so that another machine could pose as this one"
    yield Problem((*place, "hostKey"), what, remedy, looked_up if from_file else ())


def _mirrors(settings: Settings) -> Iterator[Problem]:
    reached: dict[str, Mirror] = {}
    for index, mirror in enumerate(settings.mirrors):
        place = ("mirrors", index)
        other = reached.setdefault(mirror.reached_as, mirror)
        if other is not mirror and mirror.hostname:
            what = f"is {show(mirror.hostname)}, under which clients already reach {other.name}"
            yield Problem((*place, "hostname"), what, "give each mirror a name of its own")
        if mirror.dns_names and settings.tls.mode != "self-signed":
            what = (
                f"does nothing with tls.mode {settings.tls.mode}: these names go into certificates made here"
            )
            yield Problem((*place, "dnsNames"), what, "leave it out", (("tls", "mode"),))


def _clients(settings: Settings) -> Iterator[Problem]:
    for index, client in enumerate(settings.clients):
        place = ("clients", index)
        if client.docker_version and client.docker != "install":
            what = "does nothing where Docker is kept as it is"
            remedy = "add docker: install, or leave it out"
            yield Problem((*place, "dockerVersion"), what, remedy, ((*place, "docker"),))


def _upstreams(settings: Settings) -> Iterator[Problem]:
    upstreams = settings.upstreams
    if not any(upstream.registry == "docker.io" for upstream in upstreams):
        what = "has no docker.io, the one registry for which Docker asks its mirrors"
        every = tuple(("upstreams", index, "registry") for index in range(len(upstreams)))
        yield Problem(("upstreams",), what, "add {registry: docker.io}", every)
    registries: dict[str, KeyPath] = {}
    ports: dict[int, KeyPath] = {}
    logins = {mirror.port: mirror.name for mirror in settings.mirrors}
    used = {upstream.port for upstream in upstreams} | set(logins)
    free = iter([port for port in range(5001, 5200) if port not in used])
    for index, upstream in enumerate(upstreams):
        where: KeyPath = ("upstreams", index, "registry")
        first = registries.setdefault(upstream.registry, where)
        if first != where:
            what = f"is {show(upstream.registry)}, as is {render_path(first)}"
            yield Problem(where, what, "list each registry once", (first,))
        where = ("upstreams", index, "port")
        first = ports.setdefault(upstream.port, where)
        if not upstream.port:
            what = "is missing: only the first upstream has a default, so that the others' ports never shift"
            yield Problem(where, what, f"add port: {next(free)}")
        elif first != where:
            what = f"is {upstream.port}, as is {render_path(first)}"
            yield Problem(where, what, f"take another, such as {next(free)}", (first,))
        elif upstream.port in logins:
            what = f"is {upstream.port}, where SSH of {logins[upstream.port]} listens"
            yield Problem(where, what, f"take another, such as {next(free)}", (("ssh", "port"),))
        yield from _credentials(settings, ("upstreams", index), upstream)


def _credentials(settings: Settings, place: KeyPath, upstream: Upstream) -> Iterator[Problem]:
    username, password = (*place, "username"), (*place, "password")
    if upstream.username and not upstream.has_login:
        remedy, file = "add it as a secret, or leave both out", (*place, "passwordFile")
        yield Problem(password, "is missing beside username", remedy, (file,))
    if upstream.has_login and not upstream.username:
        yield Problem(username, "is missing beside the password", "add it, or leave both out", (password,))
    if not upstream.has_login:
        return
    if upstream.password is not None:
        written = upstream.password.get_secret_value()
        if not written:
            yield Problem(password, "is empty", "give the token, or leave username out too")
        elif written.splitlines() != [written]:
            yield Problem(password, "has a line's end in it", "give it without, in one line")
    if upstream.password_file:
        password = (*place, "passwordFile")
        yield from _password_file(password, upstream.password_file, beside_password=bool(upstream.password))
    if access_rules.everyone_in(settings.access.networks):
        what = (
            "is given while access.networks lets everyone in: they could pull every private image it can read"
        )
        remedy = "limit access.networks, or leave the credentials out"
        yield Problem(password, what, remedy, (("access", "networks"),))
    if upstream.address.startswith("http://"):
        yield Problem(password, "would travel to the upstream unencrypted", "use an https:// url")


def _password_file(where: KeyPath, path: Path, *, beside_password: bool) -> Iterator[Problem]:
    if beside_password:
        yield Problem(where, "is given beside password", "keep one of the two")
    elif not path.is_file():
        yield _missing(where, path)
    elif path.stat().st_mode & 0o077:
        yield Problem(where, f"names {path}, which others may read", f"run chmod 600 {path}")
    else:
        try:
            lines = path.read_text(encoding="utf-8").removesuffix("\n").splitlines()
        except (OSError, UnicodeError) as error:
            what = f"names {path}, which cannot be read ({type(error).__name__})"
            yield Problem(where, what, "give a text file that this user may read")
        else:
            if len(lines) != 1:
                what = f"names {path}, which has {'nothing' if not lines else 'more than one line'} in it"
                yield Problem(where, what, "put the password there, in one line, and nothing else")


def _replaced(settings: Settings) -> Iterator[Problem]:
    served = {upstream.registry: upstream for upstream in settings.upstreams}
    upstreams: tuple[KeyPath, ...] = (("upstreams",),)
    for place, mirror in enumerate(settings.mirrors):
        containers: dict[str, KeyPath] = {}
        registries: dict[str, KeyPath] = {}
        for index, entry in enumerate(mirror.replaces):
            path: KeyPath = ("mirrors", place, "replaces", index)
            for key, value, firsts in (
                ("container", entry.container, containers),
                ("registry", entry.registry, registries),
            ):
                where = (*path, key)
                first = firsts.setdefault(value, where)
                if first != where:
                    yield Problem(
                        where, f"is {show(value)}, as is {render_path(first)}", "list it once", (first,)
                    )
            if entry.registry not in served:
                what = f"is {show(entry.registry)}, of which there is no cache"
                yield Problem((*path, "registry"), what, f"add {entry.registry} to upstreams", upstreams)
            ours = [registry for registry in served if container_of(registry) == entry.container]
            if ours:
                what = f"is {show(entry.container)}, the name that the cache of {ours[0]} gets itself"
                remedy = f"rename that container: docker rename {entry.container} {entry.container}-by-hand"
                yield Problem((*path, "container"), what, remedy, upstreams)
        yield from _nested(settings, place, mirror)


def _nested(settings: Settings, place: int, mirror: Mirror) -> Iterator[Problem]:
    """Each cache's directory is its own: it is given to the cache's user, and back."""
    directories = {
        upstream.registry: settings.data_directory(mirror, upstream) for upstream in settings.upstreams
    }
    for index, entry in enumerate(mirror.replaces):
        where = ("mirrors", place, "replaces", index, "directory")
        for registry, other in directories.items():
            if entry.directory is None or registry == entry.registry:
                continue
            if _within(entry.directory, other) or _within(other, entry.directory):
                what = f"is {show(entry.directory)}, and the cache of {registry} has {other}"
                remedy = "set cache.directory to a place beside it, such as /data/registry-cache"
                yield Problem(where, what, remedy, (("cache", "directory"), ("upstreams",)))


def _within(inner: str, outer: str) -> bool:
    return f"{inner}/".startswith(f"{outer}/")


def _access(settings: Settings) -> Iterator[Problem]:
    networks, where = settings.access.networks, ("access", "networks")
    if not networks:
        what = (
            "is missing or empty, and a cache that anyone can reach is an open proxy: strangers fill its"
            " disk, use up your rate limit, and hide behind your address"
        )
        remedy = (
            'list the networks of your clients, as in 203.0.113.0/24; if it must be open, write "0.0.0.0/0"'
        )
        yield Problem(where, what, remedy)
    for network in sorted({network for network in networks if networks.count(network) > 1}):
        yield Problem(where, f"has {network} twice", "list it once")


def _tls(settings: Settings) -> Iterator[Problem]:
    tls, mode = settings.tls, (("tls", "mode"),)
    idle = f"does nothing with mode: {tls.mode}"
    files = {
        "certificateFile": tls.certificate_file,
        "privateKeyFile": tls.private_key_file,
        "caFile": tls.ca_file,
    }
    if tls.mode == "own":
        for key in ("certificateFile", "privateKeyFile"):
            if files[key] is None:
                remedy = "name the file, or use mode: self-signed"
                yield Problem(("tls", key), "is missing with mode: own", remedy, mode)
        absent = [(key, path) for key, path in files.items() if path and not path.is_file()]
        yield from (_missing(("tls", key), path) for key, path in absent)
        if not absent:
            yield from _own_certificate(tls.certificate_file, tls.private_key_file, tls.ca_file)
    else:
        for key in (key for key, path in files.items() if path):
            yield Problem(("tls", key), idle, "use mode: own, or leave it out", mode)
    if tls.mode != "self-signed":
        for name in ("algorithm", "valid_days", "renew_before_days", "rotation"):
            if name in tls.model_fields_set:
                alias = type(tls).model_fields[name].alias or name
                yield Problem(("tls", alias), idle, "leave it out", mode)
    elif tls.renew_before_days >= tls.valid_days:
        what = (
            f"is {tls.renew_before_days}, not less than validDays ({tls.valid_days}): every `up` would renew"
        )
        yield Problem(("tls", "renewBeforeDays"), what, "take a smaller number", (("tls", "validDays"),))


def _own_certificate(certificate: Path | None, key: Path | None, authority: Path | None) -> Iterator[Problem]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate and key:
        where, remedy = ("tls", "privateKeyFile"), "give both as PEM, readable, the key without a passphrase"
        try:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
        except ssl.SSLError as error:
            mismatch = error.reason == "KEY_VALUES_MISMATCH"
            what = "belongs to another certificate than" if mismatch else "cannot be used together with"
            yield Problem(where, f"{what} {certificate}", remedy)
        except (OSError, ValueError) as error:
            yield Problem(where, f"cannot be used ({error})", remedy)
    if authority:
        yield from _holds_certificate(("tls", "caFile"), authority)


def _holds_certificate(where: KeyPath, authority: Path) -> Iterator[Problem]:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(authority)
    except (ssl.SSLError, OSError):
        yield Problem(where, f"names {authority}, which holds no certificate", "give it as PEM")


def _no_passphrase() -> str:
    raise ValueError("it is protected by a passphrase")


def _caching(settings: Settings) -> Iterator[Problem]:
    cache, proxy = settings.cache, settings.proxy
    if settings.registry.major == 2 and not 0 < durations.seconds_of(cache.ttl) <= TTL_OF_REGISTRY_2:
        what = f"is {cache.ttl}, but registry 2 itself lets go of everything after 168h"
        remedy = "write 168h or less, or use registry 3"
        yield Problem(("cache", "ttl"), what, remedy, (("registry", "image"),))
    limit = None if cache.limit is None else sizes.bytes_of(cache.limit)
    limits: list[tuple[KeyPath, str | None]] = [
        (("cache", "limit"), cache.limit),
        *((("upstreams", index, "limit"), one.limit) for index, one in enumerate(settings.upstreams)),
    ]
    for where, given in limits:
        if given is not None and sizes.bytes_of(given) < SMALLEST_LIMIT:
            what = f"is {show(given)}, too small for a single large image"
            yield Problem(where, what, "give it 100MiB or more")
    for index, upstream in enumerate(settings.upstreams):
        own = None if upstream.limit is None else sizes.bytes_of(upstream.limit)
        if own is not None and limit is not None and own > limit:
            what = f"is {show(upstream.limit)}, more than cache.limit ({cache.limit}) for all of them"
            yield Problem(("upstreams", index, "limit"), what, "take less", (("cache", "limit"),))
        if upstream.ca_file:
            yield from _upstream_authority(("upstreams", index), upstream.ca_file, upstream.address)
    if proxy.no_proxy and not (proxy.http or proxy.https):
        rests_on = (("proxy", "http"), ("proxy", "https"))
        what = "does nothing without proxy.http or proxy.https"
        yield Problem(("proxy", "noProxy"), what, "add one of them, or leave it out", rests_on)
    if (
        proxy.http
        and not proxy.https
        and not any(one.address.startswith("http://") for one in settings.upstreams)
    ):
        what = "does nothing for upstreams at https://, as all here are"
        yield Problem(("proxy", "http"), what, "write it as https:", (("proxy", "https"), ("upstreams",)))


def _upstream_authority(place: KeyPath, authority: Path, address: str) -> Iterator[Problem]:
    where = (*place, "caFile")
    if not authority.is_file():
        yield _missing(where, authority)
    elif address.startswith("http://"):
        what = "does nothing with an http:// url, where no certificate is shown"
        yield Problem(where, what, "use an https:// url, or leave it out", ((*place, "url"),))
    else:
        yield from _holds_certificate(where, authority)


def _metrics(settings: Settings) -> Iterator[Problem]:
    where, port = ("metrics", "port"), settings.metrics.port
    taken = {upstream.port: f"upstreams[{index}].port" for index, upstream in enumerate(settings.upstreams)}
    taken |= {mirror.port: f"the SSH port of {mirror.name}" for mirror in settings.mirrors}
    if port in taken:
        yield Problem(where, f"is {port}, as is {taken[port]}", "take another, such as 9469")
    elif "port" in settings.metrics.model_fields_set and not settings.metrics.networks:
        what, remedy = "does nothing without metrics.networks", "add the address of your Prometheus there"
        yield Problem(where, what, f"{remedy}, or leave it out", (("metrics", "networks"),))


def _images(settings: Settings) -> Iterator[Problem]:
    software = settings.registry
    image, where = image_reference.parse(software.image), ("registry", "image")
    if image.tag is None or not image.tag.startswith(("2", "3")):
        what = "has no tag that says whether it is version 2 or 3"
        yield Problem(where, what, "write it before the digest, as in registry:3.1.1@sha256:…")
    if image.digest is None and software.archive is None:
        what = "has no digest, so each host could get another image under that name"
        remedy = f"append @sha256:…, which `docker buildx imagetools inspect {software.image}` prints"
        yield Problem(where, what, remedy, (("registry", "archive"),))
    if software.archive:
        yield from _archive(software.archive, image)
    served = [upstream.registry for upstream in settings.upstreams]
    for index, name in enumerate(settings.prefetch):
        registry = image_reference.parse(name).registry
        if registry not in served:
            what = f"is from {registry}, of which there is no cache"
            rests_on = tuple(("upstreams", place, "registry") for place in range(len(served)))
            yield Problem(
                ("prefetch", index), what, f"add {registry} to upstreams, or leave it out", rests_on
            )
    proof = image_reference.parse(settings.verification.image)
    if proof.registry != "docker.io":
        what = f"is from {proof.registry}, but Docker asks its mirrors for docker.io only"
        yield Problem(("verification", "image"), what, "take an image of docker.io")


def _archive(archive: Path, image: ImageReference) -> Iterator[Problem]:
    where = ("registry", "archive")
    if not archive.is_file():
        yield _missing(where, archive)
        return
    try:
        tags = image_archive.read(archive).tags
    except ValueError as error:
        yield Problem(where, f"names {archive}, which {error}", "save the image again and give that file")
        return
    # An image saved by its digest has no tags in its archive.
    names = [image_reference.parse(tag) for tag in tags]
    if names and (image.registry, image.repository, image.tag) not in [
        (name.registry, name.repository, name.tag) for name in names
    ]:
        what = f"holds {', '.join(tags)}, and not the registry.image {image}"
        yield Problem(where, what, "set registry.image to what the archive holds", (("registry", "image"),))
