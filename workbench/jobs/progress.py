"""How far a work has come: a bar with an estimate, where somebody is looking.

In a terminal it is drawn by rich, in a notebook by ipywidgets.  A log file, a
pipe and a batch job get nothing.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Display", "Meter", "duration", "shown"]

_EVERY_S = 0.2


class Display(Protocol):
    """Something that shows a fraction and a line of text."""

    def show(self, fraction: float, text: str) -> None:
        """Show how far it is."""
        ...

    def close(self) -> None:
        """Leave the screen as it was found."""
        ...


@dataclass
class Meter:
    """Counts what is done, and estimates what is left.

    Tiles are weighed by their samples, as they are of different sizes, and
    those that were finished before the start say nothing of how long the others
    take.

    Parameters
    ----------
    tiles : int
    weight : int
        Of all of them.
    display : Display, optional
    """

    tiles: int
    weight: int
    display: Display | None = None
    done: int = 0
    reused: int = 0
    failed: int = 0
    _left: float = field(init=False)
    _worked: float = 0.0
    _begun: float = field(default_factory=time.monotonic)
    _drawn: float = 0.0

    def __post_init__(self) -> None:
        self._left = float(self.weight)

    def step(self, state: str, weight: int) -> None:
        """Count a tile."""
        self.done += 1
        self.reused += state == "reused"
        self.failed += state == "failed"
        self._left -= weight
        if state != "reused":
            self._worked += weight
        now = time.monotonic()
        if self.display is not None and (now - self._drawn > _EVERY_S or self.done == self.tiles):
            self._drawn = now
            self.display.show(self.done / max(self.tiles, 1), self.text)

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, as far as can be told; None before anything has been computed."""
        if self.done >= self.tiles:
            return 0.0
        if not self._worked:
            return None
        return (time.monotonic() - self._begun) / self._worked * max(self._left, 0.0)

    @property
    def text(self) -> str:
        """What is shown beside the bar."""
        parts = [f"{self.done} of {self.tiles} tiles"]
        if self.reused:
            parts.append(f"{self.reused} finished before")
        if self.failed:
            parts.append(f"{self.failed} failed")
        left = self.left_s
        if left:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Say a length of time as one would.

    Examples
    --------
    >>> duration(0.4), duration(95), duration(7300), duration(200_000)
    ('1 s', '2 min', '2.0 h', '2.3 d')
    """
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"


@contextmanager
def shown(wanted: bool) -> Iterator[Display | None]:
    """Give something to show progress on, or None where nobody is looking."""
    display = _display() if wanted else None
    try:
        yield display
    finally:
        if display is not None:
            display.close()


def _display() -> Display | None:
    shell = sys.modules.get("IPython")
    kernel = shell.get_ipython() if shell is not None else None
    if kernel is not None and hasattr(kernel, "kernel"):
        try:
            return _Widget()
        except ImportError:
            return None
    return _Bar() if sys.stderr.isatty() else None


class _Bar:
    """A line in a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("planning", total=1.0)
        self._bar.start()

    def show(self, fraction: float, text: str) -> None:
        self._bar.update(self._task, completed=fraction, description=text)

    def close(self) -> None:
        self._bar.stop()


class _Widget:
    """A bar below a cell of a notebook."""

    def __init__(self) -> None:
        widgets: Any = importlib.import_module("ipywidgets")
        screen: Any = importlib.import_module("IPython.display")
        self._bar = widgets.FloatProgress(value=0.0, min=0.0, max=1.0)
        self._label = widgets.Label(value="planning")
        self._box = widgets.HBox([self._bar, self._label])
        screen.display(self._box)

    def show(self, fraction: float, text: str) -> None:
        self._bar.value, self._label.value = fraction, text

    def close(self) -> None:
        self._box.close()
