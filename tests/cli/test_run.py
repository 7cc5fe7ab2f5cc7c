"""``workbench run``: data in any order, options, outputs, exit codes."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import obspy
import pytest

from workbench import wire

QUICK = ("--sta", "0.5", "--lta", "5")


def test_folder_files_and_pattern_are_the_same(workbench, folder):
    one = workbench("run", "triggers.sta_lta", "waves", *QUICK, "-o", "one.csv")
    workbench("run", "triggers.sta_lta", *sorted((folder / "waves").iterdir()), *QUICK, "-o", "two.csv")
    workbench("run", "triggers.sta_lta", "waves/*.mseed", *QUICK, "-o", "three.csv")
    assert one.code == 0
    assert one.err == "one.csv: 3 triggers\n"
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes() == Path("three.csv").read_bytes()


def test_output_goes_by_its_suffix(workbench, folder):
    for suffix, head in ((".csv", b"time,"), (".json", b"{"), (".png", b"\x89PNG")):
        done = workbench("run", "triggers.sta_lta", "waves", *QUICK, "-o", f"t{suffix}")
        assert done.code == 0
        assert Path(f"t{suffix}").read_bytes().startswith(head)
    done = workbench("run", "triggers.sta_lta", "waves", "-o", "t.docx")
    assert done.code == 2
    assert ".csv (text/csv)" in done.err


def test_pipe_gets_the_canonical_text_and_nothing_else(process, folder):
    done = process("run", "triggers.sta_lta", "waves", *QUICK)
    assert done.out.splitlines()[0].startswith("time,duration_s,n_stations,stations")
    assert len(done.out.splitlines()) == 4
    assert done.err == ""


def test_settings_take_units_lists_and_switches(workbench, folder):
    done = workbench("run", "triggers.sta_lta", "waves", "--sta", "500 ms", "--lta", "5s", "-o", "a.csv")
    assert done.code == 0
    workbench("run", "triggers.sta_lta", "waves", "--sta", "0.5", "--lta", "5", "-o", "b.csv")
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    done = workbench(
        "run", "triggers.sta_lta", "waves", *QUICK, "--freqmin", "none", "--freqmax", "none", "-o", "c.csv"
    )
    assert done.code == 0
    assert (
        workbench(
            "run", "waveforms.filter", "waves", "--freqmin", "1000 mHz", "--zerophase", "-o", "d.mseed"
        ).code
        == 0
    )


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("run", "triggers.stalta", "waves"), 2, "triggers.sta_lta"),
        (("run", "nothing"), 2, "no kernel"),
        (("run", "triggers.sta_lta", "nowhere"), 2, "no such file"),
        (("run", "triggers.sta_lta"), 2, "'waveforms' (Waveforms) is missing"),
        (("run", "triggers.sta_lta", "waves", "--stas", "1"), 2, "--sta"),
        (("run", "triggers.sta_lta", "waves", "--sta", "long"), 2, "is no number"),
        (("run", "triggers.sta_lta", "waves", "--sta", "5 Hz"), 2, "unit"),
        (("run", "triggers.sta_lta", "waves", "--sta", "-1"), 2, "greater than"),
        (("run", "triggers.sta_lta", "waves", "--sta", "nan"), 2, "is no number"),
        (("run", "triggers.sta_lta", "waves", "--kind", "fast"), 2, "recursive, classic"),
        (("run", "locators.geiger", "picks.csv", "stations.csv"), 2, "--velocity-model"),
        (("run", "locators.geiger", "picks.csv", "stations.csv", "--velocity-model", "nomodel"), 4, "iasp91"),
        (("run", "triggers.sta_lta", "waves", "-o", "nowhere/t.csv"), 2, "folder does not exist"),
        (("run", "triggers.sta_lta", "waves", "stations.csv"), 4, "stations.csv: holds Stations"),
        (("run", "triggers.sta_lta", "waves", "model.csv"), 4, "--velocity-model FILE"),
        (("run", "triggers.sta_lta", "XX.NO..HHZ@2020-01-01/2020-01-02"), 3, "no archive holds"),
        (("run", "triggers.sta_lta", "XX.NO..HHZ@2020-01-02/2020-01-01"), 2, "ends before it starts"),
        (("nonsense",), 2, "No such command"),
        (("describe", "nothing.there"), 2, "no kernel"),
        (("run", "nocall.json"), 4, "nocall.json"),
    ],
)
def test_exit_code_and_one_clear_line(workbench, folder, arguments, code, word, monkeypatch):
    monkeypatch.setenv("WORKBENCH_STATE", str(folder / "state"))
    monkeypatch.setenv("WORKBENCH_HOME_ARCHIVE", str(folder / "home"))
    done = workbench(*arguments)
    assert done.code == code, done.err
    assert word in done.err
    assert done.err.count("error:") == 1
    assert "Traceback" not in done.err
    assert done.out == ""


def test_no_data_and_no_usable_data_are_3(workbench, folder):
    (folder / "empty").mkdir()
    assert workbench("run", "triggers.sta_lta", "empty").code == 3
    stream = obspy.read()
    for trace in stream:
        trace.data[:] = 0
    (folder / "zeros.mseed").write_bytes(wire.encode(stream))
    done = workbench("run", "triggers.sta_lta", "zeros.mseed")
    assert done.code == 3
    assert "warning: 3 times" in done.err
    assert "BW.RJOB..EHZ" in done.err


def test_nothing_found_is_done(workbench, folder):
    done = workbench("run", "triggers.sta_lta", "waves", *QUICK, "--on", "1000", "-o", "t.csv")
    assert done.code == 0
    assert done.err == "t.csv: no triggers\n"


def test_one_bad_file_is_a_warning_and_all_bad_ones_are_4(workbench, folder):
    bad = folder / "waves" / "bad.mseed"
    bad.write_bytes(b"\x00\xff" * 300)
    (folder / "waves" / "empty.mseed").touch()
    done = workbench("run", "triggers.sta_lta", "waves", *QUICK, "-o", "t.csv")
    assert done.code == 0
    assert "bad.mseed" in done.err
    assert "empty.mseed" in done.err
    assert "3 triggers" in done.err
    done = workbench("run", "triggers.sta_lta", bad)
    assert done.code == 4
    assert "bad.mseed" in done.err


def test_broken_file_of_an_archive_does_not_spoil_the_others(workbench, folder):
    (folder / "waves" / "XX.A..HHZ.D.2020.001").write_bytes(bytes(1024))
    (folder / "waves" / "XX.B..HHZ.D.2020.001").write_bytes(b"\xfe" * 1024)
    done = workbench("run", "triggers.sta_lta", *sorted((folder / "waves").iterdir()), *QUICK, "-o", "t.csv")
    assert done.code == 0
    assert "XX.A..HHZ.D.2020.001" in done.err
    assert "3 triggers" in done.err
    done = workbench("run", "triggers.sta_lta", *(folder / "waves").glob("XX*"), *QUICK)
    assert done.code == 4


def test_strict_is_6_and_still_writes(workbench, folder):
    assert workbench("run", "triggers.sta_lta", "waves", *QUICK, "--strict", "-o", "t.csv").code == 0
    (folder / "waves" / "bad.mseed").write_bytes(b"\x00\xff" * 300)
    done = workbench("run", "triggers.sta_lta", "waves", *QUICK, "--strict", "-o", "u.csv")
    assert done.code == 6
    assert "1 channels or files were left out" in done.err
    assert Path("t.csv").read_bytes() == Path("u.csv").read_bytes()


def test_full_disk_and_memory_are_5(workbench, folder, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        done = workbench("run", "triggers.sta_lta", "waves", *QUICK, "-o", "t.csv")
    assert done.code == 5
    assert "No space left" in done.err

    def greedy(parts, *more):
        raise MemoryError

    monkeypatch.setattr("workbench.wire.waveforms.merge", greedy)
    assert workbench("run", "triggers.sta_lta", "waves").code == 5


def test_defect_is_1_and_says_how_to_report_it(workbench, folder, monkeypatch):
    def broken(parts):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("workbench.wire.waveforms.merge", broken)
    done = workbench("run", "triggers.sta_lta", "waves")
    assert done.code == 1
    assert "boom" in done.err
    assert "--debug" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in workbench("--debug", "run", "triggers.sta_lta", "waves").err


def test_interrupt_is_130_and_leaves_nothing_behind(workbench, folder, monkeypatch):
    def stop(parts):
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.wire.waveforms.merge", stop)
    before = set(folder.iterdir())
    done = workbench("run", "triggers.sta_lta", "waves", "-o", "t.csv")
    assert (done.code, done.err) == (130, "\nerror: stopped\n")
    assert set(folder.iterdir()) == before


def test_what_is_in_a_folder_beside_the_data_is_named_and_left_out(workbench, folder):
    (folder / "waves" / "README.md").write_text("# What this is\n")
    shutil.copy("model.csv", "waves/model.csv")
    done = workbench("run", "triggers.sta_lta", "waves", *QUICK, "--strict", "-o", "t.csv")
    assert done.code == 0
    assert "README.md" in done.err
    assert "model.csv" in done.err
    assert workbench("run", "triggers.sta_lta", "waves/README.md").code == 4


def test_archive_of_files_is_data(workbench, folder):
    with tarfile.open("all.tar", "w") as archive:
        archive.add("waves")
        archive.add("stations.csv")
    Path("all.tar.gz").write_bytes(gzip.compress(Path("all.tar").read_bytes()))
    workbench("run", "triggers.sta_lta", "waves", *QUICK, "-o", "a.csv")
    for name in ("all.tar", "all.tar.gz"):
        done = workbench("run", "triggers.sta_lta", name, *QUICK, "-o", "b.csv")
        assert done.code == 0, done.err
        assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()


def test_content_and_not_the_name_decides(workbench, folder):
    (folder / "waves" / "BW.RJOB..EHZ.mseed").rename("list.xml")
    done = workbench("run", "triggers.sta_lta", "list.xml", *QUICK, "-o", "t.csv")
    assert done.err == "t.csv: 1 trigger\n"


def test_events_are_flattened_where_picks_are_asked_for(workbench, folder):
    for name in ("picks.csv", "events.xml"):
        done = workbench("run", "pickers.aic", "waves", name, "-o", f"{name}.picks.csv")
        assert done.code == 0, done.err
    kept = ["station", "phase", "time"]
    one, other = (wire.read(folder / f"{name}.picks.csv", "Picks") for name in ("picks.csv", "events.xml"))
    assert one.table[kept].equals(other.table[kept])


def test_input_can_be_named(workbench, folder):
    done = workbench("run", "pickers.aic", "picks=picks.csv", "waveforms=waves", "-o", "p.csv")
    assert done.code == 0, done.err
    done = workbench("run", "pickers.aic", "waveforms=picks.csv", "waves", "-o", "p.csv")
    assert done.code == 4


def test_call_file_is_written_and_run(workbench, folder):
    done = workbench("run", "triggers.sta_lta", "waves", *QUICK, "--save-call", "job.json")
    assert done.code == 0
    call = json.loads(Path("job.json").read_text())
    assert call["process"] == "triggers.sta_lta"
    assert call["inputs"]["sta"] == 0.5
    assert [sorted(item) for item in call["inputs"]["waveforms"]] == [["path", "sha256"]] * 3
    assert not Path("t.csv").exists()
    workbench("run", "triggers.sta_lta", "waves", *QUICK, "-o", "t.csv")
    done = workbench("run", "job.json", "-o", "results")
    assert done.code == 0, done.err
    assert sorted(path.name for path in Path("results").iterdir()) == [
        "log.jsonl",
        "provenance.json",
        "result.csv",
    ]
    assert wire.fingerprint(wire.read(Path("results/result.csv"))) == wire.fingerprint(
        wire.read(Path("t.csv"))
    )
    done = workbench("run", "job.json", "-o", "results")
    assert done.code == 2
    assert "exists already" in done.err


def test_call_file_works_from_another_folder_and_after_a_move_of_all(
    workbench, folder, monkeypatch, tmp_path_factory
):
    workbench("run", "triggers.sta_lta", "waves", *QUICK, "--save-call", "job.json")
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(folder / "waves", other / "waves")
    shutil.copy("job.json", other / "job.json")
    shutil.rmtree(folder / "waves")
    assert workbench("run", other / "job.json", "-o", "t.csv").code == 0


def test_log_and_provenance_name_what_was_left_out(workbench, folder):
    (folder / "waves" / "bad.mseed").write_bytes(b"\x00\xff" * 300)
    workbench("run", "triggers.sta_lta", "waves", *QUICK, "-o", "results")
    lines = [json.loads(line) for line in Path("results/log.jsonl").read_text().splitlines()]
    record = json.loads(Path("results/provenance.json").read_text())
    assert [line["event"] for line in lines] == ["start", "notice", "done"]
    assert "bad.mseed" in lines[1]["subject"]
    assert lines[2]["run_key"] == record["run_key"]
    assert not record["complete"]
    assert len(record["notices"]) == 1
    assert {"user", "call", "job", "time"} <= set(lines[0])


def test_selection_brings_its_stations(workbench, folder, monkeypatch):
    from workbench.archive import Memory, Sources

    stations = wire.read(folder / "stations.csv", "Stations")
    source = Sources([Memory(obspy.read(), stations)])
    monkeypatch.setattr("workbench.calls.policy.Policy.archives", lambda self: source)
    selection = "BW.RJOB..EH?@2009-08-24T00:20:03/2009-08-24T00:20:33"
    workbench("run", "waveforms.wood_anderson", selection, "--save-call", "job.json")
    inputs = json.loads(Path("job.json").read_text())["inputs"]
    assert inputs == {"waveforms": {"selection": selection}, "stations": {"selection": selection}}
    workbench("run", "waveforms.wood_anderson", selection, "stations.csv", "--save-call", "job.json")
    assert "path" in json.loads(Path("job.json").read_text())["inputs"]["stations"]


def test_truncated_miniseed_is_used_as_far_as_it_goes(workbench, folder):
    stream = obspy.read()
    out = io.BytesIO()
    stream[0].data = np.tile(stream[0].data, 3).astype(np.int32)
    stream[:1].write(out, format="MSEED", reclen=512)
    (folder / "cut.mseed").write_bytes(out.getvalue()[:-100])
    done = workbench("run", "triggers.sta_lta", "cut.mseed", *QUICK, "-o", "t.csv")
    assert done.code == 0
    assert "cut.mseed: bytes" in done.err


def test_libraries_say_nothing(process, folder):
    xml = io.BytesIO()
    obspy.read_inventory().write(xml, format="STATIONXML")
    text = xml.getvalue().replace(b'schemaVersion="1.2"', b'schemaVersion="9.9"')
    (folder / "odd.xml").write_bytes(text)
    done = process("run", "waveforms.wood_anderson", "waves", "odd.xml", "-o", "w.mseed")
    assert "Warning" not in done.err
    assert "/obspy/" not in done.err
