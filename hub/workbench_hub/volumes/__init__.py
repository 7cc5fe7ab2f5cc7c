"""What is mounted into a user's server: home, folders of groups, the networks that the user may see."""

from __future__ import annotations

from workbench_hub.volumes.homes import BadHome, Homes
from workbench_hub.volumes.images import release_all
from workbench_hub.volumes.mounts import Mount, mounts
from workbench_hub.volumes.quotas import Quota, Usage, chosen
from workbench_hub.volumes.volumes import Volumes

__all__ = ["BadHome", "Homes", "Mount", "Quota", "Usage", "Volumes", "chosen", "mounts", "release_all"]
