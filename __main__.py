"""registry-cache: mirrors, the clients that use them, and the proof that they do."""

import pulumi

from components import stack
from components.last_up import LastUp

settings = stack.load_settings()
last_up = LastUp()
hosts = stack.declare_hosts(settings, last_up)
mirrors = stack.declare_mirrors(settings, hosts, last_up)
clients = stack.declare_clients(settings, hosts, mirrors)
proofs = stack.declare_verifications(settings, mirrors, clients)

pulumi.export("mirrors", stack.describe_mirrors(mirrors))
pulumi.export("clients", stack.describe_clients(clients))
pulumi.export("proofs", proofs)
pulumi.export("generations", stack.describe_generations(hosts))
pulumi.export("certificates", stack.describe_certificates(mirrors))
