"""A hand-made mirror: what is on its hosts, what is wrong with it, and the stack that takes it over.

facts.py reads what inspect_host.sh tells of a host, findings.py judges it, takeovers.py chooses what one
stack can take over, and proposal.py writes that stack; all four are pure. `python -m components.adoption`
asks the hosts and prints what comes of it.
"""
