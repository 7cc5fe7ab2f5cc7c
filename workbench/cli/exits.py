"""From an error to an exit code: the one table, and the outermost handler."""

from __future__ import annotations

import errno
import sys
import traceback

import click

from workbench.errors import (
    BadInput,
    Incomplete,
    InvalidKernel,
    InvalidSetting,
    NoData,
    ResourceExceeded,
    Unavailable,
    UnknownKernel,
    WorkbenchError,
)

__all__ = ["EXIT_CODES", "code_of", "report", "said"]

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (click.ClickException, 2),
    (InvalidSetting, 2),
    (UnknownKernel, 2),
    (NoData, 3),
    (BadInput, 4),
    (ResourceExceeded, 5),
    (MemoryError, 5),
    (Incomplete, 6),
    (InvalidKernel, 1),
    (Unavailable, 1),
    (WorkbenchError, 1),
    (KeyboardInterrupt, 130),
)
"""0 is success, and an empty catalogue is success; what is not listed is 1."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def code_of(error: BaseException) -> int:
    """Return the exit code of an error.

    Examples
    --------
    >>> code_of(NoData("GR.FUR", "nothing there"))
    3
    """
    if isinstance(error, OSError) and error.errno in _FULL:
        return 5
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def report(error: BaseException, *, debug: bool) -> int:
    """Print one clear line about an error and return the exit code."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    print(f"error: {said(error)}", file=sys.stderr)  # noqa: T201 - the terminal is this module's business
    return code_of(error)


def said(error: BaseException) -> str:
    """Return one clear line about an error."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped"
    if isinstance(error, click.ClickException):
        usage = getattr(error, "ctx", None)
        more = f"\nTry '{usage.command_path} --help'." if usage is not None else ""
        return error.format_message() + more
    if isinstance(error, WorkbenchError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'the system'}: {error.strerror or error}"
    if isinstance(error, MemoryError):
        return "out of memory. Give a shorter span or fewer channels."
    return f"{type(error).__name__}: {error}. This is a defect; run again with --debug and report it."
