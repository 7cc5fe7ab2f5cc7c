"""Digital filters of a response: what cannot be right about them, and how to mend it.

A decimation filter lets everything well below the Nyquist frequency through.
Where StationXML says otherwise the metadata are wrong, most often because the
half of a symmetric filter is listed from the middle outwards, while SEED and
StationXML list it from the outside to the middle.

References
----------
FDSN (2012). SEED Reference Manual, version 2.4, blockette 61.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["mended", "suspect"]

_USED = 0.25
"""Highest frequency over sampling rate that a decimation filter leaves alone for certain."""

_TOLERATED = 2.0
"""Factor by which the gain may change below that."""


def suspect(response: Any, rate: float) -> str:
    """Say which digital filter of a response cannot be right, or return an empty text.

    Parameters
    ----------
    response : obspy.core.inventory.Response
    rate : float
        Sampling rate of the data, 1/s.
    """
    frequency = np.linspace(0, _USED * rate, 51)
    for stage in response.response_stages if response is not None else ():
        gain = _gain(stage, _coefficients(stage), frequency)
        if gain is None or _even(gain):
            continue
        worst = int(np.argmin(gain))
        text = (
            f"has a digital filter (stage {stage.stage_sequence_number}) that lets "
            f"{100 * gain[worst] / gain.max():.2g} % through at {frequency[worst]:.2g} Hz"
        )
        return f"{text}, as if its coefficients stood in reverse" if _reversed(stage, frequency) else text
    return ""


def mended(response: Any, rate: float) -> tuple[Any, str]:
    """Return a copy of a response whose digital filters can be right, and what was done.

    Coefficients in reverse order are turned round; any other filter that
    cannot be right is taken as letting everything through.
    """
    frequency = np.linspace(0, _USED * rate, 51)
    copy = deepcopy(response)
    turned = opened = 0
    for stage in copy.response_stages:
        gain = _gain(stage, _coefficients(stage), frequency)
        if gain is None or _even(gain):
            continue
        if _reversed(stage, frequency):
            stage.coefficients = stage.coefficients[::-1]
            turned += 1
        else:
            _open(stage)
            opened += 1
    done = [f"{turned} turned round"] if turned else []
    done += [f"{opened} left out"] if opened else []
    return copy, f"such filters: {', '.join(done)}"


def _coefficients(stage: Any) -> list[float]:
    return [float(value) for value in getattr(stage, "coefficients", [])]


def _gain(
    stage: Any, coefficients: list[float], frequency: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | None:
    """Gain of a digital stage at frequencies in Hz, or None if it is no filter."""
    rate = stage.decimation_input_sample_rate
    if not rate:
        return None
    symmetry = getattr(stage, "symmetry", None)
    if symmetry is not None and coefficients:
        mirrored = {"ODD": coefficients[-2::-1], "EVEN": coefficients[::-1]}.get(symmetry, [])
        return _digital([*coefficients, *mirrored], [1.0], frequency / rate)
    numerator = [float(value) for value in getattr(stage, "numerator", [])]
    if getattr(stage, "cf_transfer_function_type", "") == "DIGITAL" and numerator:
        denominator = [float(value) for value in stage.denominator]
        return _digital(numerator, denominator or [1.0], frequency / rate)
    return None


def _digital(
    numerator: list[float], denominator: list[float], cycles: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    back = np.exp(-2j * np.pi * cycles)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.abs(np.polyval(numerator[::-1], back) / np.polyval(denominator[::-1], back))


def _even(gain: npt.NDArray[np.float64]) -> bool:
    return bool(gain.max() <= _TOLERATED * gain.min())


def _reversed(stage: Any, frequency: npt.NDArray[np.float64]) -> bool:
    if getattr(stage, "symmetry", "NONE") not in ("ODD", "EVEN"):
        return False
    turned = _gain(stage, _coefficients(stage)[::-1], frequency)
    return turned is not None and _even(turned)


def _open(stage: Any) -> None:
    """Make a digital stage let everything through, without a delay."""
    if hasattr(stage, "coefficients"):
        stage.symmetry, stage.coefficients = "NONE", [1.0]
    else:
        stage.numerator, stage.denominator = [1.0], []
    stage.decimation_delay = stage.decimation_correction = 0.0
