"""From the values in a Call to objects: files, links, bytes, selections."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator
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

Fetch = Callable[[], list[Datum]]


def fits(noun: str, declared: DataInput) -> bool:
    """Whether an input takes a noun; events can be flattened into picks, and a dataset be waveforms."""
    others = {"Events": "Picks", "Dataset": "Waveforms"}
    return noun in declared.nouns or others.get(noun) in declared.nouns


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
    if "Dataset" in kinds and "Dataset" not in declared.nouns:
        from workbench.cubes import to_stream

        data = [
            Datum("Waveforms", to_stream(datum.value, datum.name), datum.name)
            if datum.noun == "Dataset"
            else datum
            for datum in data
        ]
        kinds = kinds - {"Dataset"} | {"Waveforms"}
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
    failed: list[UnreadableFile] = []
    for fetch in [fetch for value in values for fetch in _fetches(declared, value, policy)]:
        try:
            found += _fitting(declared, fetch())
        except UnreadableFile as error:
            failed.append(error)
    if failed and not found:
        raise failed[0]
    for broken in failed:
        notice(broken.subject, broken.problem, broken.remedy)
    return found


def _fetches(declared: DataInput, value: dict[str, Any], policy: Policy) -> Iterator[Fetch]:
    """Go through the files or answers that a value stands for, each to be fetched by a call."""
    form = next(form for form in ("selection", "href", "value", "path") if form in value)
    if form not in policy.forms:
        raise InvalidSetting(
            f"input '{declared.name}'",
            f"is given as a {form}, which is not taken here",
            f"Give {', '.join(sorted(policy.forms))}.",
        )
    if form == "selection":
        from workbench.calls import selections

        yield partial(selections.fetch, declared, value["selection"], policy)
        return
    text = value[form]
    if not isinstance(text, str) or not text:
        raise InvalidSetting(
            f"input '{declared.name}'", f"its {form} is no text", "Give a text that is not empty."
        )
    if form == "path":
        yield from _of_path(text, value.get("sha256"), policy)
    elif form == "value":
        yield partial(_of_value, text, f"input '{declared.name}'", policy)
    else:
        yield partial(_of_link, text, f"input '{declared.name}'", policy)


def _fitting(declared: DataInput, data: list[Datum]) -> list[Datum]:
    """Of an archive that holds several nouns, take what fits; say the rest if nothing does."""
    return [datum for datum in data if fits(datum.noun, declared)] or data


def _of_path(text: str, digest: object, policy: Policy) -> Iterator[Fetch]:
    path = (policy.base or Path()) / Path(text).expanduser()
    if not path.exists():
        raise BadInput(
            str(path), "there is no such file", "Paths in a Call are relative to the file that holds it."
        )
    if digest is not None and path.is_file():
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != digest:
            raise BadInput(str(path), "has changed since the Call was written", "Write the Call again.")
    for file in expand(path):
        if policy.reader is not None:
            yield partial(policy.reader.take, file)
        else:
            yield partial(wire.read_all, file, limit=policy.max_bytes)


def _of_value(text: str, name: str, policy: Policy) -> list[Datum]:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # XML and CSV are not base64 by their very first characters.
        data = text.encode()
    return wire.read_all(data, name=name, limit=policy.max_bytes)


def _of_link(link: str, name: str, policy: Policy) -> list[Datum]:
    parts = urlsplit(link)
    allowed = (
        parts.scheme in ("http", "https")
        and "@" not in parts.netloc
        and "\\" not in link
        and ".." not in parts.path.split("/")
        and any(_under(link, prefix) for prefix in policy.links)
    )
    if not allowed:
        raise InvalidSetting(
            name, f"links to {link}, which is not allowed", "Send the data, or give a selection."
        )
    return wire.read_all(_download(link, policy.max_bytes), name=link, limit=policy.max_bytes)


def _under(link: str, prefix: str) -> bool:
    """Whether a link is at or below an allowed one; ``https://a.org`` does not allow ``https://a.org.b.com``."""
    asked, allowed = urlsplit(link), urlsplit(prefix)
    host = not allowed.netloc or asked.netloc.lower() == allowed.netloc.lower()
    return host and asked.scheme == allowed.scheme and asked.path.startswith(allowed.path)


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
