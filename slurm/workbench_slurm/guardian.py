"""The guardian of a cluster's supervisor: see `workbench_hub.guardian`."""

from __future__ import annotations

import sys
from pathlib import Path

from workbench_hub.guardian import guard
from workbench_slurm.cluster import Cluster

__all__: list[str] = []

if __name__ == "__main__":
    guard(Cluster(Path(sys.argv[1])))
