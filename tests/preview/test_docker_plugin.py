"""The offline docker plugin through the real CLI, as far as that goes without Docker: checks and previews."""

from collections.abc import Callable

from tests.pulumi_project import Project

Projects = Callable[..., Project]

NOBODY_THERE = "ssh://root@127.0.0.1:1"
"""A host that refuses every connection: whatever reaches for it fails."""

PROGRAM = f"""
import pulumi, pulumi_docker as docker

provider = docker.Provider("host", host="{NOBODY_THERE}", ssh_opts=["-o", "ConnectTimeout=2"])
options = pulumi.ResourceOptions(provider=provider)
image = docker.RemoteImage("image", name="registry:3", opts=options)
container = docker.Container(
    "cache",
    image=image.image_id,
    envs=[pulumi.Output.secret("TOKEN=s3cret")],
    ports=[docker.ContainerPortArgs(internal=5000, external=443)],
    opts=options,
)
pulumi.export("image", image.image_id)
pulumi.export("name", container.name)
pulumi.export("hostname", container.hostname)
"""

CONTAINER = f"""
import pulumi, pulumi_docker as docker

provider = docker.Provider("host", host="{NOBODY_THERE}")
docker.Container("cache", image="sha256:12", {{arguments}}, opts=pulumi.ResourceOptions(provider=provider))
"""

PROVIDER = """
import pulumi, pulumi_docker as docker

provider = docker.Provider("host", {arguments})
docker.RemoteImage("image", name="registry:3", opts=pulumi.ResourceOptions(provider=provider))
"""


def test_a_preview_of_something_new_needs_no_host(pulumi_project: Projects) -> None:
    shown = pulumi_project(PROGRAM).preview().text

    for line in (
        'name: "registry:3"',
        'ip      : "0.0.0.0"',
        "image   : [unknown]",
        "hostname: [unknown]",
    ):
        assert line in shown
    assert "s3cret" not in shown


def test_a_host_that_does_not_answer_fails_the_first_operation_with_what_ssh_said(
    pulumi_project: Projects,
) -> None:
    project = pulumi_project(PROGRAM)

    failed = project.up(check=False)

    assert failed.code != 0
    assert (
        f"ssh to {NOBODY_THERE} failed: ssh: connect to host 127.0.0.1 port 1: Connection refused"
        in failed.text
    )
    assert not [found for found in project.resources() if found["type"].startswith("docker:")]


def test_every_input_that_is_refused_or_wrong_is_named_in_one_preview(pulumi_project: Projects) -> None:
    arguments = """
    privileged=True,
    uploads=[{'file': '/x', 'content': 'y'}],
    mounts=[{'type': 'volume', 'target': '/x', 'volume_options': {'no_copy': True}}],
    restart='sometimes',
    ports=[{'external': 443}]"""

    failed = pulumi_project(CONTAINER.replace("{arguments}", arguments)).preview(check=False)

    assert failed.code != 0
    for reason in (
        "'privileged' is an input of the official plugin that this offline plugin",
        "'uploads' is an input of the official plugin",
        "'mounts[0].volumeOptions' is an input of the official plugin",
        "'restart' must be one of no, on-failure, always, unless-stopped",
        "the required input 'ports[0].internal' is missing",
    ):
        assert reason in failed.text


def test_a_time_that_is_none_is_named_with_its_place(pulumi_project: Projects) -> None:
    program = CONTAINER.replace("{arguments}", "healthcheck={'interval': '30'}")

    failed = pulumi_project(program).preview(check=False)

    assert failed.code != 0
    assert "'healthcheck.interval': '30' is no duration; write it like 30s" in failed.text


def test_every_setting_that_is_refused_or_wrong_is_named_without_its_value(pulumi_project: Projects) -> None:
    arguments = """
    registry_auth=[{'address': 'ghcr.io', 'username': 'u', 'password': 's3cret'}],
    cert_path='/certs',
    ssh_opts='-v'"""

    failed = pulumi_project(PROVIDER.replace("{arguments}", arguments)).preview(check=False)

    assert failed.code != 0
    for reason in (
        "'registryAuth' is an input of the official plugin",
        "'certPath' is an input of the official plugin",
        "'sshOpts' must be a list",
    ):
        assert reason in failed.text
    assert "s3cret" not in failed.text


def test_a_host_that_cannot_be_one_is_named(pulumi_project: Projects) -> None:
    program = PROVIDER.replace("{arguments}", "host='npipe:////./pipe/docker'")

    failed = pulumi_project(program).preview(check=False)

    assert failed.code != 0
    assert "'host' is 'npipe:////./pipe/docker'; it must begin with ssh://" in failed.text
