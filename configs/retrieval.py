"""Retrieve the ECG of a PPG window, and vice versa, among windows of held-out subjects.

    python -m physio_mae_jax.main --config=configs/retrieval.py \
        --config.init_from=runs/contrastive --workdir=runs/contrastive_retrieval

The run must be one of ``configs/pretrain.py:variant=contrastive``; its data, split and windows are
used. Written: retrieval.json, retrieval.md and plots/retrieval.png.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Return every setting of a retrieval."""
    config = ConfigDict()
    config.command = "retrieve"
    config.init_from = ""  # a contrastive pre-training, or the name of a shipped model of one
    config.data = ConfigDict()
    config.data.sets = ""  # data sets to retrieve in; '': those of the run
    config.data.root = ""  # their folder; '': that of the run
    config.data.path = ""  # folder of recordings, with sets=folder
    config.data.split_rule = ""  # '': that of the run
    config.held_out = "test"  # if there is one, else validation; validation: to choose a model by
    config.max_windows_per_subject = 40  # non-overlapping, spread evenly over the recordings
    config.batch_size = 64
    config.probe_recordings = 300  # of training, to probe the pulse transit time of synthetic data
    config.probe_windows = 4  # windows per recording
    return config
