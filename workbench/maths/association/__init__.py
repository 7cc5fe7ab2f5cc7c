"""Which picks belong to one event: search, likelihood and assignment, on arrays.

========== ==================================================================
module     what it holds
========== ==================================================================
times      travel times from anywhere to every station, and how well they are known
cells      the search volume, cut into cells that picks can tell apart
stack      the score of every cell and origin time, and its peaks
likelihood how much more likely an event is than chance
climb      the place and origin time near by where it is likeliest
search     the whole: peaks, events, picks shared out among events
========== ==================================================================
"""
