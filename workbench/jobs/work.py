"""What a process does with a request: run the Call, and write its outputs as bytes.

Requests and answers are plain data, so that they can go to another process,
another machine, or a queue.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from workbench import wire
from workbench.calls import Policy, run
from workbench.errors import InvalidSetting
from workbench.settings import Settings

__all__ = ["Answer", "Output", "Request", "work"]


class Request(TypedDict):
    """A Call, and how its outputs are wanted."""

    call: dict[str, Any]
    media: NotRequired[dict[str, str]]
    """Media type of each output; the noun's first where none is said."""
    user: NotRequired[str]
    """Whose own archive is searched after the shared one."""
    links: NotRequired[list[str]]
    """What a link in the Call may begin with."""


class Output(TypedDict):
    """One output, written."""

    noun: str
    media: str
    data: bytes


class Answer(TypedDict):
    """What came out."""

    outputs: dict[str, Output]
    notices: list[dict[str, Any]]
    run_key: str
    duration_s: float


def work(request: Request) -> Answer:
    """Run a Call as a service does: no paths, listed links, capped bytes.

    Raises
    ------
    WorkbenchError
        Whatever is wrong with the Call or its data.
    """
    settings = _settings(request.get("user", ""))
    result = run(request["call"], Policy.web(settings, links=tuple(request.get("links", ()))))
    media = request.get("media", {})
    return Answer(
        outputs={name: _write(value, media.get(name, "")) for name, value in result.outputs.items()},
        notices=[asdict(said) for said in result.notices],
        run_key=result.run_key,
        duration_s=result.duration_s,
    )


def _write(value: Any, wanted: str) -> Output:
    noun = wire.noun(value)
    media = wire.media_of(noun, wanted)
    return Output(noun=noun, media=media, data=wire.codec(noun).encode(value, media))


def _settings(user: str) -> Settings:
    """Fill the user's name into the place of the own archive, where it stands there."""
    settings = Settings()
    if "{user}" not in str(settings.home_archive):
        return settings
    if not user or "/" in user or user.startswith("."):
        raise InvalidSetting(f"user '{user}'", "has no archive of that name")
    home = Path(str(settings.home_archive).replace("{user}", user))
    return settings.model_copy(update={"home_archive": home})
