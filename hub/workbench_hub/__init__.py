"""The hub: who may work here, what runs, and how it is kept running.

Knows no seismology: it starts processes, logs users in and spawns their
servers.  What the processes are is data, in ``processes.yaml``.
"""
