"""Running Calls: forms of input, policies, run keys, results."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import obspy
import pytest

from workbench import wire
from workbench.archive import Memory
from workbench.calls import Call, Policy, run
from workbench.calls.results import write_output, write_results
from workbench.errors import (
    BadInput,
    InvalidSetting,
    NoData,
    ResourceExceeded,
    Unavailable,
    UnreadableFile,
)
from workbench.nouns import Picks, Triggers
from workbench.settings import Settings

SETTINGS = {"sta": 0.5, "lta": 5.0}
SELECTION = "BW.RJOB..EH?@2009-08-24T00:20:03/2009-08-24T00:20:33"


def call(waveforms: object, **settings: object) -> Call:
    return Call(process="triggers.sta_lta", inputs={"waveforms": waveforms, **SETTINGS, **settings})


def encoded(path: Path) -> dict[str, str]:
    return {
        "value": base64.b64encode(path.read_bytes()).decode(),
        "mediaType": "application/vnd.fdsn.mseed",
    }


def files(folder: Path) -> list[Path]:
    return sorted((folder / "waves").iterdir())


@pytest.fixture
def served(folder):
    """The folder over HTTP, with a redirect, an endless answer and an error."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = folder / self.path.lstrip("/")
            if self.path == "/elsewhere":
                self.send_response(302)
                self.send_header("Location", "/stations.csv")
                self.end_headers()
            elif self.path == "/busy":
                self.send_error(503)
            elif path.is_file():
                self.send_response(200)
                self.end_headers()
                self.wfile.write(path.read_bytes())
            else:
                self.send_error(404)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_paths_bytes_links_and_selections_of_the_same_data_are_one_run(folder, served):
    memory = Policy(sources=[Memory(obspy.read())])
    results = [
        run(call([{"path": str(path)} for path in files(folder)])),
        run(call({"path": "waves"}), Policy(base=folder)),
        run(call([encoded(path) for path in reversed(files(folder))])),
        run(call([{"href": f"{served}waves/{path.name}"} for path in files(folder)])),
        run(call({"selection": SELECTION}), memory),
        run(call({"selection": SELECTION.replace("EH?", "EHZ,EHN,EHE")}), memory),
        run(call({"selection": "+".join(SELECTION.replace("EH?", f"EH{c}") for c in "ZNE")}), memory),
    ]
    assert len({result.run_key for result in results}) == 1
    assert len({result.canonical()["result"] for result in results}) == 1
    assert len(results[0].value) == 3


def test_run_key_sees_data_settings_and_code(folder, monkeypatch):
    path = {"path": str(files(folder)[0])}
    key = run(call(path)).run_key
    assert run(call(path)).run_key == key
    assert run(call(path, on=4.0)).run_key != key
    assert run(call({"path": str(files(folder)[1])})).run_key != key
    monkeypatch.setattr("workbench.calls.keys.sources", lambda: "another")
    assert run(call(path)).run_key != key


def test_without_a_key_nothing_is_fingerprinted(folder):
    result = run(call({"path": "waves"}), Policy(base=folder), key=False)
    assert (result.run_key, result.fingerprints) == ("", {})


def test_web_policy_takes_no_paths_and_only_listed_links(folder, served):
    policy = Policy.web(Settings(), links=(f"{served}waves/",))
    link = f"{served}waves/{files(folder)[0].name}"
    assert len(run(call({"href": link}), policy).notices) == 0
    with pytest.raises(InvalidSetting, match="path, which is not taken"):
        run(call({"path": "/etc/passwd"}), policy)
    with pytest.raises(InvalidSetting, match="not allowed"):
        run(call({"href": "https://a.org.evil.com/x"}), Policy.web(Settings(), links=("https://a.org",)))
    refused = [
        f"{served}stations.csv",
        f"{served}waves/../stations.csv",
        link.replace("127.0.0.1", "localhost"),
        link.replace("http://", "http://user@"),
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        f"{served}waves\\..\\stations.csv",
    ]
    for bad in refused:
        with pytest.raises(InvalidSetting, match="not allowed"):
            run(call({"href": bad}), policy)


def test_links_that_redirect_fail_or_swell_are_errors(folder, served):
    with pytest.raises(Unavailable, match="302"):
        run(call({"href": f"{served}elsewhere"}))
    with pytest.raises(Unavailable, match="503"):
        run(call({"href": f"{served}busy"}))
    with pytest.raises(NoData):
        run(call({"href": f"{served}nothing"}))
    with pytest.raises(ResourceExceeded, match="100 bytes"):
        run(call({"href": f"{served}waves/{files(folder)[0].name}"}), Policy(max_bytes=100))


def test_link_without_a_server_is_unavailable():
    with pytest.raises(Unavailable, match="does not answer"):
        run(call({"href": "http://127.0.0.1:9/x"}))


def test_bytes_over_the_limit_are_refused(folder):
    with pytest.raises(ResourceExceeded):
        run(call(encoded(files(folder)[0])), Policy(max_bytes=100))


def test_text_need_not_be_base64():
    text = "network,station,location,channel,phase,time,probability\nBW,A,,EHZ,P,2009-08-24T00:20:07Z,0.9\n"
    inputs = {"picks": {"value": text, "mediaType": "text/csv"}}
    with pytest.raises(InvalidSetting, match="'waveforms' is missing"):
        run({"process": "pickers.aic", "inputs": inputs})


def test_data_that_do_not_fit_are_named(folder):
    with pytest.raises(BadInput, match=r"stations\.csv: holds Stations"):
        run(call({"path": str(folder / "stations.csv")}))


def test_changed_file_is_refused(folder):
    path = files(folder)[0]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    run(call({"path": str(path), "sha256": digest}))
    with pytest.raises(BadInput, match="has changed"):
        run(call({"path": str(path), "sha256": "0" * 64}))


def test_one_broken_file_of_several_is_a_notice_and_all_of_them_an_error(folder):
    broken = folder / "waves" / "broken.mseed"
    broken.write_bytes(b"000001D " + b"\xff" * 500)
    result = run(call({"path": "waves"}), Policy(base=folder))
    assert [said.subject for said in result.notices] == [str(broken)]
    assert not result.complete
    with pytest.raises(UnreadableFile, match=r"broken\.mseed"):
        run(call({"path": str(broken)}))


def test_empty_selection_is_no_data():
    with pytest.raises(NoData, match=r"XX\.NONE"):
        run(call({"selection": "XX.NONE..HHZ@2020-01-01/2020-01-02"}), Policy(sources=[Memory()]))


def test_notices_and_progress_are_passed_on_as_they_come(folder):
    stream = obspy.read()
    stream[0].data[:] = 0
    (folder / "zero.mseed").write_bytes(wire.encode(stream))
    heard = []
    result = run(call({"path": str(folder / "zero.mseed")}), on_notice=heard.append)
    assert heard == result.notices
    assert any("BW.RJOB..EHZ" in said.subject for said in heard)


def test_a_call_and_its_result_can_be_sent_to_another_process(folder):
    result = run(pickle.loads(pickle.dumps(call({"path": "waves"}))), Policy(base=folder))
    again = pickle.loads(pickle.dumps(result))
    assert again.canonical() == result.canonical()
    assert pickle.loads(pickle.dumps(Policy.web(Settings()))) == Policy.web(Settings())


def test_folder_of_results_appears_whole_and_is_never_overwritten(folder, tmp_path):
    result = run(call({"path": "waves"}), Policy(base=folder))
    target = tmp_path / "out"
    written = write_results(result, target, [{"event": "done"}])
    assert [path.name for path in written] == ["result.csv"]
    assert sorted(path.name for path in target.iterdir()) == ["log.jsonl", "provenance.json", "result.csv"]
    record = json.loads((target / "provenance.json").read_text())
    assert record["run_key"] == result.run_key
    assert record["outputs"]["result"] == wire.fingerprint(result.value)
    assert record["call"]["process"] == "triggers.sta_lta"
    assert wire.canonical(wire.read(target / "result.csv")) == result.canonical()["result"]
    with pytest.raises(InvalidSetting, match="exists already"):
        write_results(result, target, [])
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_result_is_written_in_the_form_that_the_call_asks_for(folder, tmp_path):
    asked = Call(
        process="triggers.sta_lta",
        inputs={"waveforms": {"path": "waves"}, **SETTINGS},
        outputs={"result": {"format": {"mediaType": "application/json"}}},
    )
    written = write_results(run(asked, Policy(base=folder)), tmp_path / "out", [])
    assert [path.name for path in written] == ["result.json"]


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "picks.csv"
    path.write_text("old")

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_output(Picks(), path)
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["picks.csv"]


def test_output_has_usual_permissions_and_a_known_suffix(tmp_path):
    path = tmp_path / "triggers.csv"
    write_output(Triggers(), path)
    fresh = tmp_path / "fresh"
    fresh.touch()
    assert path.stat().st_mode == fresh.stat().st_mode
    with pytest.raises(InvalidSetting, match=r"\.csv"):
        write_output(Triggers(), tmp_path / "triggers.docx")
    with pytest.raises(InvalidSetting, match="does not exist"):
        write_output(Triggers(), tmp_path / "nowhere" / "triggers.csv")
