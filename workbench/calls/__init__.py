"""Calls: what is asked, how it is run, what comes out, and where that comes from."""

from workbench.calls.call import Call
from workbench.calls.policy import Policy
from workbench.calls.results import Result
from workbench.calls.runner import run

__all__ = ["Call", "Policy", "Result", "run"]
