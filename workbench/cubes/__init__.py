"""Cubes: waveforms as an array of channels by time, labelled, with a mask of what is there.

==============  ===============  ====================================================
variable        dimensions       what it holds
==============  ===============  ====================================================
data            channel, time    samples, 0 where there is none
valid           channel, time    whether there is a sample
t_offset        channel          seconds from the grid's times to those of the samples
t_shift         channel, time    what is left of that, if the clock changed; optional
==============  ===============  ====================================================

``channel`` is labelled with SEED ids; ``network``, ``station``, ``location``, ``code``
and ``sampling_rate`` go with it.  All channels share the times of one grid and no sample
is moved: that of time k was taken at ``time[k] + t_offset``.

Kernels take a cube wherever they take waveforms.
"""

from __future__ import annotations

from workbench.cubes.dataset import from_stream
from workbench.cubes.stream import to_stream

__all__ = ["from_stream", "to_stream"]
