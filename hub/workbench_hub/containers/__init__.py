"""A user's server as a hardened container: how it is made, watched, and explained when it fails.

Nothing is imported here, since part of this package also runs inside of the
containers, where there is no Docker client.
"""
