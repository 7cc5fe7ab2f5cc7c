"""Figures for notebooks, in bokeh: each says what it shows, with units, and fetches nothing.

>>> from workbench import plots
>>> import obspy
>>> figure = plots.record(obspy.read())
>>> figure.yaxis[0].axis_label
'channel'
"""

from workbench.plots.heatmap import Cell, heatmap
from workbench.plots.magnitudes import station_magnitudes
from workbench.plots.maps import station_map
from workbench.plots.noise import noise
from workbench.plots.records import record, section
from workbench.plots.style import notebook, show, widget

__all__ = [
    "Cell",
    "heatmap",
    "noise",
    "notebook",
    "record",
    "section",
    "show",
    "station_magnitudes",
    "station_map",
    "widget",
]
