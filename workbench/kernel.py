"""The declaration: one typed function from which every surface is derived.

::

    @kernel(per="channel", lead=lambda s: s.lta)
    def sta_lta(waveforms: Waveforms, *, sta: Seconds = 1.0, lta: Seconds = 30.0) -> Triggers:
        '''Find where the short-term average stands out of the long-term one.'''

Positional arguments are data (their types are nouns), keyword-only arguments
are settings (their types carry units).  `kernel` reads the signature once,
registers the function under ``topic.name`` (the module's name and its own) and
returns it untouched: a call in a notebook costs nothing more than the call.

Everything here is about the declaration; how text becomes values is the
business of the surfaces.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from typing_extensions import TypeAliasType

from workbench.errors import InvalidKernel, InvalidSetting, UnknownKernel
from workbench.notices import notice
from workbench.nouns import VelocityModel, noun_of
from workbench.units import Unit

__all__ = ["DataInput", "Kernel", "Output", "Per", "declare", "get", "kernel", "kernels", "settings_errors"]

Per = Literal["trace", "channel", "station", "network", "event", "archive"]
"""How finely the work may be cut."""

Span = float | Callable[[Any], float]
"""Seconds of data, or a function of the settings that gives them."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class DataInput:
    """One positional argument: its name, the nouns it takes, whether it may be left out."""

    name: str
    nouns: tuple[str, ...]
    required: bool


@dataclass(frozen=True, slots=True)
class Output:
    """One result: its name (``result`` when there is only one) and its noun."""

    name: str
    noun: str


@dataclass(frozen=True)
class Kernel:
    """What a declaration says.

    Attributes
    ----------
    id : str
        ``topic.name``, the same on every surface.
    function : callable
        The function itself, untouched.
    inputs : tuple of DataInput
    outputs : tuple of Output
    settings : type of pydantic.BaseModel
        One field a setting, with bounds, default and unit.
    per : str
        How finely the work may be cut: trace, channel, station, network, event, archive.
    cut : bool
        Whether it may be cut in time.
    cut_tolerance : float
        Largest relative difference between the parts put together and the
        whole; 0 means to the bit.
    code : callable or None
        Names the code that it runs besides its Python: a program's, by digest.

    `lead`, `trail` and `grid` depend on the settings, so they are methods.
    """

    id: str
    function: Callable[..., Any]
    inputs: tuple[DataInput, ...]
    outputs: tuple[Output, ...]
    settings: type[BaseModel]
    per: Per
    cut: bool
    cut_tolerance: float
    _lead: Span
    _trail: Span
    _grid: Span = 0.0
    code: Callable[[], str] | None = None

    @property
    def topic(self) -> str:
        """The module it lives in."""
        return self.id.split(".")[0]

    @property
    def name(self) -> str:
        """The function's own name."""
        return self.id.split(".")[1]

    @cached_property
    def signature(self) -> inspect.Signature:
        """The signature as written."""
        return inspect.signature(self.function)

    def lead(self, settings: BaseModel) -> float:
        """Seconds of data before a window that its answer depends on."""
        return float(self._lead(settings) if callable(self._lead) else self._lead)

    def trail(self, settings: BaseModel) -> float:
        """Seconds of data after a window that its answer depends on."""
        return float(self._trail(settings) if callable(self._trail) else self._trail)

    def grid(self, settings: BaseModel) -> float:
        """Seconds that windows begin at multiples of, since 1970-01-01T00:00:00Z; 0 is anywhere."""
        return float(self._grid(settings) if callable(self._grid) else self._grid)

    def validate(self, values: dict[str, Any]) -> BaseModel:
        """Check settings and fill the defaults.

        Raises
        ------
        InvalidSetting
            Naming each setting that is wrong, and why.
        """
        try:
            return self.settings.model_validate(values)
        except ValidationError as error:
            raise settings_errors(self.id, error, tuple(self.settings.model_fields)) from error

    def __call__(self, *data: Any, **settings: Any) -> Any:
        """Call the function."""
        return self.function(*data, **settings)


_registry: dict[str, Kernel] = {}


def kernel(
    *,
    per: Per,
    lead: Span = 0.0,
    trail: Span = 0.0,
    cut: bool = True,
    cut_tolerance: float = 0.0,
    grid: Span = 0.0,
    code: Callable[[], str] | None = None,
) -> Callable[[F], F]:
    """Declare a function as a kernel and return it untouched.

    Parameters
    ----------
    per : {'trace', 'channel', 'station', 'network', 'event', 'archive'}
        How finely the work may be cut.
    lead, trail : float or callable
        Seconds of data before and after a window that its answer depends on,
        or a function of the settings that gives them.
    cut : bool
        Whether the work may be cut in time at all.
    cut_tolerance : float
        Largest relative difference that cutting makes; 0 means none.
    grid : float or callable
        Seconds that the windows begin at multiples of, counted from
        1970-01-01T00:00:00Z, or a function of the settings that gives them: for
        a method whose own windows lie on a grid of time.  0 means anywhere.
    code : callable, optional
        Names the code that it runs besides its Python, for the run key.

    Raises
    ------
    InvalidKernel
        When the function is declared in a way that surfaces cannot be derived
        from: a float without a unit, data after settings, an unknown noun.
    """

    def register(function: F) -> F:
        declared = declare(function, per, lead, trail, cut, cut_tolerance, grid, code)
        known = _registry.get(declared.id)
        if known is not None and _home(known.function) != _home(function):
            raise InvalidKernel(declared.id, "is declared twice", "Give one of the two another name.")
        _registry[declared.id] = declared
        return function

    return register


def kernels() -> dict[str, Kernel]:
    """Return every kernel there is, by id, in order.

    Walks the modules of `workbench.kernels` and the entry points of the group
    ``workbench.kernels``, so no list is kept by hand.
    """
    for topic in _topics():
        importlib.import_module(f"workbench.kernels.{topic}")
    _load_plugins()
    return dict(sorted(_registry.items()))


@cache
def _load_plugins() -> None:
    """Import the kernels of other distributions, once; one that fails is named and spoils no other."""
    for entry in entry_points(group="workbench.kernels"):
        try:
            entry.load()
        except Exception as error:  # noqa: BLE001 - whatever somebody else's module raises
            owner = entry.dist.name if entry.dist is not None else "unknown distribution"
            notice(
                f"the kernels '{entry.name}' of {owner}",
                f"cannot be imported: {type(error).__name__}: {error}",
                "They are left out; mend or uninstall that distribution.",
            )


def get(name: str) -> Kernel:
    """Return the kernel of that id, importing no more than its topic.

    Raises
    ------
    UnknownKernel
        With the ids that come closest.
    """
    if name not in _registry:
        topic = name.split(".")[0]
        if topic in _topics():
            importlib.import_module(f"workbench.kernels.{topic}")
    if name not in _registry:
        known = kernels()
        if name not in known:
            close = get_close_matches(name, known, 3) or sorted(known)
            raise UnknownKernel(name, "there is no kernel of that name", f"Try: {', '.join(close)}.")
    return _registry[name]


def settings_errors(subject: str, error: ValidationError, known: tuple[str, ...]) -> InvalidSetting:
    """Put pydantic's findings into one error that says what to do."""
    said = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            close = get_close_matches(where, known, 1)
            said.append(f"unknown setting '{where}'" + (f", did you mean '{close[0]}'?" if close else ""))
        elif item["type"] == "missing":
            said.append(f"setting '{where}' is required")
        else:
            message = item["msg"].removeprefix("Value error, ")
            said.append(f"setting '{where}' = {item['input']!r}: {message}")
    return InvalidSetting(subject, "; ".join(said), f"Settings: {', '.join(known) or 'none'}.")


def _topics() -> Iterator[str]:
    package = importlib.import_module("workbench.kernels")
    return (info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))


def _home(function: Callable[..., Any]) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def declare(
    function: Callable[..., Any],
    per: Per,
    lead: Span = 0.0,
    trail: Span = 0.0,
    cut: bool = True,
    cut_tolerance: float = 0.0,
    grid: Span = 0.0,
    code: Callable[[], str] | None = None,
) -> Kernel:
    """Read a declaration, and register nothing: see `kernel`."""
    name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
    if not function.__doc__:
        raise InvalidKernel(name, "has no docstring", "The documentation is derived from it.")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise InvalidKernel(
            name, f"has an annotation that cannot be resolved ({error})", "Import the type."
        ) from error
    inputs: list[DataInput] = []
    settings: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in hints:
            raise InvalidKernel(name, f"argument '{parameter.name}' has no type", "Annotate it.")
        hint = hints[parameter.name]
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            inputs.append(_data_input(name, parameter, hint))
        elif parameter.kind is parameter.KEYWORD_ONLY:
            _check_setting(name, parameter.name, hint)
            default = ... if parameter.default is parameter.empty else parameter.default
            settings[parameter.name] = (hint, Field(default=default))
        else:
            raise InvalidKernel(name, f"argument '{parameter.name}' is variadic", "Name each argument.")
    if "return" not in hints:
        raise InvalidKernel(name, "does not say what it returns", "Annotate the result.")
    model = create_model(
        f"{name} settings",
        __config__=ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True),
        **settings,
    )
    return Kernel(
        id=name,
        function=function,
        inputs=tuple(inputs),
        outputs=_outputs(name, hints["return"]),
        settings=model,
        per=per,
        cut=cut,
        cut_tolerance=cut_tolerance,
        _lead=lead,
        _trail=trail,
        _grid=grid,
        code=code,
    )


def _data_input(name: str, parameter: inspect.Parameter, hint: Any) -> DataInput:
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    nouns = [noun_of(member) for member in members if member is not type(None)]
    if any(noun is None for noun in nouns):
        raise InvalidKernel(
            name,
            f"argument '{parameter.name}' is positional but its type is no noun",
            "Data come first; put '*' before the settings.",
        )
    optional = type(None) in members
    if optional and parameter.default is not None:
        raise InvalidKernel(name, f"argument '{parameter.name}' is optional", "Give it the default None.")
    return DataInput(parameter.name, tuple(noun for noun in nouns if noun), not optional)


def _outputs(name: str, hint: Any) -> tuple[Output, ...]:
    noun = noun_of(hint)
    if noun is not None:
        return (Output("result", noun),)
    if is_dataclass(hint) and isinstance(hint, type):
        types_of = typing.get_type_hints(hint)
        found = [(item.name, noun_of(types_of[item.name])) for item in fields(hint)]
        if found and all(noun for _, noun in found):
            return tuple(Output(field, noun) for field, noun in found if noun)
    raise InvalidKernel(
        name, f"returns {hint!r}", "Return a noun, or a frozen dataclass whose fields are nouns."
    )


def _check_setting(name: str, setting: str, hint: Any, unit: bool = False) -> None:
    """Refuse a float without a unit, and a type that no surface could read."""
    if isinstance(hint, TypeAliasType):
        _check_setting(name, setting, hint.__value__, unit)
        return
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *extra = get_args(hint)
        _check_setting(name, setting, inner, unit or any(isinstance(item, Unit) for item in extra))
        return
    if origin in (Union, types.UnionType):
        for member in get_args(hint):
            _check_setting(name, setting, member, unit)
        return
    if origin is Literal:
        return
    if origin is tuple:
        for member in get_args(hint):
            if member is not Ellipsis:
                _check_setting(name, setting, member, unit)
        return
    if hint is float and not unit:
        raise InvalidKernel(
            name,
            f"setting '{setting}' is a float without a unit",
            "Use a type of workbench.units; Ratio or Fraction for a pure number.",
        )
    if hint not in (float, int, str, bool, type(None), VelocityModel):
        raise InvalidKernel(
            name,
            f"setting '{setting}' has the type {hint!r}",
            "Use units, int, str, bool, Literal, tuple, VelocityModel, or one of them | None.",
        )
