"""Embed every recording of prepared data sets, of a folder, or of some files.

    python -m physio_mae_jax.main --config=configs/features.py --config.init_from=runs/ptbxl \
        --config.data.sets=ptbxl --workdir=features/ptbxl
    python -m physio_mae_jax.main --config=configs/features.py:format=parquet \
        --config.init_from=runs/ptbxl --config.data.sets=folder --config.data.path=/my/recordings \
        --workdir=features/mine

Arguments after the colon:

    format   npz, parquet or array_record (which tfds.builder_from_directory opens)

Written: features-*, tables of embedding, record_id, subject_id, data_set, split and labels (with
--config.encoding.rows=window also start_seconds, end_seconds, start_time and rejected), and
finally index.json with the specification of the encoder and the rejected recordings. Read them all
as one with ``physio_mae_jax.inference.feature_store.files.read_features``. The same command
resumes. Several machines can share the work: run the same command on each, with
--config.process_index=I and --config.process_count=N where JAX does not know them, and one shared
work folder.
"""

import os

from ml_collections import ConfigDict

from physio_mae_jax.experiment.typed_config import parse_argument

ARGUMENTS = {"format": ("npz", "parquet", "array_record")}


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of a feature extraction."""
    chosen = parse_argument(argument, ARGUMENTS)
    config = ConfigDict()
    config.command = "extract_features"
    config.init_from = ""  # a shipped model such as physio-small, or a pre-training run
    config.num_devices = 0  # 0: all devices of this process
    config.batch_size = 32  # windows encoded at a time
    config.process_index = 0  # index of this process among those that share the work
    config.process_count = 0  # number of these processes; 0: as in JAX
    config.tasks = ""  # tasks, separated by commas; '': all that label whole recordings
    config.data = ConfigDict()
    config.data.sets = ""  # prepared data sets joined by +, or 'folder'
    config.data.root = os.environ.get("PHYSIO_MAE_DATA", "data")  # folder of prepared sets
    config.data.path = ""  # folder of recordings, with sets=folder
    config.data.manifest = ""
    config.data.files = ""  # instead of sets: self-describing files, with commas between
    config.data.split_rule = ""  # a rule of physio_mae_jax/data/splits.py; 'run': that of the run
    config.data.split_seed = 0
    config.format = chosen["format"]
    config.recordings_per_shard = 256  # an interruption loses at most these
    config.encoding = ConfigDict()
    config.encoding.rows = "recording"  # 'window': a row per window, with times; gaps are rows too
    config.encoding.overlap = 0.5  # fraction of a window that the next one overlaps
    config.encoding.derive_leads = False  # add limb leads that follow from two others
    config.encoding.unknown_channels = "exclude"  # or 'error'
    config.encoding.on_invalid = "error"  # 'skip': exclude invalid recordings, and list them
    config.encoding.num_threads = 4
    return config
