"""Archives made of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.archive import Archive


@pytest.fixture
def archive_of(tmp_path: Path) -> Callable[..., Archive]:
    """Write files into an archive."""

    def make(*files: Path) -> Archive:
        archive = Archive(tmp_path / "archive")
        for file in files:
            archive.write(file)
        return archive

    return make
