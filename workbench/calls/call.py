"""A Call: what is asked, in one form for the command line, a batch file, the web and a schedule."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench import kernel as declarations
from workbench.errors import InvalidSetting, UnreadableFile

if TYPE_CHECKING:
    from workbench.calls.policy import Policy
    from workbench.calls.results import Result

__all__ = ["Call", "Split"]

FORMS = ("selection", "href", "value", "path")
"""The ways to give data, by the member that tells them apart."""


class OutputRequest(BaseModel):
    """How one output is wanted."""

    model_config = ConfigDict(extra="allow", frozen=True)

    transmissionMode: Literal["value", "reference"] | None = None  # noqa: N815 - the standard's spelling
    format: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """A Call taken apart by the declaration of its kernel.

    Attributes
    ----------
    kernel : Kernel
    data : dict of str to list of dict
        For each input that is given, its values, each in one of the four forms.
    settings : pydantic.BaseModel
        Checked, with the defaults filled in.
    """

    kernel: declarations.Kernel
    data: dict[str, list[dict[str, Any]]]
    settings: BaseModel


class Call(BaseModel):
    """A process and its inputs: the body of an OGC execute request.

    Parameters
    ----------
    process : str
        Id of a kernel, ``topic.name``.
    inputs : dict
        Data as ``{"selection": ...}``, ``{"href": ...}``,
        ``{"value": base64, "mediaType": ...}`` or ``{"path": ..., "sha256": ...}``,
        or a list of these, which are merged; settings as plain JSON in their
        declared unit.
    outputs : dict, optional
        How the outputs are wanted; says nothing about what is computed.

    Examples
    --------
    >>> data = {"selection": "GR.FUR..HHZ@2020-01-01/2020-01-02"}
    >>> Call(process="waveforms.filter", inputs={"waveforms": data, "freqmin": 1}).split().settings.freqmin
    1.0
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    process: str
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, OutputRequest] | None = None

    @classmethod
    def load(cls, path: Path) -> Call:
        """Read a Call file.

        Raises
        ------
        UnreadableFile
            If it cannot be read, or is no JSON.
        InvalidSetting
            If it is no Call.
        """
        try:
            content = json.loads(path.read_bytes())
        except OSError as error:
            raise UnreadableFile(
                str(path), f"cannot be opened ({error.strerror})", "Check the path."
            ) from error
        except (ValueError, RecursionError) as error:
            raise UnreadableFile(str(path), f"is no JSON ({error})", "A Call file is JSON.") from error
        return cls.of(content, str(path))

    @classmethod
    def of(cls, content: object, name: str = "the Call") -> Call:
        """Make a Call of parsed JSON.

        Raises
        ------
        InvalidSetting
            If it is none.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            said = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['msg']}" for item in error.errors()
            )
            raise InvalidSetting(
                name, f"is no Call ({said})", 'Write {"process": "topic.name", "inputs": {...}}.'
            ) from error

    def split(self) -> Split:
        """Tell data from settings, and check both against the declaration.

        Raises
        ------
        UnknownKernel
            If there is no such process.
        InvalidSetting
            If an input is missing, unknown, or of the wrong type.
        """
        declared = declarations.get(self.process)
        names = [item.name for item in declared.inputs]
        data = {name: _values(name, self.inputs[name]) for name in names if self.inputs.get(name) is not None}
        settings = {name: value for name, value in self.inputs.items() if name not in names}
        checked = declared.validate(settings)
        return Split(declared, data, checked)

    def canonical(self, data: dict[str, Any] | None = None) -> bytes:
        """Return the one way to write this Call, with all its settings spelled out (RFC 8785).

        Parameters
        ----------
        data : dict, optional
            What to write in place of the data inputs: fingerprints, for a run key.
        """
        parts = self.split()
        given: dict[str, Any] = {
            name: values[0] if len(values) == 1 else values for name, values in parts.data.items()
        }
        settings = parts.settings.model_dump(mode="json")
        whole: dict[str, Any] = {
            "process": self.process,
            "inputs": {**settings, **(given if data is None else data)},
        }
        try:
            return rfc8785.dumps(whole)
        except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
            raise InvalidSetting(
                self.process,
                f"has a setting that JSON cannot hold exactly ({error})",
                "Use a smaller number.",
            ) from error

    def to_json(self) -> dict[str, Any]:
        """Return the Call as plain JSON, as written."""
        return self.model_dump(mode="json", exclude_none=True)

    def run(self, policy: Policy | None = None) -> Result:
        """Run it here and now.

        Parameters
        ----------
        policy : Policy, optional
            Where data may come from; by default anything that this user can read.
        """
        from workbench.calls.runner import run

        return run(self, policy)


def _values(name: str, given: Any) -> list[dict[str, Any]]:
    items = given if isinstance(given, list) else [given]
    if not items:
        raise InvalidSetting(f"input '{name}'", "is an empty list", "Give data, or leave it out.")
    for item in items:
        forms = [form for form in FORMS if isinstance(item, dict) and form in item]
        if len(forms) != 1:
            raise InvalidSetting(
                f"input '{name}'",
                f"is given as {json.dumps(item, default=str)[:80]}",
                'Give {"selection": ...}, {"href": ...}, {"value": ..., "mediaType": ...} or {"path": ...}.',
            )
    return items
