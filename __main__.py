"""registry-cache: mirrors, the clients that use them, and the proof that they do."""

import pulumi

from components import stack

settings = stack.load_settings()
hosts = stack.declare_hosts(settings)
mirrors = stack.declare_mirrors(settings, hosts)
clients = stack.declare_clients(settings, hosts, mirrors)
proofs = stack.declare_verifications(settings, mirrors, clients)

pulumi.export("mirrors", stack.describe_mirrors(mirrors))
pulumi.export("clients", stack.describe_clients(clients))
pulumi.export("proofs", proofs)
pulumi.export("certificates", stack.describe_certificates(mirrors))
