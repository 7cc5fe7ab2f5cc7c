"""The example of docs/adding-a-program.md is a declaration."""

from __future__ import annotations

import re
from pathlib import Path

from workbench import kernel as declarations

PAGE = Path(__file__).parents[2] / "docs/adding-a-program.md"


def test_the_example_can_be_declared():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    space = {"__name__": "observatory"}
    exec(code.replace("9f86d081...", "9f" * 32), space)
    kernel = declarations.get("observatory.onsets")
    assert [item.nouns for item in kernel.inputs] == [("Waveforms",)]
    assert kernel.lead(kernel.validate({})) == 60.0
