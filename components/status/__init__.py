"""`make status`: what the hosts of a stack say of themselves, judged, for a person and for scripts.

asking.py asks the hosts; everything else here is pure.
"""
