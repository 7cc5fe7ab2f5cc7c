"""How much more likely an event is than chance.

Take an event at some place and time.  If it reaches a station, the station
has a pick of a phase with probability p, and the pick scatters about the
computed time with density f.  Picks that have nothing to do with it come at the
rate r of that station and label.  The likelihood of what a station shows is
then

    1 - p + p c f(residual) / r   where a pick fits, and   1 - p   where none does

times the likelihood without an event; c is the probability that the picker
names the phase as it did.  Their product over the stations within reach is the
likelihood ratio of the event.  Neither p (one for P, one for S) nor the reach
is known: the ratio is the mean over a few p, and over the reach by numbers of
stations, each number n with weight 1/n.

Such a mean is a likelihood ratio too, so in noise it is larger than e^x with a
probability of at most e^-x (Markov's inequality), however many stations there
are and however busy they are.  That makes one threshold serve a quiet network of
six stations and a busy one of two hundred.

References
----------
Le Bras, R., et al. (1994). Global association: design document. CMR-94-021
(detections at stations weighed by their probability; as later in NET-VISA).
Arora, N. S., Russell, S., Sudderth, E. (2013). NET-VISA: Network processing
vertically integrated seismic analysis. BSSA 103, 709-729.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.association.times import Spread, Times, spread, travel

__all__ = ["Fits", "PickList", "density", "evidence", "fits", "label_odds", "rates"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CUT = 5.0
"""Standard errors beyond which a pick does not fit."""

_TAIL, TAIL_WIDTH = 0.15, 3.0
"""Part of the picks that scatter more, and how many times more.

Pickers miss an onset by a cycle now and then.  A narrow distribution would leave
those picks to make up a second event.
"""

TYPICAL = 0.6
"""Probability of a pick at a station within reach, as far as a single number must do."""

_PROBABILITIES = np.array([0.15, 0.4, 0.65, 0.9])
"""Probabilities of a pick that the evidence is averaged over."""

_ROOT_2PI = math.sqrt(2 * math.pi)


class PickList(NamedTuple):
    """Picks, by station and then by time.

    Attributes
    ----------
    time : ndarray, shape (n_picks,)
        Seconds after some reference.
    station, label : ndarray of int, shape (n_picks,)
        Which station; 0 for P, 1 for S, 2 for unknown.
    first : ndarray of int, shape (n_stations + 1,)
        Where the picks of each station begin.
    worth : ndarray, shape (n_picks,)
        How much oftener a pick as sure as this one is of an event than of chance,
        than picks are in the mean.
    named : float
        Probability that a label is right.
    """

    time: Floats
    station: Ints
    label: Ints
    first: Ints
    worth: Floats
    named: float


class Fits(NamedTuple):
    """The pick that fits best for each station and phase that has one.

    Attributes
    ----------
    station, phase, pick : ndarray of int, shape (n,)
    residual, error : ndarray, shape (n,)
        Observed minus computed, and the standard error, s.
    ratio : ndarray, shape (n,)
        c f / r of the pick.
    """

    station: Ints
    phase: Ints
    pick: Ints
    residual: Floats
    error: Floats
    ratio: Floats


@njit(cache=True, error_model="numpy")
def rates(picks: PickList, free: Bools, window: float, usual: Floats) -> Floats:
    """Rate at which picks as sure as each come at its station with its label by chance, 1/s.

    Other picks within `window` on both sides are counted, joined with the `usual`
    rate of the label as if that had been watched equally long: a Gamma prior.
    """
    n = picks.time.size
    found = np.empty(n)
    for i in range(n):
        count = 0
        for way in (-1, 1):
            j = i + way
            while (
                0 <= j < n
                and picks.station[j] == picks.station[i]
                and abs(picks.time[j] - picks.time[i]) <= window
            ):
                if free[j] and picks.label[j] == picks.label[i]:
                    count += 1
                j += way
        found[i] = (count / (2 * window) + usual[picks.label[i]]) / 2 / picks.worth[i]
    return found


@njit(cache=True, error_model="numpy")
def fits(
    picks: PickList,
    free: Bools,
    rate: Floats,
    times: Times,
    error: Spread,
    place: Floats,
    origin: float,
    slack: float,
) -> Fits:
    """Find the pick that fits best for each station and phase.

    Parameters
    ----------
    place : ndarray, shape (3,)
        x, y and depth, km.
    origin : float
        Origin time, s.
    slack : float
        More seconds on both sides: 0 for the picks that fit here; larger for all
        that may fit near by, each of them and not only the best.
    """
    size = 2 * times.x.size if slack == 0.0 else 8 * times.x.size + 64
    station, phases, pick = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    residual, errors, ratio = np.empty(size), np.empty(size), np.empty(size)
    n = 0
    for s in range(times.x.size):
        if picks.first[s] == picks.first[s + 1]:
            continue
        distance = math.hypot(place[0] - times.x[s], place[1] - times.y[s])
        begin = n
        for phase in range(2):
            seconds = travel(times, s, phase, distance, place[2])
            sigma = spread(error, phase, seconds)
            reach = CUT * sigma + slack
            low, stop = picks.first[s], picks.first[s + 1]
            while low < stop:
                middle = (low + stop) // 2
                if picks.time[middle] < origin + seconds - reach:
                    low = middle + 1
                else:
                    stop = middle
            best = -1
            for k in range(low, picks.first[s + 1]):
                r = picks.time[k] - origin - seconds
                if r > reach or n == size:
                    break
                if not free[k]:
                    continue
                named = label_odds(picks, k, phase)
                if named == 0.0:
                    continue
                core, tail = density(r / sigma)
                q = named * (core + tail) / (sigma * rate[k])
                at = n
                if slack == 0.0 and best >= 0:
                    if q <= ratio[best]:
                        continue
                    at = best
                station[at], phases[at], pick[at] = s, phase, k
                residual[at], errors[at], ratio[at] = r, sigma, q
                if at == n:
                    best = n
                    n += 1
        if slack == 0.0 and n == begin + 2 and pick[begin] == pick[begin + 1]:
            # One pick is not P and S at once.
            if ratio[begin + 1] > ratio[begin]:
                station[begin], phases[begin], pick[begin] = s, 1, pick[begin + 1]
                residual[begin], errors[begin] = residual[begin + 1], errors[begin + 1]
                ratio[begin] = ratio[begin + 1]
            n -= 1
    return Fits(station[:n], phases[:n], pick[:n], residual[:n], errors[:n], ratio[:n])


@njit(cache=True, error_model="numpy")
def density(z: float) -> tuple[float, float]:
    """Probability density of a normalised residual: of picks as good as usual, and of others."""
    wide = z / TAIL_WIDTH
    return (
        (1 - _TAIL) / _ROOT_2PI * math.exp(-0.5 * z * z),
        _TAIL / TAIL_WIDTH / _ROOT_2PI * math.exp(-0.5 * wide * wide),
    )


@njit(cache=True, error_model="numpy")
def label_odds(picks: PickList, pick: int, phase: int) -> float:
    """Probability that a phase gets the label that the pick has."""
    if picks.label[pick] == 2:
        return 1.0
    return picks.named if picks.label[pick] == phase else 1 - picks.named


@njit(cache=True, error_model="numpy")
def evidence(found: Fits, times: Times, watched: Bools, place: Floats) -> tuple[float, float, float, float]:
    """Log of the likelihood ratio of an event to chance, and what it is most likely like.

    Parameters
    ----------
    found : Fits
    watched : ndarray of bool, shape (n_stations, 2)
        Whether the station picks that phase at all: only then its silence counts.
    place : ndarray, shape (3,)

    Returns
    -------
    evidence : float
    reach : float
        Distance to which stations see the event, km.
    p, s : float
        Probability of a P and of an S pick within it.
    """
    n = times.x.size
    away = np.empty(n)
    for i in range(n):
        away[i] = math.hypot(place[0] - times.x[i], place[1] - times.y[i])
    order = np.argsort(away, kind="mergesort")
    ratio = np.zeros((n, 2))
    for i in range(found.pick.size):
        ratio[found.station[i], found.phase[i]] = found.ratio[i]
    m = _PROBABILITIES.size
    summed = np.zeros((2, m))
    terms = np.full(n, -math.inf)
    weights, best = 0.0, -math.inf
    reach, at_p, at_s = 0.0, TYPICAL, TYPICAL
    for k in range(n):
        s = order[k]
        for phase in range(2):
            if watched[s, phase] or ratio[s, phase] > 0.0:
                for j in range(m):
                    p = _PROBABILITIES[j]
                    summed[phase, j] += math.log(1 - p + p * ratio[s, phase])
        if k < 2:
            continue
        weight = 1.0 / (k + 1)
        weights += weight
        terms[k] = math.log(weight)
        for phase in range(2):
            terms[k] += _log_mean(summed[phase])
        if terms[k] > best:
            best, reach = terms[k], away[s]
            at_p, at_s = _PROBABILITIES[np.argmax(summed[0])], _PROBABILITIES[np.argmax(summed[1])]
    whole = 0.0
    for k in range(n):
        whole += math.exp(terms[k] - best)
    return best + math.log(whole / weights), reach, at_p, at_s


@njit(cache=True, error_model="numpy")
def _log_mean(logs: Floats) -> float:
    high = logs.max()
    return high + math.log(np.exp(logs - high).mean())
