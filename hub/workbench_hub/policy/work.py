"""What a user gets: images, profiles, home, folders, networks, egress."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from workbench_hub.policy.people import Part
from workbench_hub.policy.quantities import Digest, Duration, Host, Label, Ports, Size

__all__ = [
    "Announcement",
    "Culling",
    "Destination",
    "Egress",
    "Folder",
    "Home",
    "Image",
    "Profile",
    "Site",
    "Slurm",
]


class Image(Part):
    """An image of the closed catalogue."""

    title: str
    """What people read."""
    build: Label | None = None
    """Its name in the catalogue that the build writes; that says the digest."""
    digest: Digest | None = None
    """The one image that is meant, whatever the catalogue says."""
    groups: tuple[Label, ...] = ()
    """Groups that may choose it; empty: everybody."""


class Profile(Part):
    """A size of server."""

    title: str
    """What people read."""
    description: str = ""
    """What it has, for those who choose."""
    images: tuple[Label, ...] = ()
    """Images to choose from, the first is the default; empty: all that the user may have."""
    cpus: Annotated[float, Field(gt=0, le=1024)] = 1.0
    """Cores, also as parts of one."""
    memory: Size = Field(default="2 GiB", validate_default=True)
    """Memory, and memory with swap: there is no swap."""
    pids: Annotated[int, Field(ge=1024, le=2**22)] = 1024
    """Processes and threads; fewer than 1024 lock users out of their own servers."""
    tmp: Size = Field(default="1 GiB", validate_default=True)
    """Size of `/tmp`, which is memory."""
    servers: Annotated[int, Field(ge=1, le=100)] = 3
    """How many servers of this profile a user may have at a time."""
    groups: tuple[Label, ...] = ()
    """Groups that may choose it; empty: everybody."""


class Home(Part):
    """Users' homes."""

    quota: Size = Field(default="10 GiB", validate_default=True)
    """How much a home may hold; groups and users may have more."""
    method: Literal["auto", "project", "loop", "none"] = "auto"
    """How the quota is kept: by the file system's project quota, or one ext4 image per home."""
    inodes: Annotated[int, Field(ge=10_000)] = 1_000_000
    """Most files."""
    warn_at: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the quota from which the user is warned."""


class Folder(Part):
    """A folder that a group shares."""

    group: Label
    """Who reads and writes."""
    readers: tuple[Label, ...] = ()
    """Groups that read only."""
    path: Path | None = None
    """Where it is on the host; by default `folders/NAME` in the state directory."""
    title: str = ""
    """What people read."""


class Destination(Part):
    """Hosts that a user's container may reach."""

    hosts: tuple[Host, ...] = Field(min_length=1)
    """Names, addresses or ranges of addresses."""
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = (443,)
    """Ports there."""
    protocol: Literal["tcp", "udp"] = "tcp"
    """What is spoken there."""
    title: str = ""
    """What it is, for whoever reads the policy."""


class Egress(Part):
    """What users' containers reach outside."""

    allow: tuple[Destination, ...] = ()
    """Everything else is rejected."""
    dns: tuple[Host, ...] = ()
    """Name servers; empty: names are resolved by the hub, for the hosts above only."""


class Culling(Part):
    """When an idle server is stopped.  Never one with a busy kernel, or whose user has jobs."""

    enabled: bool = True
    """Whether idle servers are stopped at all."""
    idle: Duration = Field(default="24 h", validate_default=True)
    """How long nothing happens before it is stopped."""
    warn: Duration = Field(default="1 h", validate_default=True)
    """How long before that the user is told."""
    every: Duration = Field(default="5 min", validate_default=True)
    """How often it is looked at."""


class Announcement(Part):
    """Something that all users, or some groups, read."""

    text: Annotated[str, Field(min_length=1, max_length=2000)]
    """What is read."""
    level: Literal["info", "warning"] = "info"
    """How loud it is."""
    begins: AwareDatetime | None = None
    """From when on it is shown; by default at once."""
    ends: AwareDatetime | None = None
    """Until when it is shown; by default until it is taken out."""
    groups: tuple[Label, ...] = ()
    """Who reads it; empty: everybody."""

    def shown(self, at: datetime, groups: tuple[str, ...] = ()) -> bool:
        """Whether it is shown at a time, to somebody of these groups."""
        if (self.begins and at < self.begins) or (self.ends and at >= self.ends):
            return False
        return not self.groups or bool(set(self.groups) & set(groups))


class Slurm(Part):
    """The cluster."""

    cluster: Annotated[str, StringConstraints(pattern=r"^(auto|own|none|/.+)$")] = "auto"
    """`own` (started here), `none`, the path of a site's slurm.conf, or `auto`: `own` where it can be."""
    access: Literal["munge", "broker"] = "munge"
    """How users' servers get to it: by `munge` (SLURM's own commands, a socket) or the `broker` alone."""
    accounts: tuple[Label, ...] = ()
    """Every account there is; empty: any may be named."""
    partition: Annotated[str, StringConstraints(pattern=r"^[\w.-]*$")] = ""
    """Partition of those who name none; empty: SLURM's own."""
    partitions: tuple[Annotated[str, StringConstraints(pattern=r"^[\w.-]+$")], ...] = ()
    """Partitions that the broker takes jobs for; empty: all that SLURM lets a user have."""
    nodes: Annotated[int, Field(ge=1, le=64)] = 1
    """Nodes of the own cluster."""
    memory: Size | None = None
    """Memory of each of them; by default the machine's, divided."""
    worker_ports: Ports = "31000:31999"
    """Ports of Dask's workers on nodes, which users' servers reach."""
    scheduler_ports: Ports = "30000:30999"
    """Ports of Dask's schedulers in users' servers, which nodes reach."""


class Site(Part):
    """What users read about who runs this."""

    title: str = "Seismic workbench"
    """What this is called."""
    contact: str = ""
    """Who helps: an address or a telephone number, shown where something failed."""
