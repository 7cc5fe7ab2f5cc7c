"""How amplitudes fall off with distance: the -log A0 of local magnitude.

Distances are hypocentral, in km; amplitudes are those of a Wood-Anderson
seismograph on a horizontal component.

References
----------
Hutton, L. K. and Boore, D. M. (1987). The ML scale in Southern California.
BSSA 77, 2074-2094.
IASPEI (2013). Summary of magnitude working group recommendations on standard
procedures for determining earthquake magnitudes from digital data.
Richter, C. F. (1935). An instrumental earthquake magnitude scale. BSSA 25, 1-32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["hutton_boore", "iaspei", "tabulated"]


def hutton_boore(r_km: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the -log10 A0 of Hutton and Boore (1987), for amplitudes in mm.

    Anchored at 3.0 in 100 km, from earthquakes at 10 to 700 km.

    Examples
    --------
    >>> round(float(hutton_boore(100.0)), 3), round(float(hutton_boore(17.0)), 3)
    (3.0, 1.989)
    """
    r = np.asarray(r_km, dtype=np.float64)
    return 1.110 * np.log10(r / 100) + 0.00189 * (r - 100) + 3.0


def iaspei(r_km: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return what IASPEI's ML adds to the log10 of an amplitude in nm.

    The amplitude is that of the record divided by the magnification.

    Examples
    --------
    >>> round(float(iaspei(100.0)), 3)
    0.319
    """
    r = np.asarray(r_km, dtype=np.float64)
    return 1.11 * np.log10(r) + 0.00189 * r - 2.09


def tabulated(r_km: npt.ArrayLike, table: Sequence[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """Interpolate a table of -log10 A0; NaN outside of it.

    Parameters
    ----------
    r_km : array_like
    table : sequence of tuple
        Distance in km, growing, and -log10 A0.

    Examples
    --------
    >>> tabulated([50.0, 250.0, 500.0], [(0.0, 1.5), (100.0, 3.0), (400.0, 4.5)]).tolist()
    [2.25, 3.75, nan]
    """
    distance, correction = np.array(table, dtype=np.float64).T
    return np.interp(np.asarray(r_km, dtype=np.float64), distance, correction, left=np.nan, right=np.nan)
