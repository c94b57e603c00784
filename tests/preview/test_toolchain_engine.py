"""The CLI, language host and offline plugins of the toolchain run a program together."""

from __future__ import annotations

from collections.abc import Callable

from tests.pulumi_project import Project

PROGRAM = """
import pulumi
from pulumi_command import local

text = pulumi.Config("test-project").require("text")
done = local.Command("say", create="cat", delete="rm -f gone", stdin=text)
pulumi.export("said", done.stdout)
"""


def test_a_program_goes_up_is_then_unchanged_and_is_destroyed(pulumi_project: Callable[..., Project]) -> None:
    project = pulumi_project(PROGRAM, {"test-project:text": "hello"})
    project.up()
    assert project.outputs() == {"said": "hello"}
    assert {step["op"] for step in project.planned()} == {"same"}, "a second up must change nothing"
    project.destroy()
    assert project.resources() == []


def test_a_changed_setting_shows_in_the_preview_as_its_new_text(
    pulumi_project: Callable[..., Project],
) -> None:
    project = pulumi_project(PROGRAM, {"test-project:text": "hello"})
    project.up()
    project.configure({"test-project:text": "goodbye"})
    assert "goodbye" in project.preview().text
