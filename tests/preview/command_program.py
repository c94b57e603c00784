"""Programs of the command plugin's tests: resources as plain data, sent exactly as a test wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.pulumi_project import Project

PROGRAM = """
import json
import pathlib

import pulumi


class Raw(pulumi.CustomResource):
    pass


def value_of(given):
    if isinstance(given, list):
        return [value_of(item) for item in given]
    if not isinstance(given, dict):
        return given
    if "$secret" in given:
        return pulumi.Output.secret(value_of(given["$secret"]))
    if "$output" in given:
        name, output = given["$output"]
        return getattr(made[name], output)
    if "$file" in given:
        return pulumi.FileAsset(given["$file"])
    if "$text" in given:
        return pulumi.StringAsset(given["$text"])
    if "$directory" in given:
        return pulumi.FileArchive(given["$directory"])
    return {name: value_of(item) for name, item in given.items()}


made = {}
for resource in json.loads(pathlib.Path("resources.json").read_text()):
    name = resource["name"]
    outputs = {output: None for output in resource["outputs"]}
    options = pulumi.ResourceOptions(version="1.2.1", **resource["options"])
    made[name] = Raw(resource["token"], name, {**outputs, **value_of(resource["inputs"])}, options)
    for output in resource["outputs"]:
        pulumi.export(f"{name}.{output}", getattr(made[name], output))
"""

REMOTE, LOCAL, COPY = "command:remote:Command", "command:local:Command", "command:remote:CopyToRemote"


def resource(
    token: str, name: str, *, options: Mapping[str, Any] | None = None, **inputs: Any
) -> dict[str, Any]:
    """One resource. Inputs are JSON, or marks such as {"$secret": v} and {"$output": [name, "stdout"]}."""
    outputs = [] if token == COPY else ["stdout", "stderr"]
    return {
        "token": token,
        "name": name,
        "inputs": inputs,
        "options": dict(options or {}),
        "outputs": outputs,
    }


class CommandStack:
    """A stack whose resources are data; `declare` replaces them."""

    def __init__(self, pulumi_project: Callable[..., Project]) -> None:
        self.project: Project = pulumi_project(PROGRAM)

    def declare(self, *resources: dict[str, Any]) -> Project:
        """Makes these the program's resources."""
        (self.project.directory / "resources.json").write_text(json.dumps(resources))
        return self.project

    def up(self, *resources: dict[str, Any]) -> dict[str, Any]:
        """Declares the resources, brings them up, and returns the stack's outputs (`name.stdout`)."""
        self.declare(*resources).up()
        return self.project.outputs()

    def failing_up(self, *resources: dict[str, Any]) -> str:
        """Declares the resources, brings them up, which must fail, and returns what a person reads."""
        done = self.declare(*resources).up(check=False)
        assert done.code != 0, f"this had to fail:\n{done.text}"
        return done.text

    def state(self, name: str) -> dict[str, Any]:
        """One resource in the state, its secrets in plain text; KeyError if it is not there."""
        exported = json.loads(self.project.cli("stack", "export", "--show-secrets").stdout)
        found = {one["urn"].rsplit("::", 1)[-1]: one for one in exported["deployment"]["resources"]}
        return dict(found[name])
