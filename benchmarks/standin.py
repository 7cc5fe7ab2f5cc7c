"""A kernel that stands in for one that takes long: it takes no processor time while it does."""

from __future__ import annotations

import time

from workbench.kernel import kernel
from workbench.nouns import Triggers, Waveforms
from workbench.units import Seconds


@kernel(per="channel")
def pause(waveforms: Waveforms, *, seconds: Seconds = 0.0) -> Triggers:
    """Wait, and find nothing.

    Parameters
    ----------
    waveforms : Waveforms
        Read, and not looked at.
    seconds : Seconds
        How long a tile is to take.

    Returns
    -------
    list of Trigger
        None.
    """
    time.sleep(seconds)
    return Triggers()
