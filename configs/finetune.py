"""Settings of fine-tuning: a pre-trained encoder, one from scratch, or a ResNet.

    python -m physio_mae_jax.main --config=configs/finetune.py:data=ptbxl \
        --config.init_from=runs/ptbxl --workdir=runs/ptbxl_superclass

Arguments after the colon, ``name=value`` separated by commas:

    architecture  mae         our encoder: from --config.init_from, else from scratch
                  resnet1d_wang, xresnet1d101   the convolutional baselines, from scratch
    preset   tiny, small, base, upstream, debug   as in configs/pretrain.py, if from scratch
    data     ptbxl, ptbxl_subset, mitbih, bidmc, stress_predict, bonn, cinc2011, cinc2015, cinc2017,
             ppg_rhythm, sleep_edf, wesad, mimic3, challenge2021, ludb, brugada, eegmat
             prepared sets, each with its own task and split below
    task     default     the task of the data set in configs/tasks.py
             waves, …    another one of its tasks, with all classes; prepare --list has them
    attention  xla, cudnn, fused   for an encoder from scratch

Validation chooses the model, its calibration and its thresholds; test is read once, at the end.
Written: evaluation.json, evaluation.md, plots/, predictions/, split.json and the best model.
"""

from ml_collections import ConfigDict

from configs.pretrain import ARGUMENTS as PRETRAINING_ARGUMENTS
from configs.pretrain import get_config as pretraining_config
from configs.tasks import DEFAULT_TASK, DEFAULTS, SAMPLE_TASKS, TASKS, TASKS_OF, add_task
from physio_mae_jax.experiment.typed_config import parse_argument

ARGUMENTS = {
    "architecture": ("mae", "resnet1d_wang", "xresnet1d101"),
    "preset": PRETRAINING_ARGUMENTS["preset"],
    "data": TASKS,
    "task": (DEFAULT_TASK, *sorted({task for tasks in TASKS_OF.values() for task in tasks})),
    "attention": PRETRAINING_ARGUMENTS["attention"],
}


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of a fine-tuning."""
    chosen = parse_argument(argument, ARGUMENTS)
    scratch = pretraining_config(
        f"preset={chosen['preset']},data={chosen['data']},attention={chosen['attention']}"
    )
    config = ConfigDict()
    config.command = "finetune"
    config.seed = 0
    config.num_devices = 0  # 0: all devices
    config.fsdp = 1  # devices that share one copy of parameters and moments, for large models
    config.batch_size = 64
    config.init_from = ""  # a shipped model such as physio-small, or a run; '': from scratch
    config.torch_weights = ""  # a .pth or .npz of the original instead, see torch_config
    config.torch_config = ""  # JSON file with the arguments of its constructor
    config.architecture = chosen["architecture"]
    config.sampling_rate_hz = scratch.sampling_rate_hz  # for an encoder from scratch or a ResNet
    config.window_seconds = scratch.window_seconds
    config.model = scratch.model  # for an encoder from scratch

    add_task(config, chosen["data"], scratch.data, chosen["task"])
    config.balanced_sampling = False  # True: class-balanced sampling of training windows

    config.head = _head()
    if chosen["task"] == DEFAULT_TASK:
        config.head.kind = DEFAULTS[chosen["data"]].head
    elif chosen["task"] in SAMPLE_TASKS:
        config.head.kind = "convolution"
    config.objective = ConfigDict()
    config.objective.focal_gamma = 0.0
    config.objective.label_smoothing = 0.0
    config.objective.balance = "none"  # inverse, effective
    config.objective.mixup = 0.0

    config.auxiliary = ConfigDict()
    config.auxiliary.task = ""  # another task of the recordings to train jointly, such as 'all'
    config.auxiliary.weight = 0.5  # of its loss

    config.lora = ConfigDict()
    config.lora.rank = 0  # 8: train low-rank adapters of the encoder's dense layers instead of it
    config.lora.alpha = 16.0  # adapters are scaled by alpha / rank

    config.optimizer = _optimizer()
    config.layer_decay = 0.75  # learning-rate factor from one block to the one before it
    config.encoder_lr_scale = 1.0  # learning-rate factor of the whole encoder, relative to the head
    config.head_only_steps = 0  # steps at first that train only the head of a pre-trained encoder
    config.drop_path_rate = 0.0  # probability of dropping a residual branch of the encoder
    # -1: train all; 0: freeze only the layers before the blocks; k: these and the first k blocks
    config.frozen_blocks = -1
    config.ema_decay = 0.0  # 0.98: decay of a parameter average, which is then evaluated

    config.loop = _loop()
    config.patience = 10  # early stopping: validations without improvement; 0 disables

    if chosen["preset"] == "debug":
        config.batch_size, config.loop.num_steps = 8, 4
        config.loop.evaluate_every_steps = config.loop.log_every_steps = 2
        config.loop.checkpoint_every_steps, config.optimizer.warmup_steps = 2, 1
        config.evaluation.num_resamples = 50
    return config


def _head() -> ConfigDict:
    """Head on the encoder's tokens."""
    head = ConfigDict()
    # attention, event, reasoning, residual_mlp, statistics; of samples: linear, convolution
    head.kind = "linear"
    head.num_queries = 16
    head.dropout_rate = 0.2
    head.arcface = False
    head.arcface_scale = 30.0
    head.arcface_margin = 0.5
    return head


def _optimizer() -> ConfigDict:
    """AdamW with warm-up and cosine decay."""
    optimizer = ConfigDict()
    optimizer.peak_learning_rate = 1e-3
    optimizer.end_learning_rate = 1e-6
    optimizer.warmup_steps = 50
    optimizer.weight_decay = 0.05
    optimizer.clip_norm = 3.0
    optimizer.beta1 = 0.9
    optimizer.beta2 = 0.999
    return optimizer


def _loop() -> ConfigDict:
    """Length of the run, reports, checkpoints and profiles."""
    loop = ConfigDict()
    loop.num_steps = 600
    loop.log_every_steps = 25
    loop.evaluate_every_steps = 25
    loop.checkpoint_every_steps = 200
    loop.max_to_keep = 1
    loop.watchdog_seconds = 1800.0  # abort if a step, a wait for data or a save takes longer
    loop.profile_at_step = 0  # record a profile for TensorBoard; also whenever SIGUSR1 comes
    loop.profile_num_steps = 5
    return loop
