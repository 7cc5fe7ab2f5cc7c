"""Runs a Call: the one way from what is asked to what comes out, for every surface."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from workbench import wire
from workbench.calls import keys
from workbench.calls.call import Call
from workbench.calls.inputs import combine, resolve
from workbench.calls.policy import Policy
from workbench.calls.results import Result
from workbench.errors import InvalidSetting, ResourceExceeded
from workbench.kernel import Kernel
from workbench.notices import Notice, listen

__all__ = ["run"]


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
    asked = call if isinstance(call, Call) else Call.of(call)
    parts = asked.split()
    rules = policy or Policy()
    started = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    clock = time.perf_counter()
    with listen(on_notice, on_progress) as heard:
        for said in notices:
            heard.add(said)
        data = _data(parts.kernel, parts.data, rules)
        fingerprints = {name: wire.fingerprint(value) for name, value in data.items()} if key else {}
        settings = {name: getattr(parts.settings, name) for name in type(parts.settings).model_fields}
        try:
            returned = parts.kernel.function(**data, **settings)
        except MemoryError as error:
            raise ResourceExceeded(
                parts.kernel.id, "ran out of memory", "Give a shorter span or fewer channels."
            ) from error
    return Result(
        call=asked,
        outputs=_outputs(parts.kernel, returned),
        notices=heard.notices,
        run_key=keys.run_key(asked, parts.kernel, fingerprints) if key else "",
        fingerprints=fingerprints,
        code=keys.code_version(parts.kernel) if key else "",
        environment=keys.environment()["digest"] if key else "",
        started=started,
        duration_s=round(time.perf_counter() - clock, 3),
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
