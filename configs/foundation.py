"""Pre-train the models that ship with the package, on a mixture of ECG and PPG data sets.

    python -m physio_mae_jax.main \
        --config=configs/foundation.py:model=physio-small,attention=fused \
        --workdir=runs/physio-small

Arguments after the colon, ``name=value`` separated by commas:

    model      physio-small, physio-tiny   9.6 M and 1 M parameters; the shipped ones
               physio-base                 57 M parameters, the same recipe for longer
    attention  xla, cudnn, fused           as in configs/pretrain.py

launch/release.sh runs the same command, then checks and packs the model. The sets are prepared
first, in --config.data.root, see physio_mae_jax/guides/results.md. Reconstruction is trained beside
latent targets of an averaged encoder. Fold 9 of PTB-XL and a tenth of the subjects of the other
sets are held out.
"""

from ml_collections import ConfigDict

from configs.pretrain import ARGUMENTS as PRETRAINING_ARGUMENTS
from configs.pretrain import get_config as pretraining_config
from physio_mae_jax.experiment.typed_config import parse_argument

# Sampling weights: twelve leads half of the time, then one and two leads, then PPG.
WEIGHTS = {
    "ptbxl_subset": 4,
    "cinc2011": 1.5,
    "ludb": 0.6,
    "cinc2017": 1.5,
    "mitbih": 1.2,
    "cinc2015": 1.8,
    "stress_predict": 1,
}
# Preset and number of steps.
_MODELS = {
    "physio-small": ("small", 11_000),
    "physio-tiny": ("tiny", 8_000),
    "physio-base": ("base", 40_000),
}
ARGUMENTS = {"model": tuple(_MODELS), "attention": PRETRAINING_ARGUMENTS["attention"]}


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of the pre-training of a shipped model."""
    chosen = parse_argument(argument, ARGUMENTS)
    preset, num_steps = _MODELS[chosen["model"]]
    config = pretraining_config(
        f"preset={preset},data={'+'.join(WEIGHTS)},attention={chosen['attention']}"
    )
    config.data.sets = "+".join(f"{name}:{weight}" for name, weight in WEIGHTS.items())
    config.data.split_rule = "ptbxl_subset: fold=1-8|9|; random=|0.1|"
    config.data.on_invalid = "skip"  # a few recordings of CinC 2017 are too short
    config.data.num_threads = 6
    config.data.cache_mib = 8192  # all of it: 1.1 GB
    config.batch_size = 128
    config.objective.latent_weight = 1.0
    config.objective.mask.mask_ratio = 0.6
    config.optimizer.warmup_steps = 500
    config.loop.num_steps = num_steps
    config.loop.evaluate_every_steps = config.loop.checkpoint_every_steps = 2_500
    return config
