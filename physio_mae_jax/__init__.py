"""Masked autoencoders for multi-channel physiological signals (ECG, PPG, EEG) in JAX.

The packages and the direction of imports (an arrow reads "may import";
tests/program/test_imports.py enforces it)::

    main -> experiment -> evaluation -> inference -> training -> objectives -> models -> signals
                       -> interop -> models, data
                          evaluation, training -> plots -> signals
                          inference, training -> data -> signals
    prepare -> preparation -> data -> signals
    release -> model_release -> experiment
    benchmark -> benchmarks -> inference

``Encoder`` is the use of a trained model, and the only name of this package itself::

    from physio_mae_jax import Encoder

* ``signals``     pure signal processing: wavelets, patches, resampling, channel names.
* ``data``        recordings on disk (or synthesised) -> batches of host NumPy arrays.
* ``preparation`` raw data sets -> prepared ones of array_record files.
* ``models``      Flax modules; no loss, no data, no random masks inside.
* ``objectives``  masks and losses: pure functions of arrays and keys.
* ``training``    optimizer, mesh, checkpoints, metrics and the one loop.
* ``plots``       arrays -> matplotlib pictures.
* ``inference``   use of trained models: embeddings, sharing, export, inspection.
* ``interop``     models of other programs: the original's weights.
* ``evaluation``  from predictions to metrics with intervals, and a report.
* ``benchmarks``  time, memory and operations of training steps and encodings.
* ``experiment``  entry point from a ConfigDict to frozen dataclasses and built objects.
* ``model_release`` a run as a model folder with card and archive, such as those in
                  ``pretrained``, which ship with the package.
* ``main``        the command line; ``prepare``, the one for raw data sets; ``distributed``
                  joins the processes of a run.
* ``types``       the types that recur in all of them.

References such as ``models.md#tokenizer`` point to sections of the guides in ``guides/``.

Letters used for shapes everywhere, each with one meaning:

====  ===========================================  ====  =====================================
B     batch                                        W     time columns (L / patch_samples)
M     channels (leads, sensors)                    H     frequency rows (S / patch_scales)
L     samples                                      K     visible columns
C     wavelet planes (signal and differences)      R     tokens of a visible column
S     scales of the wavelet bank, high to low      P     predicted columns
D     width of a token                             N     tokens of a channel (W * H)
E     width of a projected embedding               T     steps of a sequence, such as its tokens
F     features inside a layer                      J     keys that a token attends to
Q     learned queries of a head                    Y     classes, or targets of a regression
U     instances or recordings that are evaluated   G     subjects that are resampled
Z     bootstrap replicates
====  ===========================================  ====  =====================================

Lower-case letters have the meaning that a docstring gives them; ``n`` is any number.

Signals are channel first, ``signal: [B, M, L]``. Masks of columns are 1 (or True) where
a column is **masked**; masks of channels are True where the channel is **present**.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from physio_mae_jax.inference.encoder import Encoder as Encoder

__version__ = "0.2.0"


def __getattr__(name: str) -> object:
    """Import ``Encoder`` when it is used, so that other programs need not wait for it."""
    if name != "Encoder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from physio_mae_jax.inference.encoder import Encoder

    return Encoder
