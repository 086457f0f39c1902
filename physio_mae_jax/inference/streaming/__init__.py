"""Encoding of signals while they are received: one row per hop.

``stream.Stream`` buffers the samples that the next windows need and encodes every window as
``Encoder.encode`` does: the same samples give the same bits, however they arrive. No module here
loads JAX; the caller passes the function that encodes a window.

Modules::

    classifier_stream  a signal that is classified while it is received
    lsl_input      samples of a device by the lab streaming layer (LSL)
    rows           the rows of a stream, one per window
    sample_buffer  the newest samples of a signal, addressed by their position in it
    sample_clock   samples with time stamps as a signal of constant rate, with NaN where some are
                   missing
    saved_stream   the state of a stream as one file, written atomically
    stream         a signal that is encoded while it is received
    stream_layout  what a stream is given, and the samples that each of its windows needs
"""
