"""The broker: SLURM for users' servers that hold nothing but their hub token.

A server's `sbatch`, `squeue` and `scancel` are small programs that pass their
words on to here.  Who asks is what the hub says of the token; what is asked is
read, never executed: a submission is made anew from the options that are
allowed, runs in the image of the server that sent it, and is handed to the real
sbatch by a process of that user's uid.

::

    web         HTTP: who asks, how much, how slowly
    callers     from a token to a user, a server, its image
    service     what is asked of the broker, and what is written down about it
    options     the options of sbatch that there are here
    values      what may stand behind them
    submission  the submission made anew
    journal     so that none is lost, and none is sent twice
    queries     squeue, scancel, sinfo, scontrol, sacct: one's own jobs
    doctor      what `workbench-hub doctor` asks of it
    running     the real commands, as the user
"""
