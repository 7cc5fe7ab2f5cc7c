"""Velocity models as bytes: CSV of layers, TauP's .nd, JSON, or the name of a global model."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import rfc8785

from workbench.errors import BadInput, BadVelocityModel, UnreadableFile
from workbench.nouns import VelocityModel
from workbench.wire import tables
from workbench.wire.sample import Sample

__all__ = ["MEDIA", "canonical", "encode", "fingerprint", "guess", "load", "merge", "read", "sniff"]

MEDIA = {"application/json": ".json", "text/csv": ".csv"}
"""Media types that models can be written as; the first is the canonical one."""

_ND = re.compile(r"^\s*-?[\d.]+(\s+[\d.eE+-]+){2,}\s*$")
_BOUNDARIES = frozenset({"mantle", "moho", "outer-core", "cmb", "inner-core", "icocb", "iocb"})


def sniff(sample: Sample) -> str | None:
    """Return ``CSV``, ``JSON`` or ``ND`` if the bytes are a velocity model."""
    form = _form(sample)
    return None if form == "ND" and not _is_earthly(sample) else form


def guess(sample: Sample) -> str | None:
    """Return None: no foreign form is read as a velocity model."""
    return None


def load(path: Path) -> VelocityModel:
    """Read a file that is meant to be a velocity model.

    Raises
    ------
    BadVelocityModel
        Naming the file, the row and what is wrong with it.
    UnreadableFile
        If it cannot be opened.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(str(path), f"cannot be opened ({error.strerror})", "Check the path.") from error
    form = _form(Sample(data, str(path)))
    if form is None:
        raise BadVelocityModel(
            str(path),
            "is no velocity model",
            "Give a CSV with the columns depth_km,vp_km_s,vs_km_s, or a .nd file (depth, Vp, Vs a line).",
        )
    return read(data, str(path), form)


def read(data: bytes, name: str, form: str) -> VelocityModel:
    """Read a velocity model.

    Raises
    ------
    BadVelocityModel
        Naming the file, the row and what is wrong with it.
    """
    try:
        if form == "CSV":
            return _read_csv(data, name)
        if form == "ND":
            return _read_nd(data)
        return VelocityModel.from_json(json.loads(data))
    except BadVelocityModel as error:
        raise BadVelocityModel(name, error.problem, error.remedy) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadInput):
            raise
        raise UnreadableFile(name, f"is no velocity model ({error})", "Use CSV.") from error


def merge(parts: Sequence[tuple[str, VelocityModel]]) -> VelocityModel:
    """Return the one model there is.

    Raises
    ------
    BadInput
        If there are several.
    """
    if len(parts) > 1:
        raise BadInput(parts[1][0], "is a second velocity model", "Give one.")
    return parts[0][1]


def encode(model: VelocityModel, media: str) -> bytes:
    """Write a model as a media type of `MEDIA`.

    Raises
    ------
    BadInput
        If a model that is a name, or linear between its rows, is asked for as CSV.
    """
    if media != "text/csv":
        return canonical(model)
    if model.name or model.interpolation == "linear":
        raise BadInput("velocity model", "has no CSV form, whose rows are constant layers", "Use JSON.")
    rows = zip(model.depth_km, model.vp_km_s, model.vs_km_s, strict=True)
    lines = [f"{z!r},{p!r},{'' if s is None else repr(s)}\n" for z, p, s in rows]
    return "".join(["depth_km,vp_km_s,vs_km_s\n", *lines]).encode()


def canonical(model: VelocityModel) -> bytes:
    """Return the JSON of the model by RFC 8785."""
    return rfc8785.dumps(model.to_json())


def fingerprint(model: VelocityModel) -> str:
    """Return the SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(model)).hexdigest()


def _form(sample: Sample) -> str | None:
    if {"depth_km", "vp_km_s"} <= set(sample.columns):
        return "CSV"
    text = (sample.text or "").lstrip()
    if text.startswith("{") and '"vp_km_s"' in text:
        return "JSON"
    lines = [line for line in map(_uncommented, sample.lines) if line]
    if lines and all(_ND.match(line) or line.lower() in _BOUNDARIES for line in lines):
        return "ND"
    return None


def _is_earthly(sample: Sample) -> bool:
    """Whether a table of bare numbers can be depths and velocities: many tables are others."""
    rows = [
        line.split() for line in map(_uncommented, sample.lines) if line and line.lower() not in _BOUNDARIES
    ]
    depths, speeds = [float(row[0]) for row in rows], [float(row[1]) for row in rows]
    plausible = -10 <= depths[0] <= 10 and depths[-1] <= 6371 and depths == sorted(depths)
    return len(rows) > 1 and plausible and all(0.1 <= speed <= 20 for speed in speeds)


def _uncommented(line: str) -> str:
    return re.split(r"#|//", line)[0].strip()


def _read_csv(data: bytes, name: str) -> VelocityModel:
    header, rows = tables.rows_of_csv(data, name)
    wanted = [header.index(key) if key in header else None for key in ("depth_km", "vp_km_s", "vs_km_s")]
    values: list[list[float | None]] = []
    for number, row in enumerate(rows, 1):
        line: list[float | None] = []
        for index in wanted:
            cell = "" if index is None else row[index]
            try:
                line.append(float(cell) if cell else None)
            except ValueError as error:
                raise BadVelocityModel(
                    name, f"row {number} has '{cell}' where a number belongs", "Give km and km/s."
                ) from error
        values.append(line)
    return VelocityModel.from_rows(values)


def _read_nd(data: bytes) -> VelocityModel:
    rows = []
    for line in data.decode().splitlines():
        text = _uncommented(line)
        if not text or text.lower() in _BOUNDARIES:
            continue
        depth, vp, vs = (float(cell) for cell in text.split()[:3])
        # TauP's models end at the centre; fluid layers have no S.
        rows.append((depth, vp, vs if math.isfinite(vs) else None))
    return VelocityModel.from_rows(rows, "linear")
