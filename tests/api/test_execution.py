"""Executing processes over HTTP: the answers, the forms of them, and all that can be wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import obspy
import pytest

import ogc
import workbench as wb
from serving import LIMIT, miniseed, served, settings
from workbench import wire
from workbench_api import app
from workbench_api.runners import Local
from workbench_hub.health import wait_for

PATH = "/processes/triggers.sta_lta/execution"


def asking(stream):
    """Return a request for the triggers of a stream."""
    return {"inputs": {"waveforms": {"value": miniseed(stream)}, "sta": 0.5, "lta": 5.0}}


def refused(answer, status, *words):
    """Check that an answer is a problem that says what is wrong."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    ogc.check(problem, ogc.PROBLEM)
    assert "Traceback" not in answer.text
    for word in words:
        assert word in problem["detail"], problem["detail"]


def test_gives_the_same_bytes_as_a_call_from_python(client, body):
    answer = client.post(PATH, json=body)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    expected = wb.triggers.sta_lta(obspy.read(), sta=0.5, lta=5.0)
    assert answer.content == wire.encode(expected)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "text/csv"),
        ("text/csv", "text/csv"),
        ("image/png, */*;q=0.1", "image/png"),
        ("image/*;q=0.1, text/csv", "text/csv"),
        ("", "text/csv"),
        ("nonsense", "text/csv"),
    ],
)
def test_raw_answers_have_the_form_that_is_accepted(client, body, accept, media):
    answer = client.post(PATH, json=body, headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].split(";")[0] == media
    if media == "image/png":
        assert answer.content.startswith(b"\x89PNG")


def test_documents_hold_each_output_by_name(client, body):
    for way in ({"headers": {"Accept": "application/json"}}, {"response": "document"}):
        asked = {**body, **{key: value for key, value in way.items() if key == "response"}}
        answer = client.post(PATH, json=asked, headers=way.get("headers"))
        content = answer.json()
        assert set(content) == {"result"}
        assert content["result"]["mediaType"] == "text/csv"
        assert content["result"]["value"].startswith("time,duration_s,n_stations,stations")


def test_an_output_can_be_asked_for_in_a_form(client, body):
    asked = {
        **body,
        "outputs": {"result": {"format": {"mediaType": "application/json"}}},
        "response": "document",
    }
    content = client.post(PATH, json=asked).json()
    assert content["result"]["value"]["noun"] == "Triggers"
    asked["outputs"]["result"]["format"]["mediaType"] = "application/pdf"
    refused(client.post(PATH, json=asked), 400, "application/pdf", "text/csv")


def test_waveforms_come_back_as_miniseed(client, waveforms):
    asked = {"inputs": {"waveforms": waveforms, "freqmin": 1.0, "freqmax": 10.0}}
    answer = client.post("/processes/waveforms.filter/execution", json=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/vnd.fdsn.mseed"
    assert len(obspy.read(io.BytesIO(answer.content))) == 3
    document = client.post(
        "/processes/waveforms.filter/execution", json={**asked, "response": "document"}
    ).json()
    assert document["result"]["encoding"] == "base64"
    assert base64.b64decode(document["result"]["value"]) == answer.content


def test_the_preference_for_async_is_honoured_by_running_at_once(client, body):
    # All processes say sync-execute only, and the standard then has them run so whatever is preferred.
    for preference in ("respond-async", "respond-sync", "respond-async, wait=5"):
        answer = client.post(PATH, json=body, headers={"Prefer": preference})
        assert answer.status_code == 200
        assert "Preference-Applied" not in answer.headers


def test_several_files_of_one_input_are_merged(client):
    parts = [{"value": miniseed(obspy.Stream([trace]))} for trace in obspy.read()]
    answer = client.post(PATH, json={"inputs": {"waveforms": parts, "sta": 0.5, "lta": 5.0}})
    whole = client.post(
        PATH, json={"inputs": {"waveforms": {"value": miniseed(obspy.read())}, "sta": 0.5, "lta": 5.0}}
    )
    assert answer.content == whole.content


def test_what_was_left_out_is_said(client):
    stream = obspy.read()
    stream[0].data = np.zeros_like(stream[0].data)
    answer = client.post(
        PATH, json={"inputs": {"waveforms": {"value": miniseed(stream)}, "sta": 0.5, "lta": 5.0}}
    )
    assert answer.status_code == 200
    notices = json.loads(answer.headers["Workbench-Notices"])
    assert notices[0]["subject"].startswith("BW.RJOB")
    assert answer.headers["Workbench-Run-Key"]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, ["waveforms", "missing"]),
        ({"sta": 1}, ["waveforms"]),
        ({"waveforms": "GR.FUR"}, ["waveforms"]),
        ({"waveforms": []}, ["waveforms"]),
        ({"waveforms": {}}, ["waveforms"]),
        ({"waveforms": {"path": "/etc/passwd"}}, ["path", "not taken here"]),
        ({"waveforms": {"value": ""}}, ["empty"]),
        ({"waveforms": {"value": 17}}, ["no text"]),
        ({"waveforms": {"selection": "nonsense"}}, ["nonsense"]),
        ({"waveforms": {"selection": "A.B.C.D@2020-01-02/2020-01-01"}}, ["ends before it starts"]),
        ({"waveforms": {"selection": "../../x.B.C.D@2020-01-01/2020-01-02"}}, []),
    ],
)
def test_wrong_data_are_refused_before_anything_runs(inputs, words):
    class Never(Local):
        async def run(self, request, seconds):
            raise AssertionError("this must not run")

    with served(app.create(settings(), runner=Never(1))) as client:
        refused(client.post(PATH, json={"inputs": inputs}), 400, *words)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sta": -1}, ["sta"]),
        ({"sta": "1 s"}, ["sta"]),
        ({"sta": None}, ["sta"]),
        ({"stq": 1}, ["stq", "did you mean 'sta'"]),
        ({"kind": "carl"}, ["kind", "recursive"]),
        ({"on": [1, 2]}, ["on"]),
    ],
)
def test_wrong_settings_are_named(client, body, given, words):
    refused(client.post(PATH, json={"inputs": {**body["inputs"], **given}}), 400, *words)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"17",
        b"null",
        b'{"inputs": 3}',
        b'{"inputs": {"sta": NaN}}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"outputs": []}',
    ],
)
def test_a_body_that_is_no_request_is_refused(client, content):
    refused(client.post(PATH, content=content, headers={"Content-Type": "application/json"}), 400)


def test_wrong_ways_to_answer_are_refused(client, body):
    refused(client.post(PATH, json={**body, "response": "later"}), 400, "later")
    refused(client.post(PATH, json={**body, "outputs": {"nothing": {}}}), 400, "nothing", "result")
    refused(client.post(PATH, json=body, headers={"Accept": "application/pdf"}), 406, "text/csv")


def test_bytes_that_are_no_waveforms_are_named(client):
    junk = base64.b64encode(bytes(range(256)) * 40).decode()
    refused(client.post(PATH, json={"inputs": {"waveforms": {"value": junk}}}), 422, "waveforms")
    text = base64.b64encode(b"network,station\nXX,A\n").decode()
    refused(client.post(PATH, json={"inputs": {"waveforms": {"value": text}}}), 422, "waveforms")


def test_a_body_that_is_too_large_is_refused_early(client):
    large = b" " * (LIMIT + 1)
    refused(client.post(PATH, content=large), 413, str(LIMIT))

    def pieces():
        for _ in range(LIMIT // 2**16 + 2):
            yield b" " * 2**16

    refused(client.post(PATH, content=pieces()), 413, str(LIMIT))


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:22/",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "https://example.org/x.mseed",
        "http://127.0.0.1@example.org/",
        "http://127.0.0.1/../../etc/passwd",
        "gopher://127.0.0.1/",
        "//127.0.0.1/x",
        "http://127.0.0.1.example.org/",
    ],
)
def test_links_lead_nowhere_but_where_they_may(client, link):
    refused(client.post(PATH, json={"inputs": {"waveforms": {"href": link}}}), 400, "not allowed")


def test_an_empty_selection_says_so(client):
    asked = {"inputs": {"waveforms": {"selection": "XX.NONE..HHZ@2020-01-01/2020-01-02"}}}
    refused(client.post(PATH, json=asked), 422, "XX.NONE")


def test_calls_at_the_same_time_never_mix_their_answers(client):
    """Each of 64 requests has waveforms of its own name, and gets triggers of that name."""
    original = obspy.read()

    def ask(number):
        stream = original.copy()
        for trace in stream:
            trace.stats.station = f"S{number:03d}"
        return number, client.post(PATH, json=asking(stream)).text

    with ThreadPoolExecutor(16) as threads:
        for number, text in threads.map(ask, range(64)):
            rows = text.splitlines()[1:]
            assert len(rows) == 3
            assert all(f"BW.S{number:03d}" in row for row in rows)


def test_a_kernel_that_kills_its_process_costs_its_own_call_alone(body, tmp_path):
    """The process of one call dies while another waits for its answer; that one gets it."""

    class Deadly(Local):
        def __init__(self):
            super().__init__(2)
            self._isolated.target = "deadly:work"

    (tmp_path / "deadly.py").write_text(
        "import os\nfrom workbench.jobs import work as real\n"
        "def work(request):\n"
        "    if request['call']['inputs']['sta'] == 0.25:\n        os.abort()\n"
        "    return real.work(request)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        with served(app.create(settings(), runner=Deadly())) as client:
            deadly = {"inputs": {**body["inputs"], "sta": 0.25}}
            with ThreadPoolExecutor(8) as threads:
                answers = list(threads.map(lambda asked: client.post(PATH, json=asked), [body, deadly] * 4))
            for answer in answers[0::2]:
                assert answer.status_code == 200
            for answer in answers[1::2]:
                refused(answer, 500, "SIGABRT")


def test_a_call_that_takes_too_long_is_ended(body):
    class Slow(Local):
        def __init__(self):
            super().__init__(1)
            self._isolated.target = "time:sleep"

        async def run(self, request, seconds):
            return await super().run(30, seconds)

    with served(app.create(settings(sync_seconds=0.5), runner=Slow())) as client:
        refused(client.post(PATH, json=body), 413, "0.5 s")


class Waiting:
    """A runner whose calls never end, and that knows how many are under way."""

    def __init__(self):
        self.under_way = 0
        self.dropped = threading.Event()

    async def run(self, request, seconds):
        self.under_way += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.under_way -= 1
            self.dropped.set()

    async def ready(self):
        return True

    async def close(self):
        pass


def test_a_call_whose_client_goes_away_is_dropped(body):
    runner = Waiting()
    with served(app.create(settings(), runner=runner)) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post(PATH, json=body, timeout=1)
        assert runner.dropped.wait(10)
        assert client.get("/health").status_code == 200


def test_more_calls_than_can_wait_are_refused_at_once(body):
    runner = Waiting()
    with (
        served(app.create(settings(), runner=runner)) as client,
        ThreadPoolExecutor(64) as threads,
    ):

        def ask(_):
            with httpx.Client(base_url=client.base_url) as own, contextlib.suppress(httpx.ReadTimeout):
                own.post(PATH, json=body, timeout=8)

        asked = [threads.submit(ask, number) for number in range(64)]
        wait_for(lambda: runner.under_way == 64, 7, "all calls")
        answer = client.post(PATH, json=body)
        refused(answer, 503, "too many")
        assert answer.headers["Retry-After"]
        for future in asked:
            future.result()
