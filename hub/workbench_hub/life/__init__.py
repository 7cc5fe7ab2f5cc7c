"""Life with the hub: what happened, who used how much, what is ended and told, what is kept.

Nothing of it stands between a user and a kernel: if all of this is down,
people go on working, and it catches up when it is back.
"""
