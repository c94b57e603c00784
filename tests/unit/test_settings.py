"""What a right configuration becomes, and how several mistakes are told together."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pydantic
import pytest
import yaml

from components.settings import Settings
from components.settings_errors import SettingsError
from tests.unit.settings_sample import ECDSA_KEY, ED25519_KEY, SAMPLE, load, read

PROJECT = Path(__file__).parents[2]


def message(caught: pytest.ExceptionInfo[SettingsError]) -> str:
    return str(caught.value)


def test_a_cache_keeps_the_data_of_the_container_that_it_replaces(project: Path) -> None:
    volume = "/var/lib/docker/volumes/registry-cache/_data"
    replaces = [
        {"container": "registry-cache", "directory": "/data/docker_registry"},
        {"container": "ghcr", "registry": "ghcr.io", "directory": volume},
        {"container": "quay", "registry": "quay.io"},
    ]
    upstreams = [
        {"registry": "docker.io"},
        {"registry": "ghcr.io", "port": 5001},
        {"registry": "quay.io", "port": 5002},
    ]
    mirrors = read(SAMPLE)["mirrors"]
    assert isinstance(mirrors, list)
    second = {"name": "mirror-2", "address": "203.0.113.11", "hostKey": ED25519_KEY}
    settings = load(
        project,
        {
            "mirrors": [{**mirrors[0], "replaces": replaces}, second],
            "upstreams": upstreams,
            "cache": {"directory": "/srv/caches"},
        },
    )

    def directories(mirror: int) -> list[str]:
        return [
            settings.data_directory(settings.mirrors[mirror], upstream) for upstream in settings.upstreams
        ]

    assert directories(0) == ["/data/docker_registry", volume, "/srv/caches/quay.io"]
    assert directories(1) == ["/srv/caches/docker.io", "/srv/caches/ghcr.io", "/srv/caches/quay.io"]
    assert settings.replaced(settings.mirrors[0], settings.upstreams[1]) == settings.mirrors[0].replaces[1]
    assert settings.replaced(settings.mirrors[1], settings.upstreams[1]) is None


def test_all_but_hosts_and_networks_has_a_default(project: Path, user_home: Path) -> None:
    settings = load(project, leave_out="ssh")
    assert (settings.mirrors[0].user, settings.mirrors[0].port) == ("root", 22)
    assert settings.ssh.private_key_file == user_home / ".ssh/id_ed25519"
    assert [(upstream.registry, upstream.port) for upstream in settings.upstreams] == [("docker.io", 443)]
    assert settings.upstreams[0].address == "https://registry-1.docker.io"
    assert (settings.tls.mode, settings.tls.algorithm) == ("self-signed", "ECDSA-P256")
    assert (settings.tls.valid_days, settings.tls.renew_before_days) == (365, 30)
    assert (settings.cache.directory, settings.cache.ttl) == ("/data/docker_registry", "168h")
    assert settings.cache.keep_on_destroy
    assert settings.registry.major == 3
    assert "@sha256:" in settings.registry.image
    assert settings.mirrors_are_clients
    assert settings.clients[0].docker == "keep"
    assert settings.warnings() == ()


def test_the_settings_cannot_be_changed(project: Path) -> None:
    settings = load(project)
    with pytest.raises(pydantic.ValidationError):
        settings.tls.mode = "off"


def test_every_mistake_stands_in_one_message_in_the_order_of_the_sections(project: Path) -> None:
    mistakes = f"""
    ssh: {{prot: 22}}
    mirrors:
      - {{name: A, address: 1.2.3, hostKey: {ECDSA_KEY}}}
      - {{name: web-1, address: 203.0.113.21, hostKey: x}}
    access: {{networks: [10.0.0.1/8]}}
    tls: {{mode: own, validDays: 9}}
    cache: {{ttl: 60, limit: 5G}}
    upstreams: [{{registry: docker.io}}, {{registry: ghcr.io}}]
    chache: {{}}
    """
    with pytest.raises(SettingsError) as caught:
        load(project, mistakes)
    lines = message(caught).splitlines()
    assert lines[0] == "The configuration has 14 mistakes; nothing was touched:"
    assert [line.split()[0] for line in lines[1:]] == [
        "ssh.prot",
        "mirrors[0].name",
        "mirrors[0].address",
        "mirrors[1].hostKey",
        "clients[0].name",
        "clients[0].address",
        "upstreams[1].port",
        "access.networks[0]",
        "tls.certificateFile",
        "tls.privateKeyFile",
        "tls.validDays",
        "cache.ttl",
        "cache.limit",
        "chache",
    ]


@pytest.mark.parametrize("spelling", ["off", "'off'", "false"])
def test_tls_off_is_understood_though_yaml_reads_false(spelling: str, project: Path) -> None:
    settings = load(project, f"tls: {{mode: {spelling}}}")
    assert settings.tls.mode == "off"
    assert settings.upstreams[0].port == 5000


def test_numbers_and_switches_may_come_as_text(project: Path) -> None:
    settings = load(project, {"ssh": {"port": "2222", "agent": "true"}, "mirrorsAreClients": "no"})
    assert settings.mirrors[0].port == 2222
    assert settings.ssh.private_key_file is None
    assert not settings.mirrors_are_clients


def test_a_key_without_a_value_counts_as_not_given(project: Path) -> None:
    settings = load(project, {"tls": None, "cache": {"ttl": None}, "clients": None})
    assert settings.tls.mode == "self-signed"
    assert settings.cache.ttl == "168h"
    assert settings.clients == ()


@pytest.mark.parametrize(
    ("written", "ttl"), [("0", "0s"), ("'0'", "0s"), ("0s", "0s"), ("36h", "36h"), ("1h30m", "1h30m")]
)
def test_a_time_to_live_is_what_the_registry_reads(written: str, ttl: str, project: Path) -> None:
    assert load(project, f"cache: {{ttl: {written}}}").cache.ttl == ttl


def test_addresses_names_and_networks_are_canonical(project: Path) -> None:
    settings = load(
        project,
        f"""
        mirrors: [{{name: m, address: '2001:DB8:0:0::1', hostname: Mirror.Example.ORG, hostKey: {ECDSA_KEY}}}]
        access: {{networks: ['2001:DB8::/32']}}
        upstreams: [{{registry: docker.io}}, {{registry: Registry.Example:5443, port: 5001}}]
        """,
    )
    assert settings.mirrors[0].address == "2001:db8::1"
    assert settings.mirrors[0].reached_as == "mirror.example.org"
    assert settings.access.networks == ("2001:db8::/32",)
    assert settings.upstreams[1].address == "https://registry.example:5443"


def test_urls_leave_out_the_usual_port_and_bracket_ipv6(project: Path) -> None:
    by_name = load(project, "upstreams: [{registry: docker.io}, {registry: ghcr.io, port: 5001}]")
    assert by_name.url(by_name.mirrors[0], by_name.upstreams[0]) == "https://203.0.113.10"
    assert by_name.url(by_name.mirrors[0], by_name.upstreams[1]) == "https://203.0.113.10:5001"
    plain = load(
        project, f"{{tls: {{mode: off}}, mirrors: [{{name: m, address: '::7', hostKey: {ECDSA_KEY}}}]}}"
    )
    assert plain.url(plain.mirrors[0], plain.upstreams[0]) == "http://[::7]:5000"


def test_a_host_key_loses_its_comment_only(project: Path) -> None:
    settings = load(project, f"clients: [{{name: c, address: c.example, hostKey: {ED25519_KEY} root@c}}]")
    assert settings.clients[0].host_key == ED25519_KEY


def save_image(path: Path, tags: list[str]) -> None:
    """Write what `docker save` would, with an empty layer."""
    config = b"{}"
    name = f"blobs/sha256/{hashlib.sha256(config).hexdigest()}"
    manifest = json.dumps([{"Config": name, "RepoTags": tags, "Layers": ["layer"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for member, content in {name: config, "layer": b"", "manifest.json": manifest}.items():
            header = tarfile.TarInfo(member)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))


@pytest.mark.parametrize("tags", [["registry:2.8.3"], []], ids=["saved by name", "saved by digest"])
def test_a_registry_from_an_archive_needs_no_digest(tags: list[str], project: Path) -> None:
    save_image(project / "registry.tar", tags)
    settings = load(project, "registry: {image: 'registry:2.8.3', archive: registry.tar}")
    assert settings.registry.archive == project / "registry.tar"
    assert settings.registry.major == 2


def test_an_archive_of_another_image_is_refused(project: Path) -> None:
    save_image(project / "registry.tar", ["nginx:latest"])
    with pytest.raises(SettingsError, match=r"registry\.archive holds nginx:latest, and not"):
        load(project, "registry: {image: 'registry:3', archive: registry.tar}")


def test_an_archive_that_is_none_is_refused(project: Path) -> None:
    (project / "registry.tar").write_text("no")
    with pytest.raises(
        SettingsError, match=r"registry\.archive names .*registry\.tar, which is not a whole tar"
    ):
        load(project, "registry: {image: 'registry:3', archive: registry.tar}")


def make_certificate(directory: Path, name: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
    subprocess.run([*command, *files], cwd=directory, check=True, capture_output=True)


def test_an_own_certificate_is_taken_with_its_key_and_refused_with_another(project: Path) -> None:
    make_certificate(project, "a")
    make_certificate(project, "b")
    own = "tls: {mode: own, certificateFile: a.pem, privateKeyFile: %s.key, caFile: a.pem}"
    assert load(project, own % "a").tls.certificate_file == project / "a.pem"
    with pytest.raises(SettingsError, match=r"tls\.privateKeyFile belongs to another certificate"):
        load(project, own % "b")


def test_an_own_key_with_a_passphrase_is_refused(project: Path) -> None:
    make_certificate(project, "a")
    command = ["openssl", "ec", "-aes128", "-passout", "pass:sesame", "-in", "a.key", "-out", "locked.key"]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    with pytest.raises(SettingsError, match=r"tls\.privateKeyFile cannot be used .*passphrase"):
        load(project, "tls: {mode: own, certificateFile: a.pem, privateKeyFile: locked.key}")


# The included file


def test_an_included_file_holds_more_of_the_same_keys(project: Path) -> None:
    (project / "hosts.yaml").write_text(SAMPLE)
    settings = Settings.load({"include": "hosts.yaml", "cache": {"ttl": "24h"}}, project)
    assert settings.mirrors[0].name == "mirror-1"
    assert settings.cache.ttl == "24h"


def test_a_mistake_in_the_included_file_names_the_file(project: Path) -> None:
    (project / "hosts.yaml").write_text("access: {networks: []}\n")
    raw = {key: value for key, value in read(SAMPLE).items() if key != "access"} | {"include": "hosts.yaml"}
    with pytest.raises(SettingsError, match=r"hosts\.yaml: access\.networks is missing"):
        Settings.load(raw, project)


def test_a_key_in_both_files_is_refused_naming_both(project: Path) -> None:
    (project / "hosts.yaml").write_text("access: {networks: [10.0.0.0/8]}\ncache: {}\n")
    with pytest.raises(SettingsError) as caught:
        load(project, "{include: hosts.yaml, cache: {ttl: 1h}}")
    assert "access is in the stack file and in hosts.yaml" in message(caught)
    assert "cache is in the stack file and in hosts.yaml" in message(caught)


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("mirrors: [\n  {name: a\n", "is not YAML in line 3, column 1"),
        ("- mirrors\n", "holds a list"),
        ("", "holds empty"),
        ("include: more.yaml\n", "has an include itself"),
    ],
)
def test_an_included_file_that_cannot_be_used_is_told_with_the_place(
    content: str, phrase: str, project: Path
) -> None:
    (project / "hosts.yaml").write_text(content)
    with pytest.raises(SettingsError) as caught:
        Settings.load({"include": "hosts.yaml"}, project)
    assert phrase in message(caught)


# Warnings


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ("access: {networks: [0.0.0.0/0]}", "access.networks has 0.0.0.0/0: everyone"),
        ("access: {networks: [203.0.113.0/24, '::/0']}", "access.networks has ::/0: everyone"),
        ("access: {networks: [128.0.0.0/1, 0.0.0.0/1]}", "access.networks has 0.0.0.0/0: everyone"),
        ("access: {networks: [203.0.113.0/24, '2000::/3']}", "access.networks has 2000::/3: everyone"),
        ("metrics: {networks: ['::/0']}", "metrics.networks has ::/0: everyone"),
        ("tls: {mode: off}", "tls.mode is off"),
        ("access: {networks: [198.51.100.0/24]}", "web-1 (203.0.113.21) is in none of access.networks"),
        (
            "upstreams: [{registry: docker.io}, {registry: ghcr.io, port: 5001}]",
            "by the mirror's name, as 203.0.113.10:5001/…",
        ),
        (f"registry: {{image: 'registry:2@sha256:{'0' * 64}'}}", "no longer maintained"),
    ],
)
def test_what_deserves_a_second_look_is_a_warning_and_no_mistake(
    changes: str, phrase: str, project: Path
) -> None:
    warnings = load(project, changes).warnings()
    assert [warning for warning in warnings if phrase in warning], warnings
    assert len(warnings) == 1


# The example


def stack_file(name: str) -> dict[str, object]:
    config = yaml.safe_load((PROJECT / name).read_text())["config"]
    return {key.removeprefix("registry-cache:"): value for key, value in config.items()}


def is_example(name: str, address: str) -> bool:
    """Whether the file is still ours: a team's copy of this repository has stacks of its own there."""
    file = PROJECT / name
    return file.exists() and f"address: {address}\n" in file.read_text()


needs_examples = pytest.mark.skipif(
    not (
        is_example("Pulumi.prod.yaml", "203.0.113.10") and is_example("Pulumi.staging.yaml", "198.51.100.10")
    ),
    reason="the examples made way for stacks of a team's own",
)


@needs_examples
def test_the_example_for_real_hosts_is_right_and_warns_of_nothing(project: Path) -> None:
    settings = Settings.load(stack_file("Pulumi.prod.yaml"), project)
    assert [host.name for host in (*settings.mirrors, *settings.clients)] == [
        "mirror-1",
        "mirror-2",
        "web-1",
        "web-2",
    ]
    assert settings.clients[1].user == "deploy"
    assert settings.warnings() == ()


def uncommented(name: str) -> dict[str, object]:
    """The sections that a stack file shows commented out, with the comment signs taken away."""
    lines = []
    inside = False
    for line in (PROJECT / name).read_text().splitlines():
        inside = line.startswith("  # registry-cache:") or (inside and line.startswith("  #   "))
        lines += [line.removeprefix("  # ")] if inside else []
    content = yaml.safe_load("\n".join(lines))
    return {key.removeprefix("registry-cache:"): value for key, value in content.items()}


@needs_examples
def test_what_the_example_shows_commented_out_is_right_too(project: Path) -> None:
    examples = uncommented("Pulumi.prod.yaml")
    assert {"tls", "registry", "docker", "proxy", "verification", "include"} <= examples.keys()
    tls = examples["tls"]
    assert isinstance(tls, dict)
    for own_certificate in ("certificateFile", "privateKeyFile", "caFile"):
        assert tls.pop(own_certificate).startswith("certificates/")
    (project / "images").mkdir()
    save_image(project / "images/registry.tar", ["registry:3.1.1"])
    (project / "hosts.yaml").write_text("{}")
    settings = Settings.load(stack_file("Pulumi.prod.yaml") | examples, project)
    assert settings.docker.version == "28.5.2"
    assert settings.registry.image == load(project).registry.image


@needs_examples
def test_the_example_for_staging_is_right_and_has_less_than_prod(project: Path) -> None:
    staging, prod = (
        Settings.load(stack_file(name), project) for name in ("Pulumi.staging.yaml", "Pulumi.prod.yaml")
    )
    assert staging.warnings() == ()
    assert {mirror.address for mirror in staging.mirrors}.isdisjoint(
        mirror.address for mirror in prod.mirrors
    )
    assert staging.cache.limit != prod.cache.limit


# What all stacks of a project share


def share(project: Path, text: str) -> None:
    defaults = {key: {"type": "object", "default": value} for key, value in yaml.safe_load(text).items()}
    (project / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "registry-cache", "config": defaults}))


def test_a_stack_has_what_the_project_shares_and_its_own_goes_before_key_by_key(project: Path) -> None:
    share(project, "{cache: {ttl: 24h, limit: 5GiB}, docker: {version: 28.5.2}, observe: ''}")
    settings = load(project, "cache: {limit: 50GiB}")
    assert (settings.cache.ttl, settings.cache.limit) == ("24h", "50GiB")
    assert settings.docker.version == "28.5.2"
    assert settings.observe == "auto", "an empty default is none"
    handed_over = load(project, "{cache: {ttl: 24h, limit: 5GiB}}")
    assert handed_over.cache.limit == "5GiB", "Pulumi gives a stack what it did not write itself"


def test_a_list_is_the_stacks_own_as_a_whole(project: Path) -> None:
    share(project, "{upstreams: [{registry: docker.io}, {registry: ghcr.io, port: 5001}]}")
    assert len(load(project).upstreams) == 2
    assert len(load(project, "upstreams: [{registry: docker.io, port: 5000}]").upstreams) == 1


def test_an_included_file_goes_before_what_is_shared(project: Path) -> None:
    share(project, "{cache: {ttl: 24h, limit: 5GiB}}")
    (project / "more.yaml").write_text("cache: {ttl: 48h}\n")
    included = load(project, "{include: more.yaml, cache: {ttl: 24h, limit: 5GiB}}")
    assert (included.cache.ttl, included.cache.limit) == ("48h", "5GiB")


def test_a_mistake_in_what_is_shared_names_the_projects_file(project: Path) -> None:
    share(project, "{docker: {version: '28'}}")
    with pytest.raises(SettingsError, match=r"Pulumi\.yaml: docker\.version is '28'"):
        load(project)
