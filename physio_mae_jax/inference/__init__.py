"""Use of trained models: embeddings of new signals, sharing, export and inspection.

``Encoder.encode`` is one line of stages, each entered once: ``inputs`` reads the arguments,
``recording_plan`` chooses the windows, ``window_batches`` reads them ahead, ``compiled_encoder``
encodes them, ``overlap_averager`` averages them, and ``encoding_report`` lists what was done.

Modules::

    alignment            lag of a pulse after its ECG, by the time steps of a model or by beat times
    arguments            arguments beside the signals (rates, names, units, gains) as plain Python
                         values
    class_decision       probabilities and decisions of a classifier from its logits, with NumPy
                         alone
    classifier           the classifier of a fine-tuned model, for new signals
    clocks               detection of channels that only count: times or sample numbers mistaken
                         for a signal
    compiled_encoder     encoding of window batches by compiled programs, one per batch shape
    encode_files         encoding of files and folders as they are on disk, with rate, names and
                         units from the files
    encoder              the encoder of a pre-trained model, for new signals
    encoder_stream       streams of an encoder, see ``streaming.stream``
    encoding_config      options for encoding recordings
    encoding_report      report of an encoding: what was encoded, changed and excluded
    export               export of an encoder as a StableHLO program that runs with JAX alone, on
                         CPU, CUDA and TPU
    inputs               conversion of caller inputs (arrays, data frames, lists) to readable
                         recordings
    inspection           inspection of an encoder: reconstructions of masked intervals, and
                         attention maps
    model_card           model card of a shared model: description, training data and intended use
    model_description    what a model accepts, does and returns, as text
    model_list           the shipped models as a table: size, input and license of each
    notes                notes about the preprocessing of recordings, for the report of an encoding
    overlap_averager     averaging of the windows of each recording, weighted by inverse overlap
    pickling             origin of an encoder, from which another process or a pickle can load it
                         again
    plan_notes           notes about what the preprocessing of a recording changes or excludes
    precision            weights in half precision: rounding, and the agreement of the embeddings
    recording_classifier  what every classifier of recordings offers, with JAX or without
    recording_encoder    what every encoder of recordings offers, with JAX or without: arrays, files
                         and folders
    recording_plan       the windows to encode of each recording, and what that changes or excludes
    samples              conversion of samples to arrays of real numbers, with NaN for masked values
    saved_model          A model as a shareable folder: weights (safetensors), their description
                         (JSON), and a card
    shipped_models       models that ship inside the package, each loaded by its name
    signal_metadata      rate, units and gain of a signal, as its caller describes them
    sklearn_transformer  an encoder as a scikit-learn transformer, for pipelines, clustering and
                         grid search
    throughput           throughput of an encoder in recordings per second: from memory, and from
                         files
    tiling               positions of the encoded windows of a recording, and the weights of their
                         columns
    trained_classifier   a fine-tuned classifier of a run, loaded from the description in its best
                         checkpoint
    trained_model        A pre-trained model of a run, loaded from the description in its checkpoint
    window_inspection    what an encoder sees in a window: reconstructions, attention, and the lag
                         of a pulse
    window_rows          one embedding per window of a recording, with the times of the windows;
                         gaps are rows too
    window_batches       batches of the windows of planned recordings, read ahead by threads and
                         padded to few shapes
    edge/                encoders and classifiers for devices: ONNX graphs, used without JAX
    feature_store/       embeddings of whole data sets as tables in files, with one index
    recurrent/           encoding of signals block by block, with a state instead of windows
    streaming/           encoding of signals while they are received: one row per hop
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from physio_mae_jax.inference.encoder import Encoder as Encoder


def __getattr__(name: str) -> object:
    """Import ``Encoder`` when it is used: tables of embeddings are read without JAX."""
    if name != "Encoder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from physio_mae_jax.inference.encoder import Encoder

    return Encoder
