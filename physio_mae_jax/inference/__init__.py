"""Use of trained models: embeddings of new signals, sharing, export and import of weights.

Modules::

    arguments            arguments beside the signals (rates, names, units, gains) as plain Python
                         values
    batched_map          application of a compiled function to any number of windows
    compiled_encoder     encoding of window batches by compiled programs, one per batch shape
    delay_probe          linear probe of the delay between two channels, from a frozen
                         single-channel encoder
    embedding_map        two-dimensional maps of embeddings
    encode_files         encoding of files and folders as they are on disk, with rate, names and
                         units from the files
    encoder              the encoder of a pre-trained model, for new signals
    encoding_config      options for encoding recordings
    engine               encoding of recordings of any length: from windows to one embedding per
                         recording
    export               export of an encoder as a StableHLO program that runs with JAX alone, on
                         CPU, CUDA and TPU
    feature_extraction   embeddings of whole data sets: tables in shards, each written atomically,
                         and one index
    inputs               conversion of caller inputs (arrays, data frames, lists) to readable
                         recordings
    inspection           inspection of an encoder: reconstructions of masked intervals, and
                         attention maps
    model_card           model card of a shared model: description, training data and intended use
    overlap_averager     averaging of the windows of a recording, weighted by inverse overlap
    parameter_mapping    mapping from the original's weights to our models
    position_embedding   resizing of a learned position table to a window of another length
    pretrained           A model as a shareable folder: weights (safetensors), their description
                         (JSON), and a card
    recording_plan       checks, plans and reports around an encoding
    report               report of the preprocessing of recordings
    restoring            origin of an encoder, from which another process or a pickle can load it
                         again
    retrieval            cross-modal retrieval: the ECG recorded with a PPG, and the PPG recorded
                         with an ECG
    samples              conversion of samples to arrays of real numbers, with NaN for masked values
    sklearn_transformer  an encoder as a scikit-learn transformer, for pipelines, clustering and
                         grid search
    throughput           throughput of an encoder in recordings per second: from memory, and from
                         files
    tiling               positions of the encoded windows of a recording, and the weights of their
                         columns
    torch_arguments      validated constructor arguments of the original model, from a JSON file or
                         a program
    torch_file           reading of PyTorch checkpoints without PyTorch and without executing their
                         content
    torch_import         import of the original PyTorch CWT-MAE weights; every key is accounted for
    torch_weights        arrays of a PyTorch state dict by name, each taken once and converted to
                         our layouts
    trained_model        A pre-trained model of a run, loaded from the description in its checkpoint
"""

from physio_mae_jax.inference.encoder import Encoder

__all__ = ["Encoder"]
