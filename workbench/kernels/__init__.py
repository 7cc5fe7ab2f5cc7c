"""The kernels, one topic a module: pure functions on nouns, which do no I/O."""
