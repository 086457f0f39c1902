"""Encoding of a signal block by block with a state, instead of windows (edge.md#recurrent-streams).

A block of columns is encoded after all columns before it, which a state of fixed size sums up. It
reads no later column than its own last one, and is normalized over the last window's duration.

Modules::

    block_encoder   the compiled programs that encode one block, and the state between blocks
    block_signal    the samples that a block needs, and their statistics
    offline         the same embeddings of a whole recording at once
    opening         recurrent streams of an encoder
    sample_intake   samples as received, without offset and without missing values
    state_arrays    the state of a stream as named arrays
    stream          a signal that is encoded while it is received
    trailing        mean and standard deviation over the last columns
"""
