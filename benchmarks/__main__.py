"""Run every topic, or those that are named: ``python -m benchmarks [topic ...]``."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys

import benchmarks
from benchmarks import harness


def main() -> None:
    """Run the topics and write docs/performance.md."""
    topics = [
        info.name for info in pkgutil.iter_modules(benchmarks.__path__) if info.name.startswith("bench_")
    ]
    wanted = {f"bench_{name}" for name in sys.argv[1:]} or set(topics)
    if unknown := wanted - set(topics):
        sys.exit(f"No such topic: {', '.join(sorted(unknown))}. There are: {', '.join(topics)}")
    left_out = []
    for name in sorted(wanted):
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"\n{module.TOPIC}")
        if reason := getattr(module, "why_not", str)():
            print(f"IS LEFT OUT: {reason}")
            left_out.append(f"{module.TOPIC}: {reason}")
            continue
        harness.publish(module.TOPIC, module.measure())
        harness.write()
    if left_out:
        print(
            "\nNOT MEASURED, and their rows are of an earlier run, if there are any:", *left_out, sep="\n  "
        )
        if os.environ.get("REQUIRE"):
            sys.exit(1)


main()
