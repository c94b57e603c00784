"""A lab on one machine: containers that act as hosts, an upstream registry and an 'internet' of their own."""

from lab.errors import LabError
from lab.hosts import HOSTS, HostSpec
from lab.laboratory import Lab
from lab.machine import Completed, LabHost
from lab.upstream import Request, Upstream

__all__ = ["HOSTS", "Completed", "HostSpec", "Lab", "LabError", "LabHost", "Request", "Upstream"]
