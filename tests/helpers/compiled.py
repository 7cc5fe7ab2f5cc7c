"""Whether numba finds what it needs compiled, by its own count."""

from __future__ import annotations

COUNT = """
import numba.core.caching as caching, numba.core.compiler as compiler, json, sys, io, contextlib, tempfile
hits, misses, load = [], [], caching.Cache.load_overload

def counted(cache, signature, context):
    found = load(cache, signature, context)
    (misses if found is None else hits).append(cache._name)
    return found

caching.Cache.load_overload = counted
from workbench.demo import __main__ as demonstration
with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
    demonstration.main.main([folder], standalone_mode=False)
print(json.dumps({"hits": hits, "misses": misses}))
"""
"""A program that finds the earthquakes of the demonstration and prints hits and misses as JSON."""
