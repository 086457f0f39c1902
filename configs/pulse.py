"""Pre-train a small model that aligns a pulse with its ECG, on BIDMC and the CinC Challenge 2015.

    python -m physio_mae_jax.main --config=configs/pulse.py --workdir=runs/pulse

Minutes on one CPU core. Argument after the colon: attention, as in configs/pretrain.py. The
sets are prepared first, in --config.data.root, see physio_mae_jax/guides/results.md. Time steps of
25 ms are compared at their best lag, among windows of the same recording, beside masked
reconstruction. Attention reaches about a second, so that a step tells when a beat is and not whose.
A quarter of the subjects of BIDMC and a tenth of the recordings of CinC 2015 are held out for the
test.
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
        f"preset=tiny,variant=contrastive,data={'+'.join(WEIGHTS)},attention={chosen['attention']}"
    )
    _choose_data(config.data)
    _choose_model(config.model)
    config.batch_size = 64
    config.objective.predicted_share = 0.3
    config.contrastive.readout = "aligned"
    config.contrastive.view = "whole"
    config.contrastive.same_subject_negatives = True
    config.contrastive.column_steps = 8
    config.contrastive.rotated_negatives = 16
    config.optimizer.peak_learning_rate = 3e-3
    config.optimizer.warmup_steps = 30
    config.loop.num_steps = 800
    config.loop.log_every_steps = 50
    config.loop.evaluate_every_steps = config.loop.checkpoint_every_steps = 400
    return config


def _choose_data(data: ConfigDict) -> None:
    data.sets = "+".join(f"{name}:{weight}" for name, weight in WEIGHTS.items())
    data.channels = "PPG,II"
    data.split_rule = "bidmc: random=|0.1|0.25; random=|0.1|0.1"
    data.speed_perturbation = (0.8, 1.25)  # wider ones move lags out of their range
    data.windows_per_recording = 8  # windows of others differ in their subject
    data.max_validation_windows = 32
    data.on_invalid = "skip"  # a few recordings of CinC 2015 lack lead II
    data.cache_mib = 2048


def _choose_model(model: ConfigDict) -> None:
    """Choose 0.16 M parameters; larger models without local attention fit only their subjects."""
    model.width = 48
    model.depth = 2
    model.num_heads = 3
    model.attention_block_seconds = 0.6
    model.decoder_width = 16
    model.decoder_depth = 1
    model.decoder_num_heads = 1
    model.wavelet.num_scales = 16
