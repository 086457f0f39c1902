"""Compare models on one labeled task: models × fractions of the labels × seeds.

    python -m physio_mae_jax.main --config=configs/compare.py:data=ptbxl \
        --config.init_from=runs/ptbxl \
        --workdir=runs/ptbxl_compared

Argument after the colon: ``data=``, as in configs/finetune.py.

Rows, each with its own settings, which --config.<row>.… changes:

    pretrained        the encoder of --config.init_from, fine-tuned
    scratch           the same architecture, randomly initialized
    resnet1d_wang, xresnet1d101   the convolutional baselines, from scratch
    probe, knn        logistic regression and nearest neighbors on the encoder's features
    random_probe      the probe on features of an untrained encoder
    wavelets          the probe on mean and standard deviation of wavelet coefficients

All rows use the same windows, split, units and labels. Each trial has a folder with its own report;
finished trials are skipped, so the same command resumes, and more rows, fractions or seeds may
be added later. Written at the end: comparison.md, comparison.json and plots/comparison.png.
"""

from collections.abc import Sequence

from ml_collections import ConfigDict

from configs.evaluate import get_config as evaluation_config
from configs.finetune import ARGUMENTS as FINETUNING_ARGUMENTS
from configs.finetune import get_config as finetuning_config
from configs.pretrain import get_config as pretraining_config
from configs.tasks import add_task
from physio_mae_jax.experiment.typed_config import parse_argument

ARGUMENTS = {"data": FINETUNING_ARGUMENTS["data"], "preset": FINETUNING_ARGUMENTS["preset"]}
FINETUNED = {
    "pretrained": "mae",
    "scratch": "mae",
    "resnet1d_wang": "resnet1d_wang",
    "xresnet1d101": "xresnet1d101",
}
PROBES = {
    "probe": ("probe", "pretrained"),
    "knn": ("knn", "pretrained"),
    "random_probe": ("probe", "random"),
    "wavelets": ("probe", "wavelets"),
}
# Set once for all rows, or fixed by the row itself.
_SET_ELSEWHERE = (
    *("data", "labels", "evaluation", "label_fraction", "seed"),
    *("init_from", "torch_weights", "torch_config"),
    *("model", "sampling_rate_hz", "window_seconds"),  # taken from the encoder of the run
)


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of a comparison."""
    chosen = parse_argument(argument, ARGUMENTS)
    config = ConfigDict()
    config.command = "compare"
    config.init_from = ""  # a shipped model such as physio-small, or a pre-training run
    config.models = ",".join((*FINETUNED, *PROBES))  # the first is the reference
    config.label_fractions = "0.1,1"  # fractions of the training subjects
    config.seeds = "0,1,2"  # seeds of subject sampling, initialization and data order
    config.num_workers = 1  # processes that run trials in parallel, also on one GPU
    config.worker = False  # True: run trials only, as one of many jobs on a shared folder
    scratch = pretraining_config(f"preset={chosen['preset']},data={chosen['data']}")
    add_task(config, chosen["data"], scratch.data)
    del config.label_fraction
    for name, architecture in FINETUNED.items():
        config[name] = finetuning_config(f"architecture={architecture},{_text(chosen)}")
        _drop(config[name], _SET_ELSEWHERE)
    for name, (method, encoders) in PROBES.items():
        config[name] = evaluation_config(f"method={method},{_text(chosen)}")
        config[name].encoders = encoders
        kept = ("model",) if encoders == "wavelets" else ()
        _drop(config[name], [name for name in _SET_ELSEWHERE if name not in kept])
    config.pretrained.optimizer.peak_learning_rate = 5e-4
    config.pretrained.ema_decay = 0.98
    for name in ("resnet1d_wang", "xresnet1d101"):
        config[name].optimizer.peak_learning_rate = 5e-3
    return config


def _text(chosen: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in chosen.items())


def _drop(row: ConfigDict, names: Sequence[str]) -> None:
    for name in names:
        if name in row:
            del row[name]
