"""Options of a command from the settings of a kernel."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import click
from typing_extensions import TypeAliasType

from workbench.calls.describe import parameter_docs, schema
from workbench.cli.quantities import parse
from workbench.kernel import Kernel
from workbench.nouns import VelocityModel

__all__ = ["RESERVED", "options", "settings_of"]

RESERVED = frozenset(
    {
        *("to", "save_call", "strict", "quiet", "debug", "help"),
        *("tile", "workers", "retries", "preview", "sample", "store"),
        *("client", "progress", "sources", "max_bytes", "kernel", "selection"),
        *("where", "again", "cores", "memory", "walltime", "partition", "account"),
    }
)
"""Names that ``workbench run``, ``map`` and ``submit``, and `workbench.map`, keep for themselves."""


def options(kernel: Kernel) -> list[click.Option]:
    """Return an option for each setting; none has a default, so that only what is typed is in the Call."""
    hints = get_type_hints(kernel.function, include_extras=True)
    words = parameter_docs(kernel)
    made = []
    for name, field in kernel.settings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        text = _help(words.get(name, ""), schema(hints[name]), field.default, field.is_required())
        if _bare(hints[name]) is bool:
            made.append(click.Option([f"{flag}/--no-{flag[2:]}", name], default=None, help=text))
            continue
        made.append(click.Option([flag, name], default=None, help=text, metavar=_metavar(hints[name])))
    return made


def settings_of(kernel: Kernel, typed: dict[str, Any]) -> dict[str, Any]:
    """Turn what was typed into settings of a Call.

    Raises
    ------
    InvalidSetting
        If a text does not fit its type.
    click.UsageError
        If a setting that is required was not typed.
    """
    hints = get_type_hints(kernel.function, include_extras=True)
    found: dict[str, Any] = {}
    for name, field in kernel.settings.model_fields.items():
        value = typed.get(name)
        if value is None:
            if field.is_required():
                hint = f" ({_metavar(hints[name])})" if _bare(hints[name]) is VelocityModel else ""
                raise click.UsageError(f"{kernel.id} needs --{name.replace('_', '-')}{hint}.")
            continue
        found[name] = value if isinstance(value, bool) else parse(hints[name], value, name)
    return found


def _bare(hint: Any) -> Any:
    """Return the type under the names, the units and the None."""
    if isinstance(hint, TypeAliasType):
        return _bare(hint.__value__)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _bare(args[0])
    if origin in (Union, types.UnionType):
        members = [member for member in args if member is not type(None)]
        return _bare(members[0]) if len(members) == 1 else hint
    return hint


def _metavar(hint: Any) -> str:
    bare = _bare(hint)
    origin, args = get_origin(bare), get_args(bare)
    if origin is Literal:
        return "[" + "|".join(map(str, args)) + "]"
    if origin in (Union, types.UnionType):
        return "|".join(_metavar(member) for member in args if member is not type(None))
    if origin is tuple and get_origin(_bare(args[0])) is tuple:
        return ",".join([":".join(map(_metavar, get_args(_bare(args[0]))))] * 2 + ["..."])
    if origin is tuple:
        return (
            ",".join([_metavar(args[0])] * 2 + ["..."])
            if args[-1] is Ellipsis
            else ",".join(map(_metavar, args))
        )
    if bare is VelocityModel:
        return "FILE|NAME"
    found = schema(hint) if bare in (float, int) else {}
    unit = found.get("x-ogc-unit", "")
    names = {float: unit if unit not in ("", "1") else "NUMBER", int: "INTEGER", str: "TEXT", bool: "BOOLEAN"}
    return names.get(bare, "VALUE")


def _help(words: str, described: dict[str, Any], default: Any, required: bool) -> str:
    facts = []
    unit = described.get("x-ogc-unit", "")
    if unit not in ("", "1"):
        facts.append(f"{unit}{' ' + described['description'] if 'description' in described else ''}")
    barred = described.get("not", {}).get("enum", [])
    if "minimum" in described:
        facts.append(f"{'>' if described['minimum'] in barred else '>='} {described['minimum']:g}")
    if "maximum" in described:
        facts.append(f"{'<' if described['maximum'] in barred else '<='} {described['maximum']:g}")
    facts.append("required" if required else f"default: {_shown(default)}")
    return f"{words}  [{'; '.join(facts)}]"


def _shown(default: Any) -> str:
    if default is None:
        return "none"
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return ",".join(map(_shown, default)) or "empty"
    return f"{default:g}" if isinstance(default, float) else str(default)
