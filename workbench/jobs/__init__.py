"""Where calls are worked off: in processes of their own, here or on a Dask cluster.

>>> from workbench.jobs import Isolated
>>> with Isolated("workbench.jobs.isolated:echo", size=1) as isolated:
...     isolated.run({"n": 1}, seconds=60)
{'n': 1}
"""

from workbench.jobs.cluster import Cluster, client, result, submit
from workbench.jobs.isolated import Isolated

__all__ = ["Cluster", "Isolated", "client", "result", "submit"]
