"""Inner loops: arrays in, arrays out; no ObsPy, no I/O."""
