"""Encoders for devices: ONNX graphs, and their use without JAX.

``export`` writes a graph of one window with a fixed number of channels and, beside it, a JSON
contract with the preprocessing and the measured agreement with JAX. ``onnx`` and ``onnxruntime``
are the extra ``edge``; they are imported where they are used.

Modules::

    block_graph    the blocks of an encoder as nodes of a graph
    calibration    windows that quantization is calibrated with, and others that it is evaluated on
    contract       the JSON file beside a graph: its call, its preprocessing and its card
    encoder_graph  a whole encoder as an ONNX graph, and the models that have one
    export         export of an encoder as a graph that agrees with JAX
    extra          import of the optional libraries
    graph          a builder of ONNX graphs
    parity         agreement of a graph with JAX on the same windows
    quantization   static quantization of the linear layers of a graph to 8 bits
    runtime        encoding on a device: NumPy and onnxruntime instead of JAX
    session        a graph loaded for computation on this machine's processor, and the time that
                   programs take
    token_graph    from a window to tokens, as nodes of a graph
    web/           a web page that encodes signals in a browser, and its server
"""
