"""Reads this stack's configuration from Pulumi into the typed model."""

from __future__ import annotations

from pathlib import Path

import pulumi
from pulumi.runtime.config import CONFIG

from components import settings_reading
from components.settings import Settings
from components.settings_errors import SettingsError


def load(directory: Path) -> Settings:
    """The settings of this stack; relative paths in them start at ``directory``.

    Raises pulumi.RunError, which Pulumi shows without a stack trace, with every mistake in one
    message.
    """
    prefix = f"{pulumi.get_project()}:"
    # pulumi.Config gives single known keys; an unknown one has to be seen to be reported.
    texts = {key.removeprefix(prefix): value for key, value in CONFIG.get().items() if key.startswith(prefix)}
    try:
        values = {key: settings_reading.value_of_text(text) for key, text in texts.items()}
        return Settings.load(settings_reading.without_empty(values), directory)
    except SettingsError as mistakes:
        raise pulumi.RunError(str(mistakes)) from None
