"""The inputs and outputs that the resource types of pulumi-command 1.2.1 share."""

from offline_plugins.spec import Anything, Computed, Field, Flag, ListOf, MapOf, Number, Object, Text

VERSION = "1.2.1"
"""The official version whose behaviour these types follow."""

_LOGIN = {
    "agentSocketPath": Field(Text()),
    "dialErrorLimit": Field(Number(whole=True), default=10),
    "host": Field(Text(), required=True),
    "hostKey": Field(Text()),
    "password": Field(Text(), secret=True),
    "perDialTimeout": Field(Number(whole=True), default=15),
    "port": Field(Number(), default=22),
    "privateKey": Field(Text(), secret=True),
    "privateKeyPassword": Field(Text(), secret=True),
    "user": Field(Text(), default="root"),
}

CONNECTION = Field(Object({**_LOGIN, "proxy": Field(Object(_LOGIN))}), required=True, secret=True)
"""How a host is reached; secret as a whole, as in the official schema."""

TRIGGERS = Field(ListOf(Anything()), replaces=True)
"""Any change replaces the resource: a new `create`, then the old `delete`."""

COMMANDS = {
    "addPreviousOutputInEnv": Field(Flag()),
    "create": Field(Text()),
    "delete": Field(Text()),
    "environment": Field(MapOf(Text())),
    "logging": Field(Text(choices=("stdout", "stderr", "stdoutAndStderr", "none"))),
    "stdin": Field(Text()),
    "triggers": TRIGGERS,
    "update": Field(Text()),
}
"""What a command to run is made of, on a host or locally."""

OUTPUTS = {"stdout": Computed(), "stderr": Computed()}
"""The output of the last run; one trailing newline is taken off."""
