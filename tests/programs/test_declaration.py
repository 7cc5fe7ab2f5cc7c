"""What is refused when it is declared, what an argument becomes, and what a run key covers."""

from __future__ import annotations

import obspy
import pytest

from workbench import kernel as declarations
from workbench.calls import keys
from workbench.errors import InvalidKernel, Unavailable
from workbench.notices import listen
from workbench.nouns import Picks, Triggers, VelocityModel, Waveforms
from workbench.programs import File, Limits, program
from workbench.units import Hertz, Seconds

SHA = "0" * 64


def declare(**changed):
    words = {
        "image": None,
        "argv": ("{tool}", "{sta}", "{waveforms}", "{result}"),
        "files": {"tool": File("/opt/tool", SHA)},
        "reads": {"waveforms": "text/csv"},
        "writes": {"result": "text/csv"},
        "per": "channel",
    } | changed

    @program(**words)
    def tool(waveforms: Waveforms, *, sta: Seconds = 1.0) -> Triggers:
        """Find."""
        raise AssertionError

    return declarations.get("test_declaration.tool")


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"argv": ("tool", "{sta}")}, "its program is 'tool'"),
        ({"argv": ("/opt/{sta}",)}, "its program is"),
        ({"argv": ("{tool}", "{sta.real}")}, "more than a name"),
        ({"argv": ("{tool}", "{sta!r}")}, "more than a name"),
        ({"argv": ("{tool}", "{sta:.3f}")}, "more than a name"),
        ({"argv": ("{tool}", "{sta}", "{lta}")}, "place for 'lta'"),
        ({"argv": ("{tool}", "{waveforms}")}, "no place for the setting 'sta'"),
        ({"argv": ()}, "its program is ''"),
        ({"reads": {"waveforms": "text/html"}}, "not written as that"),
        ({"reads": {"data": "text/csv"}}, "reads and writes"),
        ({"writes": {}}, "reads and writes"),
        ({"writes": {"result": "../result.csv"}}, "not written as that"),
        ({"writes": {"result": "in"}}, "is written as 'in'"),
        ({"writes": {"result": "-o"}}, "is written as '-o'"),
        ({"image": "debian:12"}, "no digest"),
        ({"files": {"tool": File("/opt/tool", "latest")}}, "SHA-256"),
        ({"files": {"tool": File("/opt/..", SHA)}}, "plain name"),
        ({"files": {"tool": File("/opt/a", SHA), "sta": File("/opt/b", SHA)}}, "two things"),
        ({"files": {"tool": File("/opt/a", SHA), "b": File("/usr/a", SHA)}}, "one name"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_registered(changed, text):
    with pytest.raises(InvalidKernel, match=text):
        declare(**changed)
    assert "test_declaration.tool" not in declarations._registry


def test_a_limit_is_above_zero():
    with pytest.raises(ValueError, match="wall_s"):
        Limits(wall_s=0)


def test_the_run_key_covers_the_executable_and_the_command_line():
    versions = [
        keys.code_version(declare(**changed))
        for changed in (
            {},
            {"files": {"tool": File("/opt/tool", "1" * 64)}},
            {"argv": ("{tool}", "--sta", "{sta}", "{waveforms}", "{result}")},
            {"image": "sha256:" + SHA},
            {"reads": {"waveforms": ".mseed"}},
            {"writes": {"result": "application/json"}},
            {"argv": ("/bin/sh", "{sta}", "{waveforms}", "{result}")},
            {"argv": ("/bin/cat", "{sta}", "{waveforms}", "{result}")},
        )
    ]
    assert len(set(versions)) == len(versions)
    # A file is known by what is in it, wherever it lies, and limits change no result.
    same = [declare(files={"tool": File("/usr/local/tool", SHA)}), declare(limits=Limits(wall_s=5))]
    assert {keys.code_version(kernel) for kernel in same} == {versions[0]}


def test_another_file_in_its_place_is_refused(tmp_path):
    tool = tmp_path / "tool"
    tool.write_bytes(b"another")
    kernel = declare(files={"tool": File(tool, SHA)}, reads={})
    with pytest.raises(Unavailable, match="is not the file that was declared"):
        kernel(obspy.read())
    with pytest.raises(Unavailable, match="cannot be opened"):
        declare()(obspy.read())


def test_a_program_that_is_not_installed_is_unavailable():
    kernel = declare(argv=("/usr/bin/nothing-of-that-name", "{sta}"), files={})
    with pytest.raises(Unavailable, match="cannot be started: prlimit"):
        kernel(obspy.read())
    with pytest.raises(Unavailable, match="is not installed here"):
        keys.code_version(kernel)


def test_each_item_is_one_argument_and_no_shell_sees_it():
    @program(
        image=None,
        argv=(
            "/bin/sh",
            "-c",
            'for word; do printf "<%s>" "$word"; done; echo "time,duration_s,stations" > result.csv',
            "sh",
            ("--name", "{name}"),
            ("--corner", "{corner}"),
            "{phases}",
            "{both}",
            "{{x}}",
            "{model}",
        ),
        reads={"model": "application/json"},
        writes={"result": "text/csv"},
        per="archive",
    )
    def words(
        picks: Picks,
        *,
        name: str = "a",
        corner: Hertz | None = None,
        phases: tuple[str, ...] = ("P", "S"),
        both: bool = True,
        model: VelocityModel = VelocityModel.taup("iasp91"),  # noqa: B008
    ) -> Triggers:
        """Say the words."""
        raise AssertionError

    with listen() as heard:
        words(Picks(), name="$(id) 'x' \";*")
        words(Picks(), corner=2)
    said = [notice.problem.partition("said: ")[2] for notice in heard.notices]
    assert said[0] == "<--name><$(id) 'x' \";*><P,S><true><{x}><in/model.json>"
    assert said[1] == "<--name><a><--corner><2.0><P,S><true><{x}><in/model.json>"
