"""Custom Pallas (Triton) kernels for NVIDIA GPUs, where XLA's own code is slow.

Modules::

    channel_attention  attention across channels as one GPU kernel: no transposes, no small matmuls
    gelu               bias and GELU with the matmul after them, and their backward pass as one pass
                       over memory
    launch             launching of Pallas kernels
    layer_norm         LayerNorm and the residual sum before it, as one pass over memory in each
                       direction
    rotary             queries, keys and values for attention: a projection, and rotation in one
                       pass over memory
    rows               shared parts of kernels over whole tokens: launch sizes, partial sums, norms
    smoothing          smoothing in time and the LayerNorm after it: one pass over memory forward,
                       two backward
    tile               A tile of tokens and features processed by a program
"""
