"""Read labels off a frozen encoder by logistic regression, before and after pre-training.

    python -m physio_mae_jax.main --config=configs/probe.py --config.run=runs/ptbxl \
        --workdir=runs/ptbxl_probe

The labels and folds lie in the npz file of the run's recordings. Pre-train on other folds than
the last one if it is to be a test: see README.md. Written: probe.json.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Return every setting of a linear probe."""
    config = ConfigDict()
    config.task = "probe"
    config.run = ""  # the work folder of a pre-training
    config.data_path = ""  # folder of the labelled recordings, where it is not the run's
    config.label_array = "y_super"  # [record, class], 0 or 1; a record with others is left out
    config.label_names_array = "super_names"
    config.fold_array = "strat_fold"
    config.validation_fold = 8  # the strength of the regularisation is chosen here
    config.test_fold = 9  # read once
    config.batch_size = 64
    return config
