"""The offline plugin `command`, run as `python -m offline_plugins.command`."""

from offline_plugins.command_copy import CopyToRemote
from offline_plugins.command_local import LocalCommand
from offline_plugins.command_remote import RemoteCommand
from offline_plugins.command_spec import VERSION
from offline_plugins.provider import Provider
from offline_plugins.server import main

if __name__ == "__main__":
    main(Provider("command", VERSION, [RemoteCommand(), CopyToRemote(), LocalCommand()]))
