"""ObsPy's readers, called so that foreign bytes can do no harm.

ObsPy's own detection is not used: it asks one format after the other, and the
question "is this a pickle?" is answered by loading the pickle, which runs what
is in it.  Other formats are lists of file names, which would be opened.  So
the formats are asked here, without those, and always about bytes in memory: a
name is never given to ObsPy, which would take it for a URL or a pattern.
"""

from __future__ import annotations

import csv
import io
import struct
import tempfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from workbench.errors import UnreadableFile, WorkbenchError
from workbench.wire.quiet import quiet

__all__ = ["REFUSED", "Foreign", "detect", "read"]

Group = Literal["waveform", "event", "inventory"]

REFUSED = frozenset({"PICKLE", "CSS", "NNSA_KB_CORE"})
"""Formats that run code, or open the files that they name."""


class Foreign:
    """A ``with`` block around a foreign reader: what it raises becomes `UnreadableFile`.

    Parameters
    ----------
    name, form : str
        The file, and what it is read as.

    Notes
    -----
    Readers of ObsPy raise whatever comes up: the usual exceptions of Python,
    bare ``Exception``, and private classes that share no root.
    """

    _usual = (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
        AssertionError,
        OSError,
        EOFError,
        RuntimeError,
        MemoryError,
        SyntaxError,
        csv.Error,
        struct.error,
        zlib.error,
    )

    def __init__(self, name: str, form: str) -> None:
        self.name = name
        self.form = form

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Turn what was raised into one error that names the file."""
        if kind is None or error is None or isinstance(error, WorkbenchError):
            return
        home = kind.__module__.partition(".")[0]
        if kind is Exception or issubclass(kind, self._usual) or home in ("obspy", "lxml", "zarr"):
            said = " ".join(str(error).split())[:200] or kind.__name__
            raise UnreadableFile(
                self.name, f"cannot be read as {self.form} ({said})", "Get the file again."
            ) from error


def detect(group: Group, data: bytes, skip: frozenset[str] = frozenset()) -> str | None:
    """Return the name of the ObsPy format that the bytes have, or None."""
    from obspy.core.util.base import ENTRY_POINTS

    names = [name for name in ENTRY_POINTS[group] if name not in REFUSED and name not in skip]
    found = next((name for name in names if _claims(group, name, io.BytesIO(data))), None)
    if found is None:
        # A few formats look at files only.  The file is alone in its folder.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data"
            path.write_bytes(data)
            found = next((name for name in names if _claims(group, name, str(path))), None)
    return found


def _claims(group: Group, form: str, where: Any) -> bool:
    try:
        with quiet("", tell=False), Foreign("", form):
            return bool(_function(group, form, "isFormat")(where))
    except UnreadableFile:
        # Some formats fail over what they do not know.
        return False


def read(group: Group, data: bytes, form: str, name: str) -> Any:
    """Read bytes as one ObsPy format.

    Raises
    ------
    UnreadableFile
        Naming the file and what ObsPy found wrong.
    """
    if form in REFUSED:
        raise UnreadableFile(name, f"has the form {form}, which is not read", "Write it as miniSEED.")
    reader = _function(group, form, "readFormat")
    with quiet(name), Foreign(name, form):
        try:
            return reader(io.BytesIO(data))
        except TypeError:
            # A few readers know files only.
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "data"
                path.write_bytes(data)
                return reader(str(path))


def _function(group: Group, form: str, which: str) -> Any:
    from obspy.core.util.base import ENTRY_POINTS, buffered_load_entry_point

    entry = ENTRY_POINTS[group][form]
    return buffered_load_entry_point(entry.dist.name, f"obspy.plugin.{group}.{entry.name}", which)
