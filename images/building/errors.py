"""What can go wrong in a build."""

from __future__ import annotations

from workbench.errors import WorkbenchError

__all__ = ["BuildFailed", "UnsafeImage"]


class BuildFailed(WorkbenchError, RuntimeError):
    """An image could not be built."""


class UnsafeImage(BuildFailed):
    """An image was built and holds what no image may hold."""
