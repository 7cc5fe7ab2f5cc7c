"""Waveforms made ready: whatever comes in, gapless finite segments come out, and nothing is invented."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from obspy import Stream, Trace, UTCDateTime

from workbench.errors import NoData
from workbench.kernels._segments import by_channel, segments, to_stream
from workbench.notices import listen

START = UTCDateTime(2020, 1, 1)


def trace(data, *, at=0.0, rate=100.0, name="A"):
    header = {"network": "XX", "station": name, "channel": "HHZ", "sampling_rate": rate}
    return Trace(data, {**header, "starttime": START + at})


def heard_segments(*traces, **settings):
    with listen() as heard:
        try:
            found = segments(Stream(list(traces)), **settings)
        except NoData:
            found = []
    return found, [str(item) for item in heard.notices]


def wave(n, seed=0):
    return np.random.default_rng(seed).integers(-1000, 1000, n).astype(np.int32)


@given(
    cuts=some.lists(some.tuples(some.integers(0, 300), some.integers(1, 150)), min_size=1, max_size=6),
    shuffle=some.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None)
def test_any_cutting_into_overlapping_pieces_gives_the_covered_samples_back(cuts, shuffle):
    data = wave(450)
    traces = [trace(data[first : first + n], at=first / 100) for first, n in cuts]
    shuffle.shuffle(traces)
    found, said = heard_segments(*traces)
    covered = np.zeros(450, bool)
    for first, n in cuts:
        covered[first : first + n] = True
    got = np.zeros(450, bool)
    for segment in found:
        first = round(segment.sample_at(START.ns) * -1)
        np.testing.assert_array_equal(segment.data, data[first : first + len(segment.data)])
        assert not got[first : first + len(segment.data)].any()
        got[first : first + len(segment.data)] = True
    # Only a single sample by itself may be missing, and then it is named.
    alone = covered & ~np.r_[False, covered[:-1]] & ~np.r_[covered[1:], False]
    np.testing.assert_array_equal(got, covered & ~alone)
    assert bool(said) == bool(alone.any())


@given(
    pieces=some.lists(
        some.tuples(some.integers(0, 60), some.integers(1, 60), some.integers(0, 2)), min_size=1, max_size=5
    ),
    order=some.permutations(range(5)),
)
@settings(max_examples=80, deadline=None)
def test_conflicting_versions_do_not_depend_on_the_order_of_traces(pieces, order):
    traces = [trace(wave(200, seed)[first : first + n], at=first / 100) for first, n, seed in pieces]
    again = [traces[i] for i in order if i < len(traces)]
    first, second = heard_segments(*traces), heard_segments(*again)
    assert [(s.start, s.data.tolist()) for s in first[0]] == [(s.start, s.data.tolist()) for s in second[0]]
    assert sorted(first[1]) == sorted(second[1])
    for segment in first[0]:
        for i in range(len(segment.data)):
            position = round(-segment.sample_at(START.ns)) + i
            covering = {seed for a, n, seed in pieces if a <= position < a + n}
            assert len(covering) == 1
            assert segment.data[i] == wave(200, covering.pop())[position]


@given(
    bad=some.lists(some.sampled_from([np.nan, np.inf, -np.inf, 1e200]), min_size=1, max_size=8),
    where=some.lists(some.integers(0, 99), min_size=8, max_size=8, unique=True),
)
@settings(max_examples=50, deadline=None)
def test_impossible_samples_are_gaps(bad, where):
    data = wave(100).astype(float)
    clean = data.copy()
    data[where[: len(bad)]] = bad
    found, said = heard_segments(trace(data))
    assert any("XX.A..HHZ: has" in text and "NaN" in text for text in said)
    for segment in found:
        first = round(-segment.sample_at(START.ns))
        np.testing.assert_array_equal(segment.data, clean[first : first + len(segment.data)])
        assert not set(range(first, first + len(segment.data))) & set(where[: len(bad)])


def test_masked_samples_are_gaps():
    data = np.ma.array(wave(300), mask=np.zeros(300, bool))
    data.mask[100:150] = True
    found, said = heard_segments(trace(data))
    assert [(s.start - START.ns, len(s.data)) for s in found] == [(0, 100), (1_500_000_000, 150)]
    assert said == []


def test_conflicting_overlap_is_left_out_and_named():
    data = wave(300)
    other = data[100:].copy()
    other[20] += 1
    found, said = heard_segments(trace(data[:200]), trace(other, at=1.0))
    assert [(round(-s.sample_at(START.ns)), len(s.data)) for s in found] == [(0, 100), (200, 100)]
    assert said == [
        "XX.A..HHZ: holds different versions of 100 samples from 2020-01-01T00:00:01.000000Z. "
        "All are left out over the overlap; check the archive with 'workbench archive check'."
    ]


def test_overlap_on_a_shifted_grid_keeps_the_earlier_samples():
    early, late = wave(200), wave(200, 1)
    found, said = heard_segments(trace(early), trace(late, at=1.004))
    assert [len(s.data) for s in found] == [200, 100]
    np.testing.assert_array_equal(found[0].data, early)
    np.testing.assert_array_equal(found[1].data, late[100:])
    assert found[1].start == START.ns + 2_004_000_000
    assert "shifted time grid" in said[0]


def test_a_shifted_piece_inside_another_does_not_hide_what_follows():
    data = wave(400)
    found, _ = heard_segments(trace(data[:300]), trace(wave(50, 1), at=0.504), trace(data[300:], at=3.0))
    assert len(found) == 1
    np.testing.assert_array_equal(found[0].data, data)


def test_mixed_rates_are_kept_apart_and_named():
    found, said = heard_segments(trace(wave(300)), trace(wave(60), rate=20.0))
    assert [(s.rate, len(s.data)) for s in found] == [(20.0, 60), (100.0, 300)]
    assert said == [
        "XX.A..HHZ: has several sampling rates (20, 100 Hz). "
        "Each is worked on by itself; check the digitiser's settings."
    ]


def test_rates_that_differ_by_rounding_are_one():
    data = wave(300)
    found, said = heard_segments(trace(data[:100]), trace(data[100:], at=1.0, rate=100.0001))
    assert [len(s.data) for s in found] == [300]
    assert said == []


@pytest.mark.parametrize("value", [0, -148])
def test_a_filled_gap_is_a_gap_and_named(value):
    data = wave(1000)
    data[300:600] = value
    found, said = heard_segments(trace(data))
    assert [len(s.data) for s in found] == [300, 400]
    assert f"keeps one value ({value}) at 2020-01-01T00:00:03" in said[0]
    assert "for 3 s in all" in said[0]
    kept, quiet = heard_segments(trace(data), flat=True)
    assert [len(s.data) for s in kept] == [1000]
    assert quiet == []


def test_a_quiet_coarse_recording_is_not_a_filled_gap():
    data = np.repeat(wave(40) % 2, 25)
    found, said = heard_segments(trace(data))
    assert [len(s.data) for s in found] == [1000]
    assert said == []


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (trace(np.zeros(500, np.int32)), "keeps one value (0)"),
        (trace(np.full(10, 7)), "keeps one value (7)"),
        (trace(np.array([5])), "has a part of only 1 sample"),
        (trace(np.array([], dtype=np.int32)), "has no samples"),
        (trace(np.full(100, np.nan)), "has 100 samples that are NaN"),
        (trace(np.ma.array(wave(50), mask=True)), "has no samples"),
        (trace(np.ones(100, complex)), "has samples of type complex128"),
        (trace(np.zeros(100, bool)), "has samples of type bool"),
        (trace(wave(100), rate=0.0), "has the sampling rate 0 Hz"),
        (trace(wave(100), name="A.B"), "has a dot inside one of its codes"),
    ],
)
def test_a_bad_channel_is_named_and_spoils_no_other(bad, problem):
    found, said = heard_segments(bad, trace(wave(100), name="GOOD"))
    assert [s.id for s in found] == ["XX.GOOD..HHZ"]
    assert any(text.startswith(f"{bad.id}: {problem}") for text in said)
    with listen(), pytest.raises(NoData, match="1 channels: hold no usable samples"):
        segments(Stream([bad]))


def test_nothing_at_all_is_no_data():
    with pytest.raises(NoData, match="the waveforms: hold no usable samples"):
        segments(Stream())


def test_short_parts_are_counted_not_listed():
    traces = [trace(wave(20), at=n) for n in range(30)]
    found, said = heard_segments(*traces, trace(wave(200), at=40), min_seconds=1.0)
    assert [len(s.data) for s in found] == [200]
    assert said == [
        "XX.A..HHZ: has 30 parts of at most 20 samples at 2020-01-01T00:00:00.000000Z. "
        "It is left out: at least 1 s without a gap are needed."
    ]


@pytest.mark.parametrize(
    ("dtype", "want"),
    [(np.int16, np.int32), (np.int32, np.int32), (np.int64, np.int32), (np.float32, np.float64)],
)
def test_types_become_int32_or_float64(dtype, want):
    assert heard_segments(trace(wave(100).astype(dtype)))[0][0].data.dtype == want


def test_integers_beyond_32_bits_become_floats_unharmed():
    data = wave(100).astype(np.int64) + 2**40
    found = heard_segments(trace(data))[0][0]
    assert found.data.dtype == np.float64
    np.testing.assert_array_equal(found.data, data)


def test_the_input_is_not_changed():
    data = np.ma.array(wave(300).astype(float), mask=np.arange(300) == 7)
    given_in = Stream([trace(data), trace(wave(100), at=1.0)])
    before = given_in.copy()
    with listen():
        segments(given_in)
    for ours, theirs in zip(given_in, before, strict=True):
        assert ours.stats == theirs.stats
        np.testing.assert_array_equal(np.ma.getdata(ours.data), np.ma.getdata(theirs.data))
        np.testing.assert_array_equal(np.ma.getmaskarray(ours.data), np.ma.getmaskarray(theirs.data))


def test_windows_and_times():
    segment = heard_segments(trace(wave(300)))[0][0]
    part = segment.window(START.ns + 1_000_000_000, START.ns + 1_995_000_000)
    assert part.start == START.ns + 1_000_000_000
    np.testing.assert_array_equal(part.data, segment.data[100:200])
    assert segment.window(START.ns + 10**10, START.ns + 2 * 10**10) is None
    assert segment.end == START.ns + 2_990_000_000
    assert segment.station == "XX.A"


def test_the_stream_of_segments_has_their_headers():
    found, _ = heard_segments(trace(wave(300)), trace(wave(100), name="B"))
    stream = to_stream(found, unit="mm", processing="did something")
    assert [str(t.id) for t in stream] == ["XX.A..HHZ", "XX.B..HHZ"]
    assert stream[0].stats.starttime == START
    assert stream[0].stats.unit == "mm"
    assert stream[0].stats.processing == ["did something"]
    assert list(by_channel(found)) == ["XX.A..HHZ", "XX.B..HHZ"]
    assert "unit" not in to_stream(found)[0].stats


@pytest.mark.shared
def test_gaps_of_a_recorded_channel_are_exact(shared):
    import obspy

    stream = obspy.read(str(shared("archive_mixed") / "BW.BGLD.EHE.20080101.gaps.mseed"))
    found, said = heard_segments(*stream)
    assert [len(s.data) for s in found] == [412, 824, 824, 50668]
    assert said == []


@pytest.mark.shared
def test_identical_copies_are_one(shared):
    import obspy

    stream = obspy.read(str(shared("crl_corinth20100118") / "waveforms" / "HA.LAKA.mseed"))
    assert len(stream) == 3
    found, said = heard_segments(*stream)
    assert [len(s.data) for s in found] == [10000]
    assert said == []
