"""The policy of a site: what is allowed, to whom.  Data only, in one file."""

from __future__ import annotations

from workbench_hub.policy.loading import InvalidPolicy, load, parse
from workbench_hub.policy.model import Policy

__all__ = ["InvalidPolicy", "Policy", "load", "parse"]
