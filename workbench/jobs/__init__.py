"""Where calls are worked off: in processes of their own, here or on a cluster.

Called, it lists one's own batch jobs: ``wb.jobs()``, see `workbench.jobs.batch.jobs`.

>>> from workbench.jobs import Isolated
>>> with Isolated("workbench.jobs.isolated:echo", size=1) as isolated:
...     isolated.run({"n": 1}, seconds=60)
{'n': 1}
"""

import sys
from types import ModuleType
from typing import Any

from workbench.jobs.cluster import Cluster, client, result, submit
from workbench.jobs.isolated import Isolated

__all__ = ["Cluster", "Isolated", "client", "result", "submit"]


class _Jobs(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from workbench.jobs.batch import jobs

        return jobs(*arguments, **options)


# A name cannot be a package and a function at once, but a package can be called.
sys.modules[__name__].__class__ = _Jobs
