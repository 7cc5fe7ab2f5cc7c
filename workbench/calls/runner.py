"""Runs a Call: the one way from what is asked to what comes out, for every surface."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from workbench import wire
from workbench.calls import keys
from workbench.calls.call import Call, Split
from workbench.calls.inputs import combine, resolve
from workbench.calls.policy import Policy
from workbench.calls.results import Result
from workbench.errors import InvalidSetting, ResourceExceeded
from workbench.kernel import Kernel
from workbench.notices import Notice, listen

__all__ = ["Prepared", "prepare", "run"]


def run(
    call: Call | Mapping[str, Any],
    policy: Policy | None = None,
    *,
    key: bool = True,
    notices: Sequence[Notice] = (),
    on_notice: Callable[[Notice], None] | None = None,
    on_progress: Callable[[float, str], None] | None = None,
) -> Result:
    """Run a Call in this process.

    Plain data in, plain objects out, so that a worker elsewhere can be handed
    this function.

    Parameters
    ----------
    call : Call or mapping
        What to run; a mapping is parsed JSON.
    policy : Policy, optional
        Where data may come from.
    key : bool
        Whether to fingerprint the inputs and name the run.
    notices : sequence of Notice
        What was said before, while the Call was put together.
    on_notice, on_progress : callable, optional
        Told of notices and progress as they come.

    Raises
    ------
    WorkbenchError
        Whatever is wrong with the Call or its data.
    """
    prepared = prepare(call, policy, key=key, notices=notices, on_notice=on_notice)
    return prepared.compute(on_notice=on_notice, on_progress=on_progress)


@dataclass(frozen=True)
class Prepared:
    """A Call whose data are here, and which is not computed yet.

    Attributes
    ----------
    call : Call
    parts : Split
    data : dict
        The objects that the kernel gets.
    run_key : str
        Names what would be computed; empty if it was not asked for.
    fingerprints : dict of str to str
        SHA-256 of each data input.
    notices : list of Notice
        What was said so far.
    started : str
    begun : float
        Of `time.perf_counter`.
    """

    call: Call
    parts: Split
    data: dict[str, Any]
    run_key: str
    fingerprints: dict[str, str]
    notices: list[Notice]
    started: str
    begun: float

    def compute(
        self,
        *,
        on_notice: Callable[[Notice], None] | None = None,
        on_progress: Callable[[float, str], None] | None = None,
    ) -> Result:
        """Run the kernel.

        Raises
        ------
        WorkbenchError
            Whatever is wrong with the data.
        """
        kernel, checked = self.parts.kernel, self.parts.settings
        settings = {name: getattr(checked, name) for name in type(checked).model_fields}
        with listen(on_notice, on_progress) as heard:
            heard.notices.extend(self.notices)
            try:
                returned = kernel.function(**self.data, **settings)
            except MemoryError as error:
                raise ResourceExceeded(
                    kernel.id, "ran out of memory", "Give a shorter span or fewer channels."
                ) from error
        return Result(
            call=self.call,
            outputs=_outputs(kernel, returned),
            notices=heard.notices,
            run_key=self.run_key,
            fingerprints=self.fingerprints,
            code=keys.code_version(kernel) if self.run_key else "",
            environment=keys.environment()["digest"] if self.run_key else "",
            started=self.started,
            duration_s=round(time.perf_counter() - self.begun, 3),
        )


def prepare(
    call: Call | Mapping[str, Any],
    policy: Policy | None = None,
    *,
    key: bool = True,
    notices: Sequence[Notice] = (),
    on_notice: Callable[[Notice], None] | None = None,
) -> Prepared:
    """Fetch the data of a Call, and name what it would compute: see `run`."""
    asked = call if isinstance(call, Call) else Call.of(call)
    parts = asked.split()
    started = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    begun = time.perf_counter()
    with listen(on_notice) as heard:
        for said in notices:
            heard.add(said)
        data = _data(parts.kernel, parts.data, policy or Policy())
    fingerprints = {name: wire.fingerprint(value) for name, value in data.items()} if key else {}
    return Prepared(
        call=asked,
        parts=parts,
        data=data,
        run_key=keys.run_key(asked, parts.kernel, fingerprints) if key else "",
        fingerprints=fingerprints,
        notices=heard.notices,
        started=started,
        begun=begun,
    )


def _data(
    kernel: Kernel,
    values: Mapping[str, list[dict[str, Any]]],
    policy: Policy,
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for declared in kernel.inputs:
        if declared.name in values:
            data[declared.name] = combine(declared, resolve(declared, values[declared.name], policy))
        elif declared.required:
            raise InvalidSetting(
                kernel.id, f"input '{declared.name}' is missing", f"It takes {' or '.join(declared.nouns)}."
            )
    return data


def _outputs(kernel: Kernel, returned: Any) -> dict[str, Any]:
    if len(kernel.outputs) == 1 and kernel.outputs[0].name == "result" and not is_dataclass(returned):
        return {"result": returned}
    return {item.name: getattr(returned, item.name) for item in fields(returned)}
