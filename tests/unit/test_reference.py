"""docs/configuration.md, which is made from the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter

from components import reference
from components.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {path: (field, example) for path, field, example in reference.examples()}


def test_the_page_is_as_the_model_is() -> None:
    again = "python -m components.reference >docs/configuration.md"
    assert (ROOT / "docs/configuration.md").read_text() == reference.render(), f"write it anew: {again}"


@pytest.mark.parametrize("path", EXAMPLES)
def test_every_setting_has_a_meaning_and_an_example_that_it_takes(path: str, tmp_path: Path) -> None:
    field, example = EXAMPLES[path]
    assert field.description, "a docstring below it in components/settings.py says what it means"
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    TypeAdapter(kind).validate_python(example, context={"directory": tmp_path})


def test_every_key_that_a_stack_may_set_is_on_the_page() -> None:
    def keys(model: type[BaseModel]) -> set[str]:
        return {str(field.alias) for field in model.model_fields.values()}

    page = reference.render()
    assert {"mirrorsAreClients", "upstreams"} < keys(Settings)
    for key in keys(Settings):
        assert f"\n| `{key}` |" in page
    for path in ("ssh.jumpHost", "mirrors[]", "clients[]", "upstreams[]", "tls", "metrics"):
        assert f"\n## `{path}`\n" in page


@pytest.mark.parametrize(
    "row",
    [
        "| `agent` | Take the keys of the SSH agent, and no file. | true or false | `false` | `true` |",
        "| Any other number than the one before renews the certificate at once. | number | `0` | `1` |",
        "| `registry` | Its name as in image names: docker.io, ghcr.io. | name of a registry | to be given |",
        "At most 168h with registry 2. | time with its unit: h, m or s; 0 for ever | `168h` | `168h` |",
        "| `docker` | `keep` leaves Docker as it is there, `install` installs it where it is missing."
        " | one of `keep`, `install` | `keep` | `install` |",
    ],
)
def test_a_row_has_meaning_form_default_and_example(row: str) -> None:
    assert row in reference.render()
