"""A hand-made mirror: what is on its hosts, what is wrong with it, and the stack that takes it over.

facts.py reads what inspect_host.sh tells of a host, findings.py judges it, proposal.py turns it into a stack
file; all three are pure. `python -m components.adoption` asks the hosts and prints the three.
"""
