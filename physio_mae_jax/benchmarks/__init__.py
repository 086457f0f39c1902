"""Benchmarks: step times, planned memory, operation counts and their scaling.

Modules::

    cases            benchmark cases: training step, features, wavelets, input pipeline, import,
                     long recordings, edge
    edge             time of a window on a device: graphs beside JAX
    flops            model FLOPs, counted from shapes
    import_time      time that a new process takes to import the encoder, beyond that of JAX
    length_scaling   training and encoding of windows against their length, for each time mixer
    long_recordings  encoding of long recordings: time to open and to encode, and memory, against
                     their length
    planning         largest batch that fits a GPU, from the planned memory of the compiled step,
                     without running
    profile          profiler trace of a few calls, and its most expensive operations
    reading          windows per second of the training reader, beside a PyTorch DataLoader
    scaling          collectives of a compiled program, and a scaling table from the lines of
                     ``physio_mae_jax.benchmark`` for several device counts
    sweep            scaling of a training step's time and memory with the size of a setting
    timing           time device execution, not Python dispatch
"""
