"""What libraries say while they read becomes notices that name the file."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from workbench.notices import notice

__all__ = ["quiet"]

# `catch_warnings` changes the state of the whole process, so threads take turns.
_turn = threading.RLock()


@contextmanager
def quiet(name: str, *, tell: bool = True) -> Iterator[list[str]]:
    """Collect the warnings of a library, and pass them on as notices about `name`.

    Parameters
    ----------
    name : str
        The file that is being read.
    tell : bool
        Whether to pass them on; otherwise the caller looks at the list, which
        is filled when the block ends.
    """
    said: list[str] = []
    with _turn, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
        for warning in caught:
            text = " ".join(str(warning.message).split())
            if not issubclass(warning.category, DeprecationWarning) and text not in said:
                said.append(text)
    if tell:
        for text in said:
            notice(name, text.rstrip("."), loss=False)
