"""The first look at unknown bytes: enough to tell what they are, whatever the file is called."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cached_property

from workbench.errors import UnreadableFile

__all__ = ["Sample"]

_HEAD = 64 * 1024
_PLAIN = re.compile(rb"(?i)utf-?8|us-ascii|ascii|iso-8859-\d+|windows-125\d|latin-?1")
_DECLARED = re.compile(rb"^<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']+)[\"']")
_ROOT = re.compile(rb"<\s*(?:[\w.-]+:)?([A-Za-z_][\w.-]*)")
_SKIPPED = re.compile(rb"<\?.*?\?>|<!--.*?-->", re.DOTALL)


@dataclass(frozen=True)
class Sample:
    """Bytes and what a glance at them shows.

    Parameters
    ----------
    data : bytes
        All of them.
    name : str
        What to call them in an error; never used to decide what they are.
    """

    data: bytes
    name: str

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB."""
        return self.data[:_HEAD]

    @cached_property
    def text(self) -> str | None:
        """The first 64 KiB as text, or None where they are not text."""
        head = self.head.removeprefix(b"\xef\xbb\xbf")
        if b"\x00" in head:
            return None
        try:
            return head.decode()
        except UnicodeDecodeError as error:
            # The cut at 64 KiB may have gone through a character.
            if len(self.data) > _HEAD and error.start > len(head) - 4:
                return head[: error.start].decode()
            return None

    @cached_property
    def lines(self) -> list[str]:
        """The first lines that hold something."""
        return [line for line in (self.text or "").splitlines()[:50] if line.strip()]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, if the first line reads like the header of a CSV."""
        if not self.lines or "," not in self.lines[0]:
            return ()
        return tuple(name.strip().lower() for name in next(csv.reader([self.lines[0]])))

    @cached_property
    def root(self) -> str:
        """Local name of the root element of an XML document, or nothing."""
        head = self.head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not head.startswith(b"<"):
            return ""
        self._refuse_entities(head)
        found = _ROOT.search(_SKIPPED.sub(b"", head))
        return found.group(1).decode() if found else ""

    def _refuse_entities(self, head: bytes) -> None:
        # A document type can make a parser read files or the network, and
        # swell without end; none of our forms has one.  An encoding in which
        # "<!DOCTYPE" has other bytes would hide it from this look.
        declared = _DECLARED.match(head)
        if declared and not _PLAIN.fullmatch(declared.group(1)):
            raise UnreadableFile(
                self.name,
                f"is XML in the encoding {declared.group(1).decode(errors='replace')}",
                "Write it as UTF-8.",
            )
        if b"<!DOCTYPE" in self.data or b"<!ENTITY" in self.data:
            raise UnreadableFile(
                self.name,
                "is XML with a document type or entities, which are not read",
                "Remove the <!DOCTYPE ...> part.",
            )
