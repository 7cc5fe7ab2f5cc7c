"""Waveforms as bytes: what comes back, and what names them."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy import Stream, Trace, UTCDateTime

from workbench import wire
from workbench.errors import BadInput
from workbench.notices import listen
from workbench.wire import waveforms

START = UTCDateTime(2020, 2, 29, 23, 59, 50)


def trace(data, channel="HHZ", start=START, rate=100.0, station="ABC") -> Trace:
    header = {
        "network": "XX",
        "station": station,
        "channel": channel,
        "starttime": start,
        "sampling_rate": rate,
    }
    return Trace(np.asanyarray(data), header)


counts = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=200).map(
    lambda values: np.array(values, dtype=np.int32)
)
reals = st.lists(st.floats(width=64, allow_nan=False), min_size=1, max_size=50).map(np.array)
singles = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=50).map(
    lambda values: np.array(values, dtype=np.float32)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(counts | reals | singles, st.sampled_from(["HHZ", "HHN", "BHZ"])), max_size=4))
def test_canonical_bytes_come_back_as_the_same_samples(parts):
    stream = Stream([trace(data, channel, START + 100 * i) for i, (data, channel) in enumerate(parts)])
    back = waveforms.read(waveforms.canonical(stream), "x", "MSEED") if parts else Stream()
    assert waveforms.fingerprint(back) == waveforms.fingerprint(stream)
    assert waveforms.canonical(back) == waveforms.canonical(stream)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(6)), st.integers(1, 299))
def test_order_and_cuts_of_traces_do_not_matter(order, cut):
    rng = np.random.default_rng(0)
    data = [rng.integers(-99, 99, 300).astype(np.int32) for _ in range(3)]
    whole = Stream(
        [trace(values, channel) for values, channel in zip(data, ("HHZ", "HHN", "HHE"), strict=True)]
    )
    halves = [
        half
        for one in whole
        for half in (
            trace(one.data[:cut], one.stats.channel),
            trace(one.data[cut:], one.stats.channel, START + cut / 100),
        )
    ]
    shuffled = Stream([halves[i] for i in order])
    assert waveforms.canonical(shuffled) == waveforms.canonical(whole)
    assert waveforms.fingerprint(shuffled) == waveforms.fingerprint(whole)


def test_one_file_given_twice_is_the_same_data():
    stream = Stream([trace(np.arange(100))])
    assert waveforms.fingerprint(stream + stream.copy()) == waveforms.fingerprint(stream)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: setattr(one, "data", one.data + 1),
        lambda one: setattr(one.stats, "starttime", one.stats.starttime + 1e-6),
        lambda one: setattr(one.stats, "sampling_rate", 99.0),
        lambda one: setattr(one.stats, "location", "00"),
        lambda one: setattr(one, "data", one.data.astype(np.float64)),
    ],
)
def test_fingerprint_sees_samples_time_rate_id_and_type(change):
    one = trace(np.arange(100, dtype=np.int32))
    before = waveforms.fingerprint(Stream([one]))
    change(one)
    assert waveforms.fingerprint(Stream([one])) != before


def test_reading_history_does_not_matter():
    one = trace(np.arange(1000, dtype=np.int32))
    out = io.BytesIO()
    Stream([one]).write(out, format="MSEED", encoding="INT32", reclen=256)
    back = wire.read(out.getvalue(), "Waveforms")
    back[0].stats.mseed.dataquality = "Q"
    back[0].stats.processing = ["filtered by hand"]
    assert waveforms.canonical(back) == waveforms.canonical(Stream([one]))


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool"])
def test_whole_numbers_go_down_to_32_bits(kind):
    one = trace(np.array([0, 1, 1, 0], dtype=kind))
    back = wire.read(waveforms.canonical(Stream([one])), "Waveforms")
    assert back[0].data.dtype == np.int32
    assert back[0].data.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("values", [[2**31], [-(2**31) - 1], [0, 2**40]])
def test_more_than_32_bits_are_refused_by_channel(values):
    with pytest.raises(BadInput, match=r"XX\.ABC\.\.HHZ.*32 bits"):
        waveforms.canonical(Stream([trace(np.array(values, dtype=np.int64))]))


def test_complex_samples_are_refused_by_channel():
    with pytest.raises(BadInput, match=r"XX\.ABC\.\.HHZ"):
        waveforms.canonical(Stream([trace(np.array([1 + 2j]))]))


def test_masked_samples_become_a_gap():
    data = np.ma.array(np.arange(10, dtype=np.int32), mask=[0, 0, 0, 1, 1, 0, 0, 0, 0, 0])
    back = wire.read(waveforms.canonical(Stream([trace(data)])), "Waveforms")
    assert [piece.data.tolist() for piece in back] == [[0, 1, 2], [5, 6, 7, 8, 9]]
    assert back[1].stats.starttime == START + 0.05


def test_wholly_masked_trace_is_nothing():
    stream = Stream([trace(np.ma.array([1, 2], mask=True)), trace(np.array([], dtype=np.int32))])
    assert waveforms.canonical(stream) == b""


def test_nan_keeps_its_place():
    stream = Stream([trace(np.array([1.0, np.nan, 3.0]))])
    back = wire.read(waveforms.canonical(stream), "Waveforms")
    np.testing.assert_array_equal(back[0].data, stream[0].data)
    assert waveforms.fingerprint(back) == waveforms.fingerprint(stream)


def test_log_channel_is_no_waveform():
    log = trace(np.frombuffer(b"battery low\r\n", dtype="S1"), "LOG", rate=1.0)
    one = trace(np.arange(100, dtype=np.int32))
    out = io.BytesIO()
    for item in (log, one):
        Stream([item]).write(out, format="MSEED")
    with listen() as heard:
        back = wire.read(out.getvalue(), "Waveforms")
    assert [item.stats.channel for item in back] == ["HHZ"]
    assert [(said.subject, said.loss) for said in heard.notices] == [("XX.ABC..LOG", False)]
    assert waveforms.fingerprint(Stream([log, one])) == waveforms.fingerprint(back)


def test_input_is_not_changed():
    data = np.ma.array(np.arange(10, dtype=np.int64), mask=[0] * 9 + [1])
    stream = Stream([trace(data, "HHN"), trace(np.arange(5), "HHE")])
    before = stream.copy()
    for media in waveforms.MEDIA:
        waveforms.encode(stream, media)
    waveforms.fingerprint(stream)
    assert stream == before
    assert [one.data.dtype for one in stream] == [one.data.dtype for one in before]


def test_json_comes_back_and_csv_has_a_line_a_sample():
    stream = Stream([trace(np.arange(5, dtype=np.int32)), trace(np.array([0.1, -2.5]), "HHN")])
    back = wire.read(waveforms.encode(stream, "application/json"), "Waveforms")
    assert waveforms.fingerprint(back) == waveforms.fingerprint(stream)
    lines = waveforms.encode(stream, "text/csv").decode().splitlines()
    assert lines[1] == "XX.ABC..HHN,2020-02-29T23:59:50.000000Z,0.1"
    assert len(lines) == 8


@pytest.mark.parametrize("form", ["SAC", "SLIST", "TSPAIR", "GSE2", "WAV", "SEGY", "SU"])
@pytest.mark.filterwarnings("ignore:CREATING TRACE HEADER")
def test_other_forms_of_obspy_are_known_by_their_content(form, tmp_path):
    path = tmp_path / "misleading.xml"
    data = (np.sin(np.arange(500) / 10) * 1000).astype(
        np.float32 if form in ("SEGY", "SU", "SAC") else np.int32
    )
    one = trace(data)
    extra = {"WAV": {"framerate": 100}, "SEGY": {"data_encoding": 5}}
    Stream([one]).write(str(path), format=form, **extra.get(form, {}))
    assert wire.sniff(path.read_bytes()) == ("Waveforms", form)
    back = wire.read(path, "Waveforms")
    np.testing.assert_allclose(back[0].data, one.data)


def test_gzip_is_unpacked(shared):
    path = next((shared("coincidence_unterhaching2010") / "waveforms").glob("BW.UH1*"))
    found = wire.read_all(path)
    assert [datum.noun for datum in found] == ["Waveforms"]
    assert wire.fingerprint(found[0].value) == wire.fingerprint(wire.read(gzip.decompress(path.read_bytes())))


def test_sample_counts_and_gaps_of_recordings_are_exact(shared):
    folder = shared("archive_mixed")
    gaps = wire.read(folder / "BW.BGLD.EHE.20080101.gaps.mseed", "Waveforms")
    assert sorted(piece.stats.npts for piece in gaps) == [412, 824, 824, 50668]
    day = wire.read(folder / "TA.C26K.BHZ.2018.224.mseed", "Waveforms")
    assert [piece.stats.npts for piece in day] == [3456001]
