"""Settings from the text of a command line: numbers with units, lists, choices, models."""

from __future__ import annotations

import types
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from typing_extensions import TypeAliasType

from workbench.errors import InvalidSetting
from workbench.nouns import VelocityModel
from workbench.units import Unit

__all__ = ["parse"]

_SCALES: dict[str, dict[str, str]] = {
    "s": {"s": "1", "ms": "0.001", "us": "0.000001", "min": "60", "h": "3600", "d": "86400"},
    "Hz": {"hz": "1", "mhz": "0.001", "khz": "1000"},
    "km": {"km": "1", "m": "0.001"},
    "m": {"m": "1", "km": "1000", "cm": "0.01", "mm": "0.001"},
    "km/s": {"km/s": "1", "m/s": "0.001"},
    "deg": {"deg": "1", "°": "1"},
    "1": {"%": "0.01"},
}
"""What may be written after a number, for each declared unit, and what it is worth."""


def parse(hint: Any, text: str, name: str) -> Any:
    """Turn the text of a setting into plain JSON in the declared unit.

    Parameters
    ----------
    hint : type
        As declared.
    text : str
        As typed.
    name : str
        The setting, for the error.

    Raises
    ------
    InvalidSetting
        If the text does not fit the type; bounds are checked later.

    Examples
    --------
    >>> from workbench.units import Hertz, Seconds
    >>> parse(Seconds, "500 ms", "sta")
    0.5
    >>> parse(tuple[Hertz, ...], "1,2.5", "bands")
    [1.0, 2.5]
    >>> parse(tuple[tuple[Seconds, Hertz], ...], "0:1,60 s:2", "table")
    [[0.0, 1.0], [60.0, 2.0]]
    """
    return _parse(hint, text.strip(), name, "")


def _parse(hint: Any, text: str, name: str, unit: str) -> Any:
    if isinstance(hint, TypeAliasType):
        return _parse(hint.__value__, text, name, unit)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        said = next((item.ucum for item in args[1:] if isinstance(item, Unit)), unit)
        return _parse(args[0], text, name, said)
    if origin in (Union, types.UnionType):
        return _union(args, text, name, unit)
    if origin is Literal:
        return _choice(args, text, name)
    if origin is tuple:
        return _items(args, text, name, unit)
    if hint is VelocityModel:
        return _model(text)
    if hint is bool:
        return _choice((True, False), text, name)
    if hint is int:
        return _whole(text, name)
    return _number(text, name, unit) if hint is float else text


def _union(members: tuple[Any, ...], text: str, name: str, unit: str) -> Any:
    if type(None) in members and text.lower() in ("none", "null"):
        return None
    failed: InvalidSetting | None = None
    for member in members:
        if member is type(None):
            continue
        try:
            return _parse(member, text, name, unit)
        except InvalidSetting as error:
            failed = error
    raise failed or InvalidSetting(_option(name), f"'{text}' is nothing it takes", "Use 'none'.")


def _choice(values: tuple[Any, ...], text: str, name: str) -> Any:
    exact = {str(value): value for value in values}
    folded = {str(value).lower(): value for value in values}
    if text in exact:
        return exact[text]
    if text.lower() in folded and len(folded) == len(values):
        return folded[text.lower()]
    raise InvalidSetting(_option(name), f"'{text}' is no choice", f"Choose from {', '.join(exact)}.")


def _items(kinds: tuple[Any, ...], text: str, name: str, unit: str) -> list[Any]:
    # Pairs in a list are written as 0:1.3,60:2.8.
    apart = ":" if "," not in text and ":" in text and kinds[-1] is not Ellipsis else ","
    cells = [cell.strip() for cell in text.split(apart)] if text else []
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return [_parse(kinds[0], cell, name, unit) for cell in cells]
    if len(cells) != len(kinds):
        raise InvalidSetting(
            _option(name), f"'{text}' has {len(cells)} values where {len(kinds)} are needed", "Use commas."
        )
    return [_parse(kind, cell, name, unit) for kind, cell in zip(kinds, cells, strict=True)]


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidSetting(_option(name), f"'{text}' is no whole number", "Give one.") from error


def _number(text: str, name: str, unit: str) -> float:
    digits = text.rstrip("%°abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/ ")
    suffix = text[len(digits) :].strip().lower()
    scale = _SCALES.get(unit, {}).get(suffix) if suffix else "1"
    try:
        number = Decimal(digits)
    except InvalidOperation as error:
        raise InvalidSetting(
            _option(name),
            f"'{text}' is no number",
            f"Give a number{' in ' + unit if unit not in ('', '1') else ''}.",
        ) from error
    if scale is None:
        known = ", ".join(_SCALES.get(unit, {})) or "none"
        raise InvalidSetting(
            _option(name), f"'{text}' has the unit '{suffix}'", f"Its unit is {unit}; known: {known}."
        )
    return float(number * Decimal(scale))


def _model(text: str) -> Any:
    """Read a file into the table that a Call holds, or pass on the name of a global model."""
    path = Path(text).expanduser()
    if path.is_file():
        from workbench.wire import velocity

        return velocity.load(path).to_json()
    return VelocityModel.taup(text).to_json()


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
