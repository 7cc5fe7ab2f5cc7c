"""A SLURM cluster for development and tests: real munged, slurmctld and slurmd on one machine.

All that it is lies in one state directory: key, sockets, configuration, spool,
logs.  Nothing of a SLURM or munge that the machine has of its own is touched.
What a centre has instead is told in docs/slurm.md.
"""
