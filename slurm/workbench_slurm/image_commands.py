"""``workbench-slurm image``: the images that jobs run in."""

from __future__ import annotations

from pathlib import Path

import click

from workbench.settings import Settings
from workbench_hub import supervision
from workbench_slurm.cluster import Cluster
from workbench_slurm.images import Images
from workbench_slurm.jobs import jobs_with

__all__ = ["image"]


@click.group()
@click.option("--images", type=click.Path(path_type=Path), help="Where they are; by default the cluster's.")
@click.pass_context
def image(context: click.Context, images: Path | None) -> None:
    """Add, list and remove the images that jobs run in."""
    context.obj = (context.obj, Images(images.absolute()) if images else context.obj.images)


@image.command("add")
@click.argument("source", metavar="DIGEST_OR_DIRECTORY")
@click.option(
    "--docker", default=lambda: Settings().docker, help="The daemon that has it; by default as set."
)
@click.pass_obj
def image_add(given: tuple[Cluster, Images], source: str, docker: str) -> None:
    """Add an image of a Docker daemon, by its digest, or a directory (with a slash in its path)."""
    click.echo(given[1].add(source, docker).digest)


@image.command("list")
@click.pass_obj
def image_list(given: tuple[Cluster, Images]) -> None:
    """Show every image: digest, size, when it was added, from what, and why it must stay."""
    for found in given[1].all():
        why = "; ".join(given[1].reasons(found.digest))
        click.echo(
            f"{found.digest}  {found.size / 1e6:6.0f} MB  {found.added}  {found.source}  {why}".rstrip()
        )


@image.command("verify")
@click.argument("digests", metavar="DIGEST...", nargs=-1)
@click.pass_obj
def image_verify(given: tuple[Cluster, Images], digests: tuple[str, ...]) -> None:
    """See that images are what was added, all of them where none is named."""
    for digest in digests or [found.digest for found in given[1].all()]:
        given[1].verify(digest)
        click.echo(f"{digest}  as it was added")


@image.command("keep")
@click.argument("digest")
@click.argument("name")
@click.pass_obj
def image_keep(given: tuple[Cluster, Images], digest: str, name: str) -> None:
    """Write down under a name that an image must stay; `release` takes that back."""
    given[1].keep(digest, name)


@image.command("release")
@click.argument("digest")
@click.argument("name")
@click.pass_obj
def image_release(given: tuple[Cluster, Images], digest: str, name: str) -> None:
    """Take back that an image must stay."""
    given[1].release(digest, name)


@image.command("remove")
@click.argument("digest")
@click.pass_obj
def image_remove(given: tuple[Cluster, Images], digest: str) -> None:
    """Remove an image, unless a job, a process or a name needs it."""
    cluster, images = given
    running = cluster.exists and supervision.pid(cluster) is not None
    images.remove(
        digest, [f"job {number} names it" for number in jobs_with(cluster, digest)] if running else []
    )
