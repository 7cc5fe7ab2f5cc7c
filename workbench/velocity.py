"""A one-dimensional velocity model, the noun that is used as a setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pydantic_core.core_schema as cs
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

from workbench.errors import BadVelocityModel

__all__ = ["VelocityModel", "taup_names"]

_REMEDY = (
    "Give a TauP name (iasp91, ak135, ...), a .nd file, or a CSV with the columns "
    "depth_km,vp_km_s,vs_km_s, each row the top of a layer."
)


@cache
def taup_names() -> tuple[str, ...]:
    """Return the names of the models that ObsPy's TauP brings along."""
    import obspy

    data = Path(obspy.__file__).parent / "taup" / "data"
    return tuple(sorted(path.stem for path in data.glob("*.npz")))


@dataclass(frozen=True, slots=True)
class VelocityModel:
    """P and S velocity against depth, or the name of a global model.

    Parameters
    ----------
    depth_km : tuple of float
        Depths in km below sea level, growing.  The first layer goes on up to
        the highest station, the last one goes on down.
    vp_km_s : tuple of float
        P velocities in km/s.
    vs_km_s : tuple of float or None
        S velocities in km/s; None where the model does not say, to be filled
        from Vp/Vs by `with_vp_vs`.
    interpolation : {'constant', 'linear'}
        ``constant``: each row is the top of a layer of that velocity.
        ``linear``: linear between the rows, two rows at one depth are a step.
    name : str
        Name of a TauP model; then there are no rows.

    Raises
    ------
    BadVelocityModel
        If there is a hole, a depth out of order, or a velocity that is not
        above zero.

    Examples
    --------
    >>> VelocityModel((0.0, 10.0), (5.0, 6.0), (2.9, None)).with_vp_vs(1.75).vs_km_s[1]
    3.4285714285714284
    >>> VelocityModel.taup("iasp91").name
    'iasp91'
    """

    depth_km: tuple[float, ...] = ()
    vp_km_s: tuple[float, ...] = ()
    vs_km_s: tuple[float | None, ...] = ()
    interpolation: Literal["constant", "linear"] = "constant"
    name: str = ""

    def __post_init__(self) -> None:
        if self.name:
            if self.depth_km:
                raise BadVelocityModel(self.name, "has a name and rows", "Give one of the two.")
            if self.name not in taup_names():
                raise BadVelocityModel(
                    f"velocity model '{self.name}'",
                    "is neither a file that exists nor a TauP model",
                    f"TauP models: {', '.join(taup_names())}. {_REMEDY}",
                )
            return
        _check(self.depth_km, self.vp_km_s, self.vs_km_s, self.interpolation)

    @classmethod
    def taup(cls, name: str) -> VelocityModel:
        """Return the global model of that name."""
        return cls(name=name)

    @classmethod
    def from_rows(
        cls,
        rows: Sequence[Sequence[float | None]],
        interpolation: Literal["constant", "linear"] = "constant",
    ) -> VelocityModel:
        """Make a model from rows of depth, Vp and Vs (km, km/s, km/s)."""
        table = [(*row, None)[:3] for row in rows]
        for number, (depth, vp, _vs) in enumerate(table, 1):
            if depth is None or vp is None or math.isnan(depth) or math.isnan(vp):
                raise BadVelocityModel(
                    "velocity model", f"row {number} has a hole (no depth or no Vp)", _REMEDY
                )
        return cls(
            depth_km=tuple(float(row[0]) for row in table if row[0] is not None),
            vp_km_s=tuple(float(row[1]) for row in table if row[1] is not None),
            vs_km_s=tuple(None if row[2] is None or math.isnan(row[2]) else float(row[2]) for row in table),
            interpolation=interpolation,
        )

    @property
    def has_vs(self) -> bool:
        """Whether every row has an S velocity."""
        return bool(self.name) or all(vs is not None for vs in self.vs_km_s)

    def with_vp_vs(self, vp_vs: float | None) -> VelocityModel:
        """Fill the S velocities that are missing.

        Parameters
        ----------
        vp_vs : float or None
            Vp/Vs; None leaves a complete model as it is.

        Raises
        ------
        BadVelocityModel
            If an S velocity is missing and `vp_vs` is None.
        """
        if self.has_vs:
            return self
        if vp_vs is None:
            row = next(i for i, vs in enumerate(self.vs_km_s, 1) if vs is None)
            raise BadVelocityModel(
                "velocity model",
                f"row {row} has no S velocity",
                "Fill vs_km_s, or give the setting vp_vs (--vp-vs 1.73).",
            )
        filled = tuple(
            vp / vp_vs if vs is None else vs for vp, vs in zip(self.vp_km_s, self.vs_km_s, strict=True)
        )
        return VelocityModel(self.depth_km, self.vp_km_s, filled, self.interpolation)

    def to_json(self) -> str | dict[str, Any]:
        """Return the form it has in a Call: a name, or an inline table."""
        if self.name:
            return self.name
        return {
            "depth_km": list(self.depth_km),
            "vp_km_s": list(self.vp_km_s),
            "vs_km_s": list(self.vs_km_s),
            "interpolation": self.interpolation,
        }

    @classmethod
    def from_json(cls, value: object) -> VelocityModel:
        """Read the form it has in a Call."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.taup(value)
        if isinstance(value, dict):
            unknown = set(value) - {"depth_km", "vp_km_s", "vs_km_s", "interpolation"}
            if unknown:
                raise BadVelocityModel(
                    "velocity model", f"has unknown members: {', '.join(sorted(unknown))}", _REMEDY
                )
            depth = value.get("depth_km")
            vp = value.get("vp_km_s")
            vs = value.get("vs_km_s")
            how = value.get("interpolation", "constant")
            if not isinstance(depth, list | tuple) or not isinstance(vp, list | tuple):
                raise BadVelocityModel("velocity model", "has no depth_km or no vp_km_s", _REMEDY)
            if vs is None:
                vs = [None] * len(depth)
            if not isinstance(vs, list | tuple) or not len(depth) == len(vp) == len(vs):
                raise BadVelocityModel(
                    "velocity model", "its columns differ in length", "Give one value a row."
                )
            if how not in ("constant", "linear"):
                raise BadVelocityModel(
                    "velocity model", f"interpolation '{how}' is unknown", "Use constant or linear."
                )
            try:
                return cls.from_rows(list(zip(depth, vp, vs, strict=True)), how)
            except TypeError as error:
                raise BadVelocityModel(
                    "velocity model", "has something that is not a number in it", _REMEDY
                ) from error
        raise BadVelocityModel("velocity model", f"cannot be read from {type(value)}", _REMEDY)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> cs.CoreSchema:
        return cs.no_info_plain_validator_function(
            cls.from_json,
            serialization=cs.plain_serializer_function_ser_schema(cls.to_json),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: cs.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        numbers = {"type": "array", "items": {"type": "number"}, "minItems": 1}
        return {
            "title": "1-D velocity model",
            "oneOf": [
                {"type": "string", "enum": list(taup_names())},
                {
                    "type": "object",
                    "required": ["depth_km", "vp_km_s"],
                    "additionalProperties": False,
                    "properties": {
                        "depth_km": {**numbers, "x-ogc-unit": "km"},
                        "vp_km_s": {**numbers, "x-ogc-unit": "km/s"},
                        "vs_km_s": {
                            "type": "array",
                            "items": {"type": ["number", "null"]},
                            "x-ogc-unit": "km/s",
                        },
                        "interpolation": {"type": "string", "enum": ["constant", "linear"]},
                    },
                },
            ],
        }


def _check(
    depth: tuple[float, ...],
    vp: tuple[float, ...],
    vs: tuple[float | None, ...],
    interpolation: str,
) -> None:
    if not depth:
        raise BadVelocityModel("velocity model", "is empty", _REMEDY)
    if not len(depth) == len(vp) == len(vs):
        raise BadVelocityModel("velocity model", "its columns differ in length", _REMEDY)
    for number, (z, p, s) in enumerate(zip(depth, vp, vs, strict=True), 1):
        if not math.isfinite(z) or not math.isfinite(p) or not (s is None or math.isfinite(s)):
            raise BadVelocityModel("velocity model", f"row {number} has a hole", _REMEDY)
        if not -10 <= z <= 6371:
            raise BadVelocityModel(
                "velocity model",
                f"row {number} is at {z:g} km",
                "Depths are kilometres below sea level; these look like metres.",
            )
        if not 0.1 <= p <= 20:
            raise BadVelocityModel(
                "velocity model", f"row {number} has Vp {p:g} km/s", "Velocities are in km/s."
            )
        if s is not None and not 0 <= s < p:
            raise BadVelocityModel(
                "velocity model",
                f"row {number} has Vs {s:g} and Vp {p:g} km/s",
                "Vs is in km/s and below Vp.",
            )
    for number, (above, below) in enumerate(pairwise(depth), 2):
        if below < above or (below == above and interpolation == "constant"):
            raise BadVelocityModel(
                "velocity model",
                f"row {number} ({below:g} km) is not below row {number - 1} ({above:g} km)",
                "Sort the rows by depth and give each depth once.",
            )
