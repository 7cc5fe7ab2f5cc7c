"""Build the images of the workbench: ``python images/build.py [NAME...] --docker URL --out DIR``.

Builds the named images (all of them, where none is named) and what they are
made from, each after its parent; what the daemon has already is not built
again.  Writes ``DIR/catalogue.json``, which names each image by its digest,
and a bill of materials for each.  Daemon and folder are by default those of
the deployment (WORKBENCH_DOCKER, WORKBENCH_STATE).

::

    python images/build.py                           # all
    python images/build.py user                     # the users' image alone
    python images/build.py --from-user groups/volcano
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from building import catalogue, roots
from building.engine import Engine
from building.groups import build_group
from building.recipes import RECIPES
from building.work import Build

from workbench.errors import WorkbenchError
from workbench.settings import Settings


def main() -> None:
    """Build what the command line names."""
    options = parse(sys.argv[1:])
    build = Build(
        engine=Engine(options.docker),
        out=options.out.absolute(),
        cache=options.cache.absolute(),
        root=options.root,
        slim=options.slim,
        fresh=options.fresh,
        keep=options.keep,
        say=say,
    )
    try:
        if options.from_user:
            build_group(build, options.from_user.absolute())
        else:
            build.images(options.names or RECIPES)
    except WorkbenchError as error:
        sys.exit(f"{error}")
    say(f"Wrote {options.out / catalogue.FILE}")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    settings = Settings()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}")
    parser.add_argument(
        "--docker", default=settings.docker, metavar="URL", help=f"the daemon ({settings.docker})"
    )
    state = settings.state_dir
    parser.add_argument("--out", type=Path, default=state, metavar="DIR", help=f"where to write ({state})")
    parser.add_argument("--cache", type=Path, default=caches / "seismic-workbench" / "images", metavar="DIR")
    parser.add_argument("--root", choices=["auto", "registry", "debootstrap"], default="auto")
    parser.add_argument("--slim", default=roots.SLIM, metavar="IMAGE", help="what a registry is asked for")
    parser.add_argument("--fresh", action="store_true", help="build all anew, Debian included")
    parser.add_argument("--keep", action="store_true", help="keep finished images in the cache, too")
    parser.add_argument("--from-user", type=Path, metavar="DIR", help="build a group's image from the user's")
    return parser.parse_args(arguments)


def say(words: str) -> None:
    """Say what is being done."""
    sys.stderr.write(f"{words}\n")


if __name__ == "__main__":
    main()
