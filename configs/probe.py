"""Read labels off a frozen encoder by logistic regression, before and after pre-training.

    python -m physio_mae_jax.main --config=configs/probe.py --config.run=runs/ptbxl \
        --config.sets=ptbxl --config.label_task=superclass --config.split='fold=1-7|8|9' \
        --workdir=runs/ptbxl_probe

The recordings are those of a prepared data set; whoever the encoder was trained on is reported as
contamination where they are tested on, and refused with --strict. Written: probe.json.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Return every setting of a linear probe."""
    config = ConfigDict()
    config.task = "probe"
    config.run = ""  # the work folder of a pre-training
    config.sets = ""  # prepared data sets; '': those of the run
    config.root = ""  # where they are; '': where the run found them
    config.path = ""  # of sets=folder
    config.split = "fold=1-8|9|10"  # strength of the regularisation on the second, test on the last
    config.label_task = "superclass"
    config.require_label = True  # leave out recordings of no class, as the PTB-XL benchmark does
    config.batch_size = 64
    return config
