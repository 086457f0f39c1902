"""Pre-train the model that aligns a pulse with its ECG, on BIDMC and the CinC Challenge 2015.

    python -m physio_mae_jax.main --config=configs/pulse.py --workdir=runs/physio-pulse

Argument after the colon: attention, as in configs/pretrain.py. The sets are prepared first, in
--config.data.root, see physio_mae_jax/guides/results.md. Time steps of 25 ms are compared at their
best lag, among windows of the same recording too, beside masked reconstruction. A quarter of the
subjects of BIDMC and a tenth of the recordings of CinC 2015 are held out for the test.
"""

from ml_collections import ConfigDict

from configs.pretrain import ARGUMENTS as PRETRAINING_ARGUMENTS
from configs.pretrain import get_config as pretraining_config
from physio_mae_jax.experiment.typed_config import parse_argument

# Sampling weights. BIDMC is cleaner, CinC 2015 has ten times as many recordings.
WEIGHTS = {"bidmc": 1, "cinc2015": 2}
ARGUMENTS = {"attention": PRETRAINING_ARGUMENTS["attention"]}


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of the pre-training of the model that aligns a pulse with its ECG."""
    chosen = parse_argument(argument, ARGUMENTS)
    config = pretraining_config(
        f"preset=small,variant=contrastive,data={'+'.join(WEIGHTS)},attention={chosen['attention']}"
    )
    config.data.sets = "+".join(f"{name}:{weight}" for name, weight in WEIGHTS.items())
    config.data.channels = "PPG,II"
    config.data.split_rule = "bidmc: random=|0.1|0.25; random=|0.1|0.1"
    config.data.speed_perturbation = (0.8, 1.25)  # wider ones move lags out of their range
    config.data.on_invalid = "skip"  # a few recordings of CinC 2015 lack lead II
    config.data.cache_mib = 2048
    config.batch_size = 256
    config.model.width = 128
    config.model.depth = 6
    config.model.decoder_width = 96
    config.model.decoder_num_heads = 3
    config.model.remat = "none"
    config.contrastive.readout = "aligned"
    config.contrastive.view = "whole"
    config.contrastive.same_subject_negatives = True
    config.contrastive.column_steps = 8
    config.optimizer.peak_learning_rate = 3e-3
    config.optimizer.warmup_steps = 300
    config.loop.num_steps = 4_000
    config.loop.evaluate_every_steps = config.loop.checkpoint_every_steps = 1_000
    return config
