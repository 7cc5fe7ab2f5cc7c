"""Bytes that mean harm: nothing is run, followed, opened or blown up."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import pickle
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy import Stream, Trace

from workbench import wire
from workbench.errors import ResourceExceeded, UnreadableFile, WorkbenchError
from workbench.wire import plugins
from workbench.wire.archives import unpack


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was loaded",))


class BombStream(Stream):
    def __reduce__(self):
        return (pytest.fail, ("the pickle was loaded: obspy.core.stream",))


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("victim", [Bomb(), BombStream([Trace(np.arange(5))])])
def test_pickles_are_never_loaded(protocol, victim):
    data = pickle.dumps(victim, protocol)
    for content in (data, gzip.compress(data), b"obspy.core.stream" + data):
        with pytest.raises(UnreadableFile):
            wire.read_all(content)


def test_honest_pickle_of_a_stream_is_refused_too():
    out = io.BytesIO()
    Stream([Trace(np.arange(5))]).write(out, format="PICKLE")
    with pytest.raises(UnreadableFile):
        wire.read_all(out.getvalue())
    with pytest.raises(UnreadableFile, match="not read"):
        plugins.read("waveform", out.getvalue(), "PICKLE", "a.pickle")


def test_text_that_is_a_url_or_a_pattern_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.mseed").write_bytes(b"not for you")
    for text in (b"https://examples.obspy.org/test.mseed", b"*.mseed", b"/etc/passwd", b"secret.mseed"):
        with pytest.raises(UnreadableFile):
            wire.read_all(text)


def test_list_of_file_names_is_not_opened(tmp_path):
    line = (
        f"ABC    HHZ       1200000000.00000        1       1 2008001 1200000010.00000     1000"
        f"  100.0000000         1.00000       -1.00000 -      o s4 - {tmp_path!s:<64} secret.w"
        "                                  0       -1 12-OCT-95 00:00:00\n"
    )
    with pytest.raises(UnreadableFile):
        wire.read_all(line.encode())


ENTITY = b'<!ENTITY a "aaaaaaaaaa">'
XML = {
    "bomb": b'<?xml version="1.0"?><!DOCTYPE q [' + ENTITY + b"]><q:quakeml>&a;</q:quakeml>",
    "file": b'<!DOCTYPE q [<!ENTITY x SYSTEM "file:///etc/passwd">]><FDSNStationXML>&x;</FDSNStationXML>',
    "late": b"<FDSNStationXML>" + b" " * 100_000 + b"<!DOCTYPE q [" + ENTITY + b"]></FDSNStationXML>",
    "bom": b'\xef\xbb\xbf\n<!DOCTYPE q [<!ENTITY x SYSTEM "http://127.0.0.1/">]><q:quakeml>&x;</q:quakeml>',
    "utf-7": b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE q+AD4-<quakeml/>',
    "utf-16": '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE q><quakeml/>'.encode("utf-16"),
    "ebcdic": '<?xml version="1.0" encoding="IBM037"?><quakeml/>'.encode("cp037"),
}


@pytest.mark.parametrize("name", XML)
def test_xml_with_entities_or_a_hidden_encoding_is_refused(name):
    with pytest.raises(UnreadableFile):
        wire.read_all(XML[name], name)


def test_deep_and_broken_xml_is_refused_by_name():
    for content in (b"<quakeml>" + b"<a>" * 100_000, b"<FDSNStationXML", b'<FDSNStationXML xmlns="">x'):
        with pytest.raises(UnreadableFile, match=r"deep\.xml"):
            wire.read_all(content, "deep.xml")


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(bytes(10_000_000)),
        bz2.compress(bytes(10_000_000)),
        zipped({"a": bytes(600_000), "b": bytes(600_000)}),
        tarred({"a": bytes(600_000), "b": bytes(600_000)}),
        gzip.compress(gzip.compress(bytes(10_000_000))),
    ],
    ids=["gzip", "bzip2", "zip", "tar", "gzip twice"],
)
def test_what_unpacks_to_too_much_is_stopped(data):
    with pytest.raises(ResourceExceeded, match=r"than \d+ bytes"):
        list(unpack(data, "bomb", 1_000_000))


def test_archives_in_archives_end():
    data = b"core"
    for _ in range(6):
        data = gzip.compress(data)
    with pytest.raises(UnreadableFile, match="in an archive"):
        list(unpack(data, "russian doll"))


def test_names_and_links_in_archives_lead_nowhere():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("../../out"), io.BytesIO())
    assert list(unpack(out.getvalue(), "a.tar")) == [("a.tar/../../out", b"")]


@pytest.mark.parametrize(
    "data",
    [
        # A header with the second of now would name the test differently in each worker of a run.
        pytest.param(gzip.compress(b"abc", mtime=0)[:-6], id="gzip"),
        pytest.param(b"PK\x03\x04broken", id="zip"),
        pytest.param(b"BZh9broken", id="bzip2"),
        pytest.param(b"\xfd7zXZ\x00x", id="xz"),
    ],
)
def test_broken_archive_is_refused_by_name(data):
    with pytest.raises(UnreadableFile, match="broken"):
        wire.read_all(data, "broken")


def test_file_over_the_limit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.mseed"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(ResourceExceeded, match=r"large\.mseed"):
        wire.read_all(path, limit=1000)


def hdf5(tmp_path, fill) -> bytes:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        fill(file)
    return path.read_bytes()


def test_hdf5_that_leads_to_other_files_is_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"for your eyes")
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = np.frombuffer(b"for your eyes", np.uint8)

    def external(file):
        file.create_group("deep").create_dataset("x", (13,), "u1", external=[(str(secret), 0, 13)])

    def link(file):
        file["x"] = h5py.ExternalLink(str(other), "/x")

    def virtual(file):
        layout = h5py.VirtualLayout((13,), "u1")
        layout[:] = h5py.VirtualSource(str(other), "x", (13,))
        file.create_virtual_dataset("x", layout)

    for fill in (external, link, virtual):
        with pytest.raises(UnreadableFile, match="another file"):
            wire.read_all(hdf5(tmp_path, fill), "a.nc")


def test_hdf5_that_holds_itself_is_no_loop(tmp_path):
    def fill(file):
        file.create_group("a")["again"] = file["/"]

    with contextlib.suppress(UnreadableFile):
        wire.read_all(hdf5(tmp_path, fill), "a.nc")


def test_few_bytes_that_claim_to_be_many_are_refused(tmp_path):
    def fill(file):
        file.create_dataset("x", (10**6, 10**6), "f8", chunks=(1000, 1000))

    with pytest.raises(ResourceExceeded, match="would unpack"):
        wire.read_all(hdf5(tmp_path, fill), "a.nc")
    xr.Dataset({"x": ("a", np.zeros(3))}).to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False)
    meta = tmp_path / "a.zarr" / "x" / "zarr.json"
    content = json.loads(meta.read_text())
    content["shape"] = [10**12]
    meta.write_text(json.dumps(content))
    with pytest.raises(ResourceExceeded, match="would unpack"):
        wire.read_all(tmp_path / "a.zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_with_a_codec_that_unpickles_is_refused(tmp_path, version):
    store = tmp_path / "a.zarr"
    xr.Dataset({"x": ("a", np.zeros(3))}).to_zarr(store, zarr_format=version, consolidated=False)
    meta = store / "x" / (".zarray" if version == 2 else "zarr.json")
    content = json.loads(meta.read_text())
    if version == 2:
        content.update(filters=[{"id": "pickle", "protocol": 5}], dtype="|O", compressor=None)
        (store / "x" / "0").write_bytes(pickle.dumps(Bomb()))
    else:
        content["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})
    meta.write_text(json.dumps(content))
    files = [path for path in store.rglob("*") if path.is_file()]
    members = {path.relative_to(store).as_posix(): path.read_bytes() for path in files}
    for source in (store, zipped(members)):
        with pytest.raises(UnreadableFile, match="pickle"):
            wire.read_all(source, "a.zarr")


@pytest.mark.parametrize(
    "head",
    [
        b'{"noun":"Picks","rows":',
        b'{"noun":"Waveforms","traces":',
        b'{"vp_km_s":',
        b'{"noun":"Triggers","x":',
        b'{"noun":"Spans","x":',
    ],
)
def test_nested_json_is_refused_by_name(head):
    with pytest.raises(UnreadableFile, match=r"deep\.json"):
        wire.read_all(head + b"[" * 200_000, "deep.json")


@pytest.mark.filterwarnings("ignore::workbench.notices.WorkbenchWarning")
@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=3000) | st.text(max_size=500).map(str.encode))
def test_noise_gives_an_error_of_ours(data):
    with contextlib.suppress(WorkbenchError):
        wire.read_all(data, "noise")


HEADS = [
    b"<?xml version='1.0'?><q:quakeml xmlns:q='http://quakeml.org/xmlns/quakeml/1.2'>",
    b"network,station,latitude,longitude,elevation_m\n",
    b"network,station,location,channel,phase,time,probability\n",
    b"#Network | Station | Latitude | Longitude | Elevation | SiteName | StartTime | EndTime\n",
    b"depth_km,vp_km_s,vs_km_s\n",
    b"TIMESERIES XX_ABC__HHZ_R, 5 samples, 100 sps, 2020-01-01T00:00:00, SLIST, INTEGER, Counts\n",
    b"WID2 2020/01/01 00:00:00.000 ABC   HHZ      CM6      5  100.000000   1.00e+00   1.000 XXXXXX\n",
    b"\x89HDF\r\n\x1a\n",
    b"CDF\x01",
    b'{"noun":"Picks","rows":[',
    b"000001V 010009402.3121970,001,00:00:00.0000~",
]


@pytest.mark.filterwarnings("ignore::workbench.notices.WorkbenchWarning")
@settings(max_examples=120, deadline=None)
@given(st.sampled_from(HEADS), st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_known_beginning_with_noise_behind_gives_an_error_of_ours_or_data(head, tail):
    with contextlib.suppress(WorkbenchError):
        wire.read_all(head + tail, "noise")


def test_a_bare_carriage_return_in_station_text_is_named():
    head = b"#Network | Station | Latitude | Longitude | Elevation | SiteName | StartTime | EndTime\n"
    with pytest.raises(WorkbenchError):
        wire.read(head + b"\r\x00", "Stations")
