"""Keep how long the tests at full size took: ``python -m benchmarks.full_size REPORT``.

The report is what pytest writes with ``--junitxml``.  A test that measures by itself says what it
measured with ``record_property("seconds", ...)``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.harness import Row, publish, write

TOPIC = "Tests at full size, by `make test-long`: how long each took"


def rows(report: str) -> list[Row]:
    """Return a row for each test that passed, in their order.

    Examples
    --------
    >>> text = '<testsuites><testcase name="test_all_come[20]" time="44.1"/></testsuites>'
    >>> [(row.what, row.ours_s) for row in rows(text)]
    [('all come: 20', 44.1)]
    """
    found = []
    for case in ElementTree.fromstring(report).iter("testcase"):
        if {"failure", "error", "skipped"} & {below.tag for below in case}:
            continue
        name, of_what = re.fullmatch(r"test_(\w+)(?:\[(.*)\])?", case.get("name", "")).groups()
        words = name.replace("_", " ") + (f": {of_what}" if of_what else "")
        measured = case.find("properties/property[@name='seconds']")
        found.append(Row(words, float(case.get("time") if measured is None else measured.get("value"))))
    return found


if __name__ == "__main__":
    publish(TOPIC, rows(Path(sys.argv[1]).read_text()))
    write()
