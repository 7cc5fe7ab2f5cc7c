"""Kernels, and what they start, are what the machine ends first where a container's memory runs out.

Otherwise it may as well be the user's server, and with it all notebooks.
"""

from contextlib import suppress
from pathlib import Path

with suppress(OSError):
    Path("/proc/self/oom_score_adj").write_text("500")
