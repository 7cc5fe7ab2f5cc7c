"""The distance corrections of ML against published numbers."""

import numpy as np
import pandas as pd
import pytest

from workbench.maths.attenuation import hutton_boore, iaspei, tabulated


def test_hutton_boore_is_anchored_at_100_and_17_km():
    """ML 3 is 1 mm at 100 km, and, as they point out, 10 mm at 17 km."""
    assert float(hutton_boore(100.0)) == 3.0
    assert float(hutton_boore(17.0)) == pytest.approx(2.0, abs=0.02)


def test_iaspei_is_the_same_curve_in_nanometres():
    """At a gain of 2080, 1 mm on the record is 480 769 nm on the ground."""
    r = np.linspace(10, 700, 200)
    assert np.abs(np.log10(1e6 / 2080) + iaspei(r) - hutton_boore(r)).max() < 0.002


def test_a_table_is_linear_inside_and_says_nothing_outside():
    """SeisComP's default."""
    table = [(0, 1.3), (60, 2.8), (100, 3.0), (400, 4.5), (1000, 5.85)]
    assert tabulated([0, 30, 80, 250, 1000], table).tolist() == pytest.approx([1.3, 2.05, 2.9, 3.75, 5.85])
    assert np.isnan(tabulated([-1, 1001], table)).all()


@pytest.mark.shared
def test_holuhrauns_scale_as_a_table(shared):
    """Greenfield et al. (2018), from the amplitudes and distances that QuakeMigrate lists."""
    files = sorted((shared("holuhraun2014") / "reference").glob("*.amps"))
    rows = pd.concat([pd.read_csv(path) for path in files])
    rows = rows[rows["id"].str[-1].isin(["N", "E"])]
    assert len(rows) > 400
    distance = np.arange(1.0, 101.0)
    table = list(
        zip(distance, 1.2534 * np.log10(distance / 17) + 0.0032 * (distance - 17) + 2.0, strict=True)
    )
    r = np.hypot(rows["epi_dist"], rows["z_dist"])
    ours = np.log10(rows["S_amp"]) + tabulated(r, table)
    assert np.abs(ours - rows["ML"]).max() < 0.05
