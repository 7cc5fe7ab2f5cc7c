"""How images are built: what there are, the Debian below, wheels, the daemon, what is inside, the catalogue.

Nothing here needs more than Python, the ``docker`` command and, for the
Debian below where no registry answers, ``debootstrap``.  A build container
has no network: all that it installs is fetched on the host, by the host's own
pip and apt with their settings and certificates, and none of these gets near
the image.
"""
