"""One plugin: its official name and version, its settings and its resource types."""

import json
from collections.abc import Sequence
from typing import Any

from offline_plugins.diff import changes
from offline_plugins.handler import OperationError, ResourceHandler
from offline_plugins.spec import Flag, ListOf, MapOf, Number, Object, Problem, Shape, field_schema
from offline_plugins.values import Properties, Secret, Value, reveal

DESCRIPTION = "offline plugin of registry-cache, not the official one"

_ENGINE_SETTINGS = frozenset({"version", "pluginDownloadURL", "pluginChecksums", "__internal"})
"""Settings that the engine puts beside a provider's own."""


class Provider:
    """A plugin. Derive from it to take settings in `configure` and to give up what they opened in `close`."""

    def __init__(
        self, name: str, version: str, handlers: Sequence[ResourceHandler], settings: Object | None = None
    ) -> None:
        """`version` is that of the official plugin; `settings` are the provider's own inputs."""
        self.name = name
        self.version = version
        self.handlers = {handler.spec.token: handler for handler in handlers}
        self.settings = settings or Object({})

    async def configure(self, settings: dict[str, Any]) -> None:
        """Take the checked, plain, structured settings. Open nothing yet: a preview may never need it."""
        return

    async def close(self) -> None:
        """Give up connections and processes; called once, when the engine ends the plugin."""
        return

    def handler(self, token: str) -> ResourceHandler:
        """The resource type; OperationError names a type that the plugin does not have."""
        try:
            return self.handlers[token]
        except KeyError:
            known = ", ".join(sorted(self.handlers))
            raise OperationError(
                f"the {DESCRIPTION} ({self.name} {self.version}) has no resource type {token}; it has {known}"
            ) from None

    def check_settings(self, given: Properties) -> tuple[Properties, list[Problem]]:
        """The settings as the engine stores them, and what is wrong with them."""
        problems: list[Problem] = []
        self.settings.complete(self._structured(given), (), problems)
        return given, problems

    def read_settings(self, given: Properties) -> dict[str, Any]:
        """The settings with defaults, structured and plain; OperationError names what is wrong."""
        problems: list[Problem] = []
        complete = reveal(self.settings.complete(self._structured(given), (), problems))
        if problems:
            raise OperationError("; ".join(problem.reason for problem in problems))
        assert isinstance(complete, dict)
        return complete

    def settings_changed(self, old: Properties, new: Properties) -> bool:
        """Whether the provider's own settings differ; the engine's are not looked at."""
        return bool(changes(self._structured(old), self._structured(new)))

    def schema(self) -> str:
        """The package schema, with the parts that this plugin carries out."""
        return json.dumps(
            {
                "name": self.name,
                "version": self.version,
                "description": DESCRIPTION,
                "config": {"variables": {n: field_schema(f) for n, f in self.settings.fields.items()}},
                "resources": {token: handler.spec.schema() for token, handler in self.handlers.items()},
            }
        )

    def _structured(self, given: Properties) -> Properties:
        return {
            name: self._from_json(name, value)
            for name, value in given.items()
            if name not in _ENGINE_SETTINGS
        }

    def _from_json(self, name: str, value: Value) -> Value:
        """SDKs send every setting that is not a string as JSON text."""
        if isinstance(value, Secret):
            return Secret(self._from_json(name, value.value))
        if name not in self.settings.fields or not isinstance(value, str):
            return value
        shape: Shape = self.settings.fields[name].shape
        if not isinstance(shape, Flag | Number | ListOf | MapOf | Object):
            return value
        try:
            parsed: Value = json.loads(value)
        except ValueError:
            return value  # the check of the shape names it
        return parsed
