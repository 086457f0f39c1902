"""Export an encoder or a classifier as a graph for devices without JAX.

    python -m physio_mae_jax.main --config=configs/edge.py --config.init_from=physio-tiny \
        --config.num_channels=2 --workdir=edge/tiny
    python -m physio_mae_jax.main --config=configs/edge.py:precision=int8 \
        --config.init_from=physio-small --config.data.sets=bidmc --config.data.channels=II,PPG \
        --workdir=edge/small
    python -m physio_mae_jax.main --config=configs/edge.py:precision=int8 \
        --config.init_from=runs/ptbxl_superclass --config.data.sets=ptbxl \
        --config.labels.task=superclass --workdir=edge/superclass

Arguments after the colon:

    precision   float32 or int8, which is calibrated and compared on the recordings of data

Written: the graph and, beside it, its contract with the preprocessing and what was measured. If the
graph does not agree with JAX, nothing is written.
"""

import os

from ml_collections import ConfigDict

from physio_mae_jax.experiment.typed_config import parse_argument

ARGUMENTS = {"precision": ("float32", "int8")}


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of an export for devices."""
    chosen = parse_argument(argument, ARGUMENTS)
    config = ConfigDict()
    config.command = "export_edge"
    config.init_from = ""  # a shipped model such as physio-tiny, or a run; fine-tuned: a classifier
    config.file = "model.onnx"  # name of the graph in the work folder
    config.precision = chosen["precision"]
    config.output = "default"  # of an encoder embedding or columns, of a classifier logits
    config.num_channels = 0  # channels of a window at most; 0: those of the data, or of training
    config.labels = ConfigDict()
    config.labels.task = ""  # int8: a task that labels the recordings, whose AUROC must not fall
    config.data = ConfigDict()  # int8: recordings like those that the device will encode
    config.data.sets = ""  # prepared data sets joined by +, or 'folder'
    config.data.root = os.environ.get("PHYSIO_MAE_DATA", "data")  # folder of prepared sets
    config.data.path = ""  # folder of recordings, with sets=folder
    config.data.manifest = ""
    config.data.files = ""  # instead of sets: self-describing files, with commas between
    config.data.channels = ""  # channels of the device, such as II,PPG; '': all known to the model
    return config
