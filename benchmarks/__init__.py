"""Ours against named peers, alternating in one run: ``make bench``."""
