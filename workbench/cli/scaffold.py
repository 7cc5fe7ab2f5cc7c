"""``workbench kernel new``: a module and a test to begin with, which pass lint and tests at once."""

from __future__ import annotations

import ast
import importlib.util
import keyword
import re
import subprocess
import sys
from pathlib import Path

import click

import workbench
from workbench.cli import adopt
from workbench.cli.adopt import Draft
from workbench.errors import InvalidSetting

__all__ = ["kernel"]

_WIDTH = 110

_BODY = """\
    averages = []
    for segment in segments(waveforms):
        count = max(1, round(window * segment.rate))
        total = np.cumsum(np.abs(segment.data), dtype=np.float64)
        total[count:] -= total[:-count].copy()
        averages.append(replace(segment, data=total / np.minimum(np.arange(1, len(total) + 1), count)))
    return to_stream(averages)
"""

_DOC = '''\
    """Average the absolute samples over a sliding window.

    Parameters
    ----------
    waveforms : Waveforms
        Any channels; gaps stay gaps.
    window : Seconds
        Length of the window that ends at each sample: a few periods of the signal.

    Returns
    -------
    Waveforms
        The averages, in the unit of the input.

    Raises
    ------
    NoData
        If no channel has usable samples.

    References
    ----------
    Withers, M. et al. (1998). A comparison of select trigger algorithms for
    automated global seismic phase and event detection. BSSA 88, 95-106.

    Examples
    --------
    >>> import obspy
    >>> len({name}(obspy.read(), window=0.5))
    3
    """
'''

_TEST = '''\
"""What {id} promises."""

from __future__ import annotations

import numpy as np
import pytest
from obspy import Stream, Trace

from workbench.errors import NoData
from workbench.kernels.{topic} import {name}


def record(samples) -> Trace:
    header = {{"network": "XX", "station": "A", "channel": "HHZ", "sampling_rate": 10.0}}
    return Trace(np.array(samples, dtype=np.float64), header)


def test_average_is_that_of_the_last_window():
    averages = {name}(Stream([record([1, -3, 5, -7])]), window=0.2)[0].data
    np.testing.assert_allclose(averages, [1, 2, 4, 6])


def test_order_of_traces_does_not_matter_and_input_is_not_changed():
    traces = [record([1, 2, 3]), record([3, 2, 1])]
    traces[1].stats.station = "B"
    before = [trace.data.copy() for trace in traces]
    forwards = {name}(Stream(traces))
    backwards = {name}(Stream(traces[::-1]))
    assert forwards == backwards
    np.testing.assert_array_equal([trace.data for trace in traces], before)


def test_nothing_to_work_on_is_an_error():
    with pytest.raises(NoData):
        {name}(Stream())
'''

_TEST_ADOPTED = '''\
"""What {id} promises."""

from __future__ import annotations

from workbench import kernel, wire
from workbench.demo import examples
from workbench.kernels.{topic} import {name}


def test_example_gives_the_same_result_twice_and_leaves_its_data_alone(tmp_path):
    given = examples.data_of(kernel.get("{id}"), tmp_path)
    before = [wire.fingerprint(value) for value in given.values()]
    results = [{name}(**given) for _ in range(2)]
    assert wire.noun(results[0]) == "{returns}"
    assert wire.canonical(results[0]) == wire.canonical(results[1])
    assert [wire.fingerprint(value) for value in given.values()] == before
'''


@click.group()
def kernel() -> None:
    """Add a kernel of your own."""


@kernel.command()
@click.argument("kernel_id", metavar="TOPIC.NAME")
@click.option(
    "--from",
    "script",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Begin with the first function of this script; its literals become the defaults of settings.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The source tree to write into; by default the one around the current folder.",
)
def new(kernel_id: str, script: Path | None, root: Path | None) -> None:
    """Write a kernel TOPIC.NAME and its test, to be filled with your method."""
    topic, name = _names(kernel_id)
    home = root or _root()
    module = home / "workbench" / "kernels" / f"{topic}.py"
    test = home / "tests" / "kernels" / f"test_{topic}_{name}.py"
    if test.exists() or (module.exists() and re.search(rf"^def {name}\b", module.read_text(), re.MULTILINE)):
        raise InvalidSetting(kernel_id, "is there already", "Choose another name.")
    draft = adopt.from_script(script, name) if script is not None else _template(name)
    source = module.read_text() if module.exists() else f'"""{topic.capitalize()}."""\n\n{_FUTURE}\n'
    module.write_text(with_imports(source, draft.imports) + f"\n\n{draft.code}")
    test.parent.mkdir(parents=True, exist_ok=True)
    words = _TEST if script is None else _TEST_ADOPTED
    test.write_text(words.format(id=kernel_id, topic=topic, name=name, returns=draft.returns))
    _tidy([module, test])
    for path in (module, test):
        click.echo(path.relative_to(home))
    for remark in draft.remarks:
        click.echo(f"note: {remark}", err=True)
    click.echo(f"Now: pytest {test.relative_to(home)}; workbench describe {kernel_id}", err=True)


_FUTURE = "from __future__ import annotations"


def _names(kernel_id: str) -> tuple[str, str]:
    topic, _, name = kernel_id.partition(".")
    for part in (topic, name):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", part) or keyword.iskeyword(part):
            raise InvalidSetting(
                kernel_id, "is no name of a kernel", "Write TOPIC.NAME in small letters: triggers.sta_lta."
            )
    return topic, name


def _root() -> Path:
    for folder in (Path.cwd(), *Path.cwd().parents, Path(workbench.__file__).parents[1]):
        if (folder / "workbench" / "kernels").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    raise InvalidSetting("kernel new", "there is no source tree here", "Give it with --root.")


def _template(name: str) -> Draft:
    head = (
        '@kernel(per="channel", lead=lambda settings: settings.window, cut_tolerance=1e-9)\n'
        f"def {name}(waveforms: Waveforms, *, window: Seconds = 1.0) -> Waveforms:\n"
    )
    return Draft(
        code=head + _DOC.replace("{name}", name) + _BODY,
        imports={
            "dataclasses": ["replace"],
            "numpy": ["np"],
            "workbench.kernel": ["kernel"],
            "workbench.kernels._segments": ["segments", "to_stream"],
            "workbench.nouns": ["Waveforms"],
            "workbench.units": ["Seconds"],
        },
        returns="Waveforms",
    )


def with_imports(source: str, needed: dict[str, list[str]]) -> str:
    r"""Add imports to a module, in the order that the linter wants.

    Examples
    --------
    >>> with_imports("from __future__ import annotations\n", {"dataclasses": ["replace"]})
    'from __future__ import annotations\n\nfrom dataclasses import replace\n'
    """
    tree = ast.parse(source)
    block = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    plain: dict[str, str] = {}
    named: dict[str, set[str]] = {}
    for node in block:
        if isinstance(node, ast.Import):
            plain.update({item.name: ast.unparse(ast.Import([item])) for item in node.names})
        elif node.module and node.module != "__future__":
            named.setdefault(node.module, set()).update(
                item.name + (f" as {item.asname}" if item.asname else "") for item in node.names
            )
    for module, names in needed.items():
        if module == "numpy":
            plain[module] = "import numpy as np"
        elif not names:
            plain[module] = f"import {module}"
        else:
            named.setdefault(module, set()).update(names)
    groups: dict[int, list[tuple[str, str]]] = {}
    for module, text in plain.items():
        groups.setdefault(_group(module), []).append((f"0{module}", text))
    for module, found in named.items():
        groups.setdefault(_group(module), []).append((f"1{module}", _from(module, found)))
    text = "\n\n".join("\n".join(text for _, text in sorted(groups[key])) for key in sorted(groups))
    lines = source.splitlines()
    first = min((node.lineno for node in block), default=len(lines) + 1) - 1
    last = max((node.end_lineno or 0 for node in block), default=len(lines))
    before = "\n".join(lines[:first]).rstrip()
    after = "\n".join(lines[last:]).strip("\n")
    parts = [before, _FUTURE, text]
    return "\n\n".join(part for part in parts if part) + (f"\n\n\n{after}\n" if after else "\n")


def _group(module: str) -> int:
    top = module.partition(".")[0]
    return 0 if top in sys.stdlib_module_names else 2 if top == "workbench" else 1


def _from(module: str, names: set[str]) -> str:
    def rank(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2), name

    ordered = sorted(names, key=rank)
    line = f"from {module} import {', '.join(ordered)}"
    return line if len(line) <= _WIDTH else f"from {module} import (\n    " + ",\n    ".join(ordered) + ",\n)"


def _tidy(paths: list[Path]) -> None:
    """Let the formatter have the last word, where it is installed."""
    if importlib.util.find_spec("ruff") is None:
        return
    for words in (["check", "--fix", "--quiet", "--exit-zero"], ["format", "--quiet"]):
        subprocess.run(
            [sys.executable, "-m", "ruff", *words, *map(str, paths)], check=False, capture_output=True
        )
