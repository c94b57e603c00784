"""The stand-in for docker on light hosts knows what the program asks of a client's Docker."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from components.host import SCRIPTS

STAND_IN = Path(__file__).parent.parent.parent / "lab" / "images" / "light" / "docker.py"
ASKED = re.compile(r"docker info -f '([^']*)'")
OF_CLIENTS = ("mirror_client.sh", "pull_through_mirror.sh", "facts.sh", "status.sh")


@pytest.mark.parametrize("script", OF_CLIENTS)
def test_it_answers_every_question_of_a_script(script: str, tmp_path: Path) -> None:
    info = runpy.run_path(str(STAND_IN))["info"]
    live = tmp_path / "daemon.json"
    live.write_text('{"registry-mirrors": ["https://203.0.113.10"]}')
    info.__globals__["LIVE"] = live
    questions = ASKED.findall((SCRIPTS / script).read_text())
    assert questions
    for question in questions:
        assert info(question).endswith("\n")
