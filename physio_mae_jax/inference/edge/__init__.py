"""Encoders and classifiers for devices: graphs of ONNX or LiteRT, and their use without JAX.

``export`` writes a graph of one window with a fixed number of channels and, beside it, a JSON
contract with the preprocessing and the measured agreement with JAX. ``onnx`` and ``onnxruntime``
are the extra ``edge``, the libraries of LiteRT the extra ``litert``; they are imported where they
are used.

Modules::

    block_graph    the blocks of an encoder as nodes of a graph
    calibration    windows that quantization is calibrated with, and others that it is evaluated on
    contract       the JSON file beside a graph: its call, its preprocessing and its card
    edge_model     a model to export, an encoder or a classifier, and its outputs in JAX
    encoder_graph  a whole encoder or classifier as an ONNX graph, and the models that have one
    export         export of an encoder or a classifier as a graph that agrees with JAX
    extra          import of the optional libraries
    graph          the operations of a graph, and a builder of ONNX graphs
    head_graph     the head of a classifier as nodes of a graph
    jax_graph      the operations of a graph computed by JAX, for converters that take its programs
    labels         labels of recordings for calibration, and how well embeddings or logits tell them
                   apart
    litert         graphs of LiteRT, converted from JAX without TensorFlow
    parity         agreement of a graph with JAX on the same windows
    quantization   static quantization of the linear layers of a graph to 8 bits
    runtime        encoding and classifying on a device, without JAX
    session        a graph loaded for computation on this machine's processor, and the time that
                   programs take
    token_graph    from a window to tokens, as nodes of a graph
    web/           a web page that encodes signals in a browser, and its server
"""
