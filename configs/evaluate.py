"""Evaluate an existing model: a fine-tuned one, or probes of its features.

    python -m physio_mae_jax.main --config=configs/evaluate.py:method=head \
        --config.init_from=runs/ptbxl_superclass --config.data.sets=georgia --config.split=all \
        --workdir=...
    python -m physio_mae_jax.main --config=configs/evaluate.py:method=probe,data=ptbxl \
        --config.init_from=runs/ptbxl --workdir=...

Arguments after the colon, ``name=value`` separated by commas:

    method   head      a fine-tuned run with the thresholds of its validation, on its test part or
                       other data
             probe     linear model on the features of a pre-training run, or of the original's
                       weights, beside those of an untrained encoder
             knn       the same with nearest neighbors
    data     as in configs/finetune.py, for probe and knn
    preset   as in configs/pretrain.py; the window of encoders=wavelets

Written: evaluation.json, evaluation.md, plots/ and predictions/. Subjects the model was trained on
are reported as contamination, and raise an error with --strict.
"""

from ml_collections import ConfigDict

from configs.finetune import ARGUMENTS as FINETUNING_ARGUMENTS
from configs.pretrain import get_config as pretraining_config
from configs.tasks import add_evaluation, add_task
from physio_mae_jax.experiment.typed_config import parse_argument

ARGUMENTS = {
    "method": ("head", "probe", "knn"),
    "data": FINETUNING_ARGUMENTS["data"],
    "preset": FINETUNING_ARGUMENTS["preset"],
}


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of an evaluation."""
    chosen = parse_argument(argument, ARGUMENTS)
    config = ConfigDict()
    config.command = "evaluate" if chosen["method"] == "head" else "probe"
    config.method = chosen["method"]
    config.num_devices = 0  # 0: all devices
    config.batch_size = 64
    # Work folder of a fine-tuning run (head) or pre-training run (probe, knn), or the name of a
    # shipped model such as physio-small (probe, knn).
    config.init_from = ""
    if chosen["method"] == "head":
        config.data = ConfigDict()
        config.data.sets = ""  # prepared data sets; '': those of the run
        config.data.root = ""  # their folder; '': that of the run
        config.data.path = ""  # folder of recordings, with sets=folder
        config.data.split_rule = ""  # '': that of the run
        config.data.num_threads = 4
        config.split = "test"  # train, validation, test; all: every recording
        add_evaluation(config)
        return config
    config.seed = 0  # seed of the random encoder and of the label fraction
    config.encoders = "pretrained,random"  # the first is evaluated, the others are compared with it
    config.refit = False  # refit on training and validation after the regularization is chosen
    config.torch_weights = ""  # a .pth or .npz of the original instead of a run
    config.torch_config = ""  # JSON file with the arguments of its constructor
    scratch = pretraining_config(f"preset={chosen['preset']},data={chosen['data']}")
    config.sampling_rate_hz = scratch.sampling_rate_hz  # for encoders=wavelets alone
    config.window_seconds = scratch.window_seconds
    config.model = scratch.model
    add_task(config, chosen["data"], scratch.data)
    return config
