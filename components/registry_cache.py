"""One pull-through cache: configuration, image, container, and the moment it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.certificates import ServerCertificate
from components.host import Host, script_text
from components.lib import registry_config, ssh_options
from components.lib.registry_config import CacheSettings

CERTIFICATE_FILE = "/etc/registry-cache/tls/server.pem"
CONFIGURATION_IN_CONTAINER = "/etc/registry-cache/config.yml"
REGISTRY_USER = "1000:1000"
ANSWER_WITHIN_SECONDS = 60
REPLACE_WITHIN_SECONDS = 20
"""Meanwhile nobody serves: after it, the container that was there before does again."""
GENERATION = "registry-cache.generation"
"""A label: how often the container was made anew because it was changed on its host."""


@dataclass(frozen=True)
class RegistryCacheArgs:
    """One cache. ``cache`` is what its config.yml says, ``data_directory`` where its blobs are kept."""

    host: Host
    provider: docker.Provider
    image_id: pulumi.Input[str]
    cache: CacheSettings
    url: str
    port: int
    bind_ipv6: bool
    data_directory: str
    keep_data_on_destroy: bool
    certificate: ServerCertificate | None
    replaces: str | None = None
    """A container whose place this one takes: it is stopped when this one is ready to start."""


def docker_provider(name: str, host: Host, parent: pulumi.Resource) -> docker.Provider:
    """The Docker API of a host, over an SSH that accepts the pinned host key only."""
    login = host.login
    address = f"[{login.address}]" if ":" in login.address else login.address
    return docker.Provider(
        name,
        host=f"ssh://{login.user}@{address}:{login.port}",
        ssh_opts=ssh_options.arguments(login),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[host.last_step]),
    )


class RegistryCache(pulumi.ComponentResource):
    """A registry container that mirrors one upstream."""

    url: str
    registry: str
    upstream_url: str
    upstream_ca_file: str | None
    data_directory: str
    container_id: pulumi.Output[str]
    container_name: str
    answers: pulumi.Resource

    def __init__(
        self, name: str, args: RegistryCacheArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry-cache:index:RegistryCache", name, None, opts)
        host, cache = args.host, args.cache
        self.url = args.url
        self.registry = cache.registry
        self.upstream_url = cache.upstream_url
        self.data_directory = args.data_directory
        self.upstream_ca_file = None
        slug = registry_config.slug_of(cache.registry)
        self.container_name = registry_config.container_of(cache.registry)
        configuration = registry_config.render(cache)
        path = f"/etc/registry-cache/{slug}/config.yml"
        written = host.run(
            f"configuration-{slug}",
            "registry_directory.sh",
            *(path, args.data_directory, "yes" if args.keep_data_on_destroy else "no"),
            "secret" if cache.password else "shown",
            stdin=pulumi.Output.secret(configuration) if cache.password else configuration,
            parent=self,
        )
        certificate = args.certificate
        login = registry_config.credential_helper(cache)
        login_path = f"/etc/registry-cache/{slug}/credentials"
        if login is not None:
            written = host.file(
                f"credentials-{slug}",
                login_path,
                pulumi.Output.secret(login) if cache.password else login,
                mode="500",
                owner=REGISTRY_USER,
                parent=self,
            )
        ca_path = f"/etc/registry-cache/{slug}/upstream-ca.pem"
        self.upstream_ca_file = None if cache.upstream_ca is None else ca_path
        if cache.upstream_ca is not None:
            written = host.file(f"upstream-ca-{slug}", ca_path, cache.upstream_ca, parent=self)
            self.upstream_ca_file = ca_path
        fingerprint = certificate.fingerprint if certificate else pulumi.Output.from_input("none")
        mounted = {path: CONFIGURATION_IN_CONTAINER}
        if login is not None:
            mounted[login_path] = registry_config.CREDENTIALS_IN_CONTAINER
        if cache.upstream_ca is not None:
            mounted[ca_path] = registry_config.UPSTREAM_CA_IN_CONTAINER
        if certificate is not None:
            mounted[CERTIFICATE_FILE] = registry_config.CERTIFICATE_IN_CONTAINER
        volumes = [
            docker.ContainerVolumeArgs(
                host_path=args.data_directory, container_path=registry_config.DATA_IN_CONTAINER
            ),
            *(
                docker.ContainerVolumeArgs(host_path=source, container_path=target, read_only=True)
                for source, target in mounted.items()
            ),
        ]
        fixed = [
            # The registry reads its files only when it starts: another content is another container.
            docker.ContainerLabelArgs(label="registry-cache.certificate", value=fingerprint),
            docker.ContainerLabelArgs(
                label="registry-cache.configuration",
                value=_digest(configuration + (login or "") + (cache.upstream_ca or "")),
            ),
            *(
                [docker.ContainerLabelArgs(label="registry-cache.replaces", value=args.replaces)]
                if args.replaces
                else []
            ),
        ]
        container_step = f"container-{slug}"
        container = docker.Container(
            f"{name}-container",
            name=self.container_name,
            image=args.image_id,
            entrypoints=["/bin/sh", "-c", script_text("serve_cache.sh"), "serve-cache"],
            command=[CONFIGURATION_IN_CONTAINER],
            envs=[f"{key}={value}" for key, value in sorted(registry_config.environment(cache).items())],
            user=REGISTRY_USER,
            read_only=True,
            tmpfs={"/tmp": "size=16m,mode=1777"},
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            restart="always",
            network_mode="bridge",
            ports=[
                docker.ContainerPortArgs(internal=registry_config.PORT, external=args.port, ip=ip)
                for ip in (["0.0.0.0", "::"] if args.bind_ipv6 else ["0.0.0.0"])
            ],
            volumes=volumes,
            # One that takes another's place is started by the step that stops the other.
            start=False if args.replaces else None,
            must_run=False if args.replaces else None,
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=[
                    *("CMD", "/bin/sh", "-c", script_text("cache_health.sh"), "cache-health"),
                    *registry_config.COUNTERS[cache.major],
                ],
                interval="10s",
                timeout="5s",
                start_period="10s",
                retries=3,
            ),
            # Where it was taken away or changed on the host, a label more has it made anew.
            labels=host.verdict(container_step).apply(
                lambda found: [*fixed, *_generation(found.mark)],
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=args.provider,
                depends_on=[written],
                delete_before_replace=True,
                replace_on_changes=["healthcheck"],
            ),
        )
        host.follow(container)
        host.keep_mark(container_step, container, container.labels.apply(_mark_in))
        self.container_id = container.id
        if args.replaces is not None:
            host.run(
                f"replace-{slug}",
                "replace_container.sh",
                *(args.replaces, self.container_name, args.data_directory),
                *(args.url, str(REPLACE_WITHIN_SECONDS)),
                # Another container must be started too. Its id is not known before, the rest of the step is.
                stdin=pulumi.Output.concat(container.id, "\n", certificate.ca if certificate else ""),
                parent=self,
            )
        self.answers = host.run(
            f"answers-{slug}",
            "answers.sh",
            *(args.url, self.container_name, str(ANSWER_WITHIN_SECONDS), container.id),
            stdin=certificate.ca if certificate else "",
            parent=self,
        )
        if cache.password is not None:
            self.answers = host.run(
                f"login-{slug}",
                "upstream_login.sh",
                *(
                    self.container_name,
                    cache.upstream_url,
                    cache.registry,
                    cache.username or "",
                    container.id,
                ),
                parent=self,
            )
        self.register_outputs({"url": self.url})


def _generation(mark: int) -> list[docker.ContainerLabelArgs]:
    return [docker.ContainerLabelArgs(label=GENERATION, value=str(mark))] if mark else []


def _mark_in(labels: Sequence[docker.outputs.ContainerLabel] | None) -> int:
    return next((int(label.value) for label in labels or () if label.label == GENERATION), 0)


def _digest(text: str) -> str:
    """Tells contents apart in a label that everybody on the host can read: slow on purpose, for a
    password may be in it.
    """
    return hashlib.scrypt(text.encode(), salt=b"registry-cache", n=2**14, r=8, p=1, dklen=32).hex()
