"""The doctor of a deployment: whether its walls stand, tried from within a container."""
