"""Distances and azimuths on the WGS84 ellipsoid, and a local plane.

`inverse` and `direct` are for one pair inside compiled loops;
`distance_azimuth`, `to_plane` and `from_plane` take numbers or arrays that
broadcast.  Angles are degrees, lengths kilometres, azimuths clockwise from
north.

References
----------
Vincenty, T. (1975). Direct and inverse solutions of geodesics on the
ellipsoid with application of nested equations. Survey Review 23(176), 88-93.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["azimuth_gaps", "central_angle", "direct", "distance_azimuth", "from_plane", "inverse", "to_plane"]

Floats = npt.NDArray[np.float64]

_A = 6378.137
_F = 1 / 298.257223563
_B = _A * (1 - _F)


@njit(cache=True, error_model="numpy")
def inverse(lat1: float, lon1: float, lat2: float, lon2: float) -> tuple[float, float]:
    """Distance (km) and azimuth (degrees) from the first point to the second.

    Within 0.1 mm of the geodesic, except within half a degree of the antipode,
    where the iteration may not settle and the distance is good to some km.
    The azimuth between two equal points is 0.
    """
    longitude = math.radians((lon2 - lon1 + 540.0) % 360.0 - 180.0)
    u1 = math.atan((1 - _F) * math.tan(math.radians(lat1)))
    u2 = math.atan((1 - _F) * math.tan(math.radians(lat2)))
    sin_u1, cos_u1, sin_u2, cos_u2 = math.sin(u1), math.cos(u1), math.sin(u2), math.cos(u2)
    lam = longitude
    sin_sigma = cos_sigma = sigma = cos2_alpha = cos_2m = 0.0
    for _ in range(50):
        sin_lam, cos_lam = math.sin(lam), math.cos(lam)
        east = cos_u2 * sin_lam
        north = cos_u1 * sin_u2 - sin_u1 * cos_u2 * cos_lam
        sin_sigma = math.sqrt(east * east + north * north)
        if sin_sigma == 0.0:
            return 0.0, 0.0
        cos_sigma = sin_u1 * sin_u2 + cos_u1 * cos_u2 * cos_lam
        sigma = math.atan2(sin_sigma, cos_sigma)
        sin_alpha = cos_u1 * cos_u2 * sin_lam / sin_sigma
        cos2_alpha = 1 - sin_alpha * sin_alpha
        cos_2m = cos_sigma - 2 * sin_u1 * sin_u2 / cos2_alpha if cos2_alpha > 1e-15 else 0.0
        c = _F / 16 * cos2_alpha * (4 + _F * (4 - 3 * cos2_alpha))
        before = lam
        lam = longitude + (1 - c) * _F * sin_alpha * (
            sigma + c * sin_sigma * (cos_2m + c * cos_sigma * (2 * cos_2m * cos_2m - 1))
        )
        if abs(lam) > math.pi:
            # Near the antipode the longitude on the auxiliary sphere runs past half a turn.
            lam = math.copysign(math.pi, longitude)
        if abs(lam - before) < 1e-11:
            break
    distance = _B * _arc(sigma, sin_sigma, cos_sigma, cos_2m, cos2_alpha * (_A * _A - _B * _B) / (_B * _B))
    sin_lam, cos_lam = math.sin(lam), math.cos(lam)
    azimuth = math.degrees(math.atan2(cos_u2 * sin_lam, cos_u1 * sin_u2 - sin_u1 * cos_u2 * cos_lam))
    # A tiny negative angle comes out of the remainder as 360 itself.
    azimuth %= 360.0
    return distance, azimuth if azimuth < 360.0 else 0.0


@njit(cache=True, error_model="numpy")
def _arc(sigma: float, sin_sigma: float, cos_sigma: float, cos_2m: float, u2: float) -> float:
    """Length of the geodesic in units of the polar radius."""
    a = 1 + u2 / 16384 * (4096 + u2 * (-768 + u2 * (320 - 175 * u2)))
    return a * (sigma - _shift(sin_sigma, cos_sigma, cos_2m, u2))


@njit(cache=True, error_model="numpy")
def _shift(sin_sigma: float, cos_sigma: float, cos_2m: float, u2: float) -> float:
    b = u2 / 1024 * (256 + u2 * (-128 + u2 * (74 - 47 * u2)))
    return (
        b
        * sin_sigma
        * (
            cos_2m
            + b
            / 4
            * (
                cos_sigma * (2 * cos_2m * cos_2m - 1)
                - b / 6 * cos_2m * (4 * sin_sigma * sin_sigma - 3) * (4 * cos_2m * cos_2m - 3)
            )
        )
    )


@njit(cache=True, error_model="numpy")
def direct(lat: float, lon: float, distance_km: float, azimuth: float) -> tuple[float, float]:
    """Latitude and longitude of the point at a distance and azimuth."""
    sin_a1, cos_a1 = math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))
    tan_u1 = (1 - _F) * math.tan(math.radians(lat))
    cos_u1 = 1 / math.sqrt(1 + tan_u1 * tan_u1)
    sin_u1 = tan_u1 * cos_u1
    sigma1 = math.atan2(tan_u1, cos_a1)
    sin_alpha = cos_u1 * sin_a1
    cos2_alpha = 1 - sin_alpha * sin_alpha
    u2 = cos2_alpha * (_A * _A - _B * _B) / (_B * _B)
    a = 1 + u2 / 16384 * (4096 + u2 * (-768 + u2 * (320 - 175 * u2)))
    sigma = distance_km / (_B * a)
    cos_2m = math.cos(2 * sigma1 + sigma)
    for _ in range(50):
        cos_2m = math.cos(2 * sigma1 + sigma)
        before = sigma
        sigma = distance_km / (_B * a) + _shift(math.sin(sigma), math.cos(sigma), cos_2m, u2)
        if abs(sigma - before) < 1e-13:
            break
    sin_sigma, cos_sigma = math.sin(sigma), math.cos(sigma)
    cos_2m = math.cos(2 * sigma1 + sigma)
    across = sin_u1 * sin_sigma - cos_u1 * cos_sigma * cos_a1
    latitude = math.atan2(
        sin_u1 * cos_sigma + cos_u1 * sin_sigma * cos_a1,
        (1 - _F) * math.sqrt(sin_alpha * sin_alpha + across * across),
    )
    lam = math.atan2(sin_sigma * sin_a1, cos_u1 * cos_sigma - sin_u1 * sin_sigma * cos_a1)
    c = _F / 16 * cos2_alpha * (4 + _F * (4 - 3 * cos2_alpha))
    along = sigma + c * sin_sigma * (cos_2m + c * cos_sigma * (2 * cos_2m * cos_2m - 1))
    longitude = lon + math.degrees(lam - (1 - c) * _F * sin_alpha * along)
    return math.degrees(latitude), (longitude + 540.0) % 360.0 - 180.0


@njit(cache=True)
def _inverse_all(lat1: Floats, lon1: Floats, lat2: Floats, lon2: Floats) -> tuple[Floats, Floats]:
    distance, azimuth = np.empty(lat1.size), np.empty(lat1.size)
    for i in range(lat1.size):
        distance[i], azimuth[i] = inverse(lat1[i], lon1[i], lat2[i], lon2[i])
    return distance, azimuth


@njit(cache=True)
def _direct_all(lat: Floats, lon: Floats, distance: Floats, azimuth: Floats) -> tuple[Floats, Floats]:
    latitude, longitude = np.empty(lat.size), np.empty(lat.size)
    for i in range(lat.size):
        latitude[i], longitude[i] = direct(lat[i], lon[i], distance[i], azimuth[i])
    return latitude, longitude


def _flat(*values: npt.ArrayLike) -> tuple[list[Floats], tuple[int, ...]]:
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values))
    # Copies: views of one element made by broadcasting warn when they are passed on.
    return [np.array(array).ravel() for array in arrays], arrays[0].shape


def distance_azimuth(
    lat1: npt.ArrayLike, lon1: npt.ArrayLike, lat2: npt.ArrayLike, lon2: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Distance and azimuth from the first points to the second.

    Parameters
    ----------
    lat1, lon1, lat2, lon2 : array_like
        Degrees, WGS84; they broadcast.

    Returns
    -------
    distance_km, azimuth_deg : ndarray
        In the shape that the arguments broadcast to; the azimuth is clockwise
        from north, 0 to 360.

    Examples
    --------
    >>> km, azimuth = distance_azimuth(0.0, 0.0, 0.0, 1.0)
    >>> round(float(km), 4), float(azimuth)
    (111.3195, 90.0)
    """
    flat, shape = _flat(lat1, lon1, lat2, lon2)
    distance, azimuth = _inverse_all(*flat)
    return distance.reshape(shape), azimuth.reshape(shape)


def to_plane(lat: npt.ArrayLike, lon: npt.ArrayLike, lat0: float, lon0: float) -> tuple[Floats, Floats]:
    """Put points on a plane that touches the ellipsoid at (`lat0`, `lon0`).

    The projection is azimuthal equidistant: distance and azimuth from the
    centre are exact; between two points 150 km from it on opposite sides of a
    right angle the distance is 0.01 % off.

    Returns
    -------
    x_km, y_km : ndarray
        East and north of the centre.

    Examples
    --------
    >>> x, y = to_plane(46.0, 7.0, 46.0, 7.0)
    >>> float(x), float(y)
    (0.0, 0.0)
    """
    distance, azimuth = distance_azimuth(lat0, lon0, lat, lon)
    angle = np.radians(azimuth)
    return distance * np.sin(angle), distance * np.cos(angle)


def from_plane(x_km: npt.ArrayLike, y_km: npt.ArrayLike, lat0: float, lon0: float) -> tuple[Floats, Floats]:
    """Take points back from the plane of `to_plane` to latitude and longitude.

    Examples
    --------
    >>> lat, lon = from_plane(*to_plane(46.5, 8.0, 46.0, 7.0), 46.0, 7.0)
    >>> round(float(lat), 9), round(float(lon), 9)
    (46.5, 8.0)
    """
    x, y = np.asarray(x_km, dtype=np.float64), np.asarray(y_km, dtype=np.float64)
    flat, shape = _flat(lat0, lon0, np.hypot(x, y), np.degrees(np.arctan2(x, y)))
    latitude, longitude = _direct_all(*flat)
    return latitude.reshape(shape), longitude.reshape(shape)


def central_angle(
    lat1: npt.ArrayLike, lon1: npt.ArrayLike, lat2: npt.ArrayLike, lon2: npt.ArrayLike
) -> Floats:
    """Angle at the Earth's centre between two points, degrees, as tables of global phases take it.

    Latitudes are turned into geocentric ones first (Bullen 1985, section 10.1).

    Examples
    --------
    >>> float(central_angle(0.0, 10.0, 0.0, 70.0).round(6))
    60.0
    """
    north1, north2 = (np.arctan((1 - _F) ** 2 * np.tan(np.radians(lat))) for lat in (lat1, lat2))
    across = np.radians(np.asarray(lon2) - np.asarray(lon1))
    half = np.sin((north2 - north1) / 2) ** 2 + np.cos(north1) * np.cos(north2) * np.sin(across / 2) ** 2
    return np.asarray(np.degrees(2 * np.arcsin(np.sqrt(np.minimum(half, 1.0)))))


def azimuth_gaps(azimuth_deg: npt.ArrayLike) -> tuple[float, float]:
    """Largest azimuthal gap, and the largest that the loss of one station opens.

    Parameters
    ----------
    azimuth_deg : array_like, shape (n_stations,)
        One azimuth a station, in any order.

    Returns
    -------
    gap, secondary_gap : float
        Degrees; 360 for fewer than one or two stations.

    Examples
    --------
    >>> azimuth_gaps([0.0, 90.0, 180.0, 270.0])
    (90.0, 180.0)
    """
    azimuth = np.sort(np.mod(np.asarray(azimuth_deg, dtype=np.float64), 360.0))
    if azimuth.size < 2:
        return 360.0, 360.0
    gap = float(np.diff(azimuth, append=azimuth[0] + 360.0).max())
    if azimuth.size < 3:
        return gap, 360.0
    twice = np.concatenate([azimuth, azimuth[:2] + 360.0])
    return gap, float((twice[2:] - twice[:-2]).max())
