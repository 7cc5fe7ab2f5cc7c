"""The committed reference of the kernels is what the declarations say."""

from __future__ import annotations

from pathlib import Path

from workbench import kernel as declarations
from workbench.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "kernels.md"


def test_committed_reference_is_current():
    assert PAGE.read_text() == reference(declarations.kernels()), "run 'make docs'"


def test_every_kernel_and_every_setting_is_in_it():
    text = PAGE.read_text()
    for kernel_id, kernel in declarations.kernels().items():
        section = text.partition(f"### {kernel_id}\n")[2].partition("\n### ")[0]
        for name in kernel.settings.model_fields:
            assert f"| `{name}` |" in section
