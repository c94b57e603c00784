"""`python -m offline_plugins.tls`: the offline stand-in for pulumi-tls 5.6.2.

Nothing leaves this machine: keys and certificates live in the state alone.
"""

from offline_plugins.provider import Provider
from offline_plugins.server import main
from offline_plugins.spec import Object
from offline_plugins.tls_resources import CertRequest, LocallySignedCert, PrivateKey, SelfSignedCert

VERSION = "5.6.2"


def provider() -> Provider:
    """The plugin. `proxy`, the official provider's one setting, serves data sources only, and is refused."""
    handlers = (PrivateKey(), SelfSignedCert(), CertRequest(), LocallySignedCert())
    return Provider("tls", VERSION, handlers, Object({}, refused=frozenset({"proxy"})))


if __name__ == "__main__":
    main(provider())
