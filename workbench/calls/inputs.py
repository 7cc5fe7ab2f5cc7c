"""From the values in a Call to objects: files, links, bytes, selections."""

from __future__ import annotations

import base64
import binascii
import hashlib
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workbench import wire
from workbench.calls.files import expand
from workbench.calls.policy import Policy
from workbench.errors import (
    BadInput,
    InvalidSetting,
    NoData,
    ResourceExceeded,
    Unavailable,
    UnreadableFile,
)
from workbench.kernel import DataInput
from workbench.notices import notice
from workbench.wire import Datum

__all__ = ["combine", "fits", "resolve"]

_TIMEOUT_S = 60.0


def fits(noun: str, declared: DataInput) -> bool:
    """Whether an input takes a noun; events can be flattened into picks."""
    return noun in declared.nouns or (noun == "Events" and "Picks" in declared.nouns)


def combine(declared: DataInput, data: list[Datum]) -> Any:
    """Make the one object that an input gets of all that is given for it.

    Raises
    ------
    BadInput
        If something does not fit.
    """
    for datum in data:
        if not fits(datum.noun, declared):
            raise BadInput(
                datum.name,
                f"holds {datum.noun}",
                f"Input '{declared.name}' takes {' or '.join(declared.nouns)}.",
            )
    kinds = {datum.noun for datum in data}
    if (kinds == {"Events"} and "Events" not in declared.nouns) or kinds == {"Events", "Picks"}:
        from workbench.wire import events

        data = [
            Datum("Picks", events.to_picks(datum.value), datum.name) if datum.noun == "Events" else datum
            for datum in data
        ]
        kinds = {"Picks"}
    if len(kinds) > 1:
        raise BadInput(
            f"input '{declared.name}'", f"is given as {' and '.join(sorted(kinds))}", "Give one kind of data."
        )
    return wire.merge(kinds.pop(), data)


def resolve(declared: DataInput, values: list[dict[str, Any]], policy: Policy) -> list[Datum]:
    """Fetch what the values of one input stand for.

    One file of several that cannot be read is left out with a notice; if
    nothing is left, its error is raised.

    Raises
    ------
    WorkbenchError
        As said above, or if the policy does not allow a value.
    """
    found: list[Datum] = []
    failed: UnreadableFile | None = None
    for number, value in enumerate(values):
        form = next(form for form in ("selection", "href", "value", "path") if form in value)
        if form not in policy.forms:
            raise InvalidSetting(
                f"input '{declared.name}'",
                f"is given as a {form}, which is not taken here",
                f"Give {', '.join(sorted(policy.forms))}.",
            )
        label = declared.name if len(values) == 1 else f"{declared.name}[{number}]"
        try:
            found += _FETCH[form](declared, value, policy, label)
        except UnreadableFile as error:
            if failed is not None:
                notice(failed.subject, failed.problem, failed.remedy)
            failed = error
    if failed is not None:
        if not found:
            raise failed
        notice(failed.subject, failed.problem, failed.remedy)
    return found


def _text(value: dict[str, Any], form: str, label: str) -> str:
    text = value[form]
    if not isinstance(text, str) or not text:
        raise InvalidSetting(f"input '{label}'", f"its {form} is no text", "Give a text that is not empty.")
    return text


def _from_path(declared: DataInput, value: dict[str, Any], policy: Policy, label: str) -> list[Datum]:
    path = (policy.base or Path()) / Path(_text(value, "path", label)).expanduser()
    if not path.exists():
        raise BadInput(
            str(path), "there is no such file", "Paths in a Call are relative to the file that holds it."
        )
    wanted = value.get("sha256")
    if wanted is not None and path.is_file():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != wanted:
            raise BadInput(str(path), "has changed since the Call was written", "Write the Call again.")
    read = policy.reader.take if policy.reader is not None else partial(wire.read_all, limit=policy.max_bytes)
    return _fitting(declared, [datum for file in expand(path) for datum in read(file)])


def _fitting(declared: DataInput, data: list[Datum]) -> list[Datum]:
    """Of an archive that holds several nouns, take what fits; say the rest if nothing does."""
    return [datum for datum in data if fits(datum.noun, declared)] or data


def _from_value(declared: DataInput, value: dict[str, Any], policy: Policy, label: str) -> list[Datum]:
    text = _text(value, "value", label)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # XML and CSV are not base64 by their very first characters.
        data = text.encode()
    return _fitting(declared, wire.read_all(data, name=label, limit=policy.max_bytes))


def _from_link(declared: DataInput, value: dict[str, Any], policy: Policy, label: str) -> list[Datum]:
    link = _text(value, "href", label)
    parts = urlsplit(link)
    allowed = (
        parts.scheme in ("http", "https")
        and "@" not in parts.netloc
        and "\\" not in link
        and ".." not in parts.path.split("/")
        and any(link.startswith(prefix) for prefix in policy.links)
    )
    if not allowed:
        raise InvalidSetting(
            f"input '{label}'",
            f"links to {link}, which is not allowed",
            "Send the data, or give a selection.",
        )
    data = _download(link, policy.max_bytes)
    return _fitting(declared, wire.read_all(data, name=link, limit=policy.max_bytes))


def _download(link: str, limit: int) -> bytes:
    import httpx

    try:
        # A redirect could lead to a host that is not on the list.
        with httpx.stream("GET", link, follow_redirects=False, timeout=_TIMEOUT_S) as answer:
            if answer.status_code == 204 or answer.status_code == 404:
                raise NoData(link, "there is nothing", "Check the link.")
            if answer.status_code != 200:
                raise Unavailable(link, f"answers {answer.status_code}", "Try later, or send the data.")
            parts, size = [], 0
            for part in answer.iter_bytes():
                size += len(part)
                if size > limit:
                    raise ResourceExceeded(link, f"is larger than {limit} bytes", "Ask for less.")
                parts.append(part)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(link, f"does not answer ({error})", "Try later, or send the data.") from error
    return b"".join(parts)


def _from_selection(declared: DataInput, value: dict[str, Any], policy: Policy, label: str) -> list[Datum]:
    from workbench.calls import selections

    return selections.fetch(declared, value["selection"], policy)


_FETCH = {
    "path": _from_path,
    "value": _from_value,
    "href": _from_link,
    "selection": _from_selection,
}
