"""Pre-train CWT-MAE-RoPE v3 by masked reconstruction.

    python -m physio_mae_jax.main --config=configs/pretrain.py:preset=tiny,data=synthetic \
        --workdir=runs/first

Arguments after the colon, the first of each being the default:

    preset     tiny      0.9 M parameters, 10 s windows; minutes on two CPU cores
               base      56 M parameters, 30 s windows; one GPU
               upstream  the published width (768 × 12, decoder 512 × 8); one large GPU
               debug     two steps of a toy, to see that everything runs
    data       synthetic     made here, nothing to download: 12-lead ECG, PPG, EEG
               folder        your own recordings: --config.data.path=DIR, see README.md
               bidmc         the BIDMC set (ECG and PPG) in $PHYSIO_MAE_DATA/bidmc
               ptbxl_subset  z-scored PTB-XL records, one npz, in $PHYSIO_MAE_DATA/ptbxl_subset
    attention  xla    anywhere
               cudnn  NVIDIA GPUs, with a bfloat16 preset

Any setting below can be overridden: ``--config.optimizer.peak_learning_rate=3e-4``.
"""

import os
from pathlib import Path

from ml_collections import ConfigDict

from physio_mae_jax.experiment import parse_argument

ARGUMENTS = {
    "preset": ("tiny", "base", "upstream", "debug"),
    "data": ("synthetic", "folder", "bidmc", "ptbxl_subset"),
    "attention": ("xla", "cudnn"),
}
_MANIFESTS = Path(__file__).parent / "manifests"


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of a pre-training run."""
    chosen = parse_argument(argument, ARGUMENTS)
    config = _defaults()
    config.model.attention_implementation = chosen["attention"]
    _PRESETS[chosen["preset"]](config)
    _DATA[chosen["data"]](config)
    return config


def _defaults() -> ConfigDict:
    """Return the settings of the preset 'base' on synthetic data."""
    config = ConfigDict()
    config.seed = 0
    config.num_devices = 0  # 0: all there are
    config.batch_size = 64  # windows a step, over all devices and accumulation steps
    config.accumulation_steps = 1  # micro-batches a step; divides memory, not the result
    config.sampling_rate_hz = 100.0  # recordings of another rate are resampled
    config.window_seconds = 30.0

    config.data = ConfigDict()
    config.data.source = "synthetic"
    config.data.path = ""
    config.data.manifest = ""  # '': DIR/manifest.json, or files that describe themselves
    config.data.channels = "I,II,V2,PPG"  # order the model sees; '': those of the first recording
    config.data.missing_channels = "error"  # or 'mask': recordings may lack some of them
    config.data.on_invalid = "error"  # or 'skip': leave out NaN, short or broken recordings
    config.data.held_out_fraction = 0.1  # of the subjects
    config.data.split_seed = 0
    config.data.max_held_out_windows = 256
    config.data.num_threads = 8
    config.data.cohort = ConfigDict()  # of data=synthetic
    config.data.cohort.num_subjects = 64
    config.data.cohort.recordings_per_subject = 2
    config.data.cohort.seconds = 60.0
    config.data.cohort.seed = 0

    config.model = ConfigDict()
    config.model.patch_samples = 30  # 0.3 s a column
    config.model.patch_scales = 8  # 8 frequency rows of 8 scales
    config.model.width = 512
    config.model.depth = 12
    config.model.num_heads = 8
    config.model.decoder_width = 256
    config.model.decoder_depth = 4
    config.model.decoder_num_heads = 4
    config.model.decoder_attention = "factorized"  # 'joint': all tokens at once, far dearer
    config.model.channel_identity = True  # a learned vector for each channel name
    config.model.attention_implementation = "xla"
    config.model.remat = "full"  # 'none' is faster where memory allows
    config.model.compute_dtype = "bfloat16"
    config.model.wavelet = ConfigDict()
    config.model.wavelet.bank = "hz"  # 'samples': the linear bank of the original
    config.model.wavelet.num_scales = 64
    config.model.wavelet.lowest_frequency_hz = 0.5
    config.model.wavelet.highest_frequency_hz = 50.0
    config.model.wavelet.difference_planes = True

    config.objective = ConfigDict()
    config.objective.mask_ratio = 0.75
    config.objective.mask_before_wavelet = True  # False: wavelets leak what is hidden
    config.objective.waveform_weight = 1.0
    config.objective.plane_weights = (1.0, 0.5, 0.1)
    config.objective.band_hz = (0.5, 50.0)  # physiology; half weight at its ends
    config.objective.band_edge_octaves = 1.0
    config.objective.band_floor = 0.1
    config.objective.scale_tilt = 0.5

    config.optimizer = ConfigDict()
    config.optimizer.peak_learning_rate = 3e-4  # as given: never scaled by batch or devices
    config.optimizer.end_learning_rate = 1e-6
    config.optimizer.warmup_steps = 2_000
    config.optimizer.weight_decay = 0.05
    config.optimizer.clip_norm = 3.0
    config.optimizer.beta1 = 0.9
    config.optimizer.beta2 = 0.95

    config.loop = ConfigDict()
    config.loop.num_steps = 50_000
    config.loop.log_every_steps = 50
    config.loop.evaluate_every_steps = 1_000
    config.loop.checkpoint_every_steps = 1_000
    config.loop.keep_checkpoints = 3
    return config


def _tiny(config: ConfigDict) -> None:
    config.batch_size = 16
    config.window_seconds = 10.0
    config.data.channels = "II,V2,PPG"
    config.data.max_held_out_windows = 96
    config.data.num_threads = 2
    config.model.patch_samples = 20
    config.model.patch_scales = 16
    config.model.wavelet.num_scales = 32
    config.model.width = 96
    config.model.depth = 4
    config.model.num_heads = 3
    config.model.decoder_width = 64
    config.model.decoder_depth = 2
    config.model.decoder_num_heads = 2
    config.model.remat = "none"
    config.model.compute_dtype = "float32"
    config.optimizer.peak_learning_rate = 2e-3
    config.optimizer.warmup_steps = 50
    config.loop.num_steps = 300
    config.loop.log_every_steps = 25
    config.loop.evaluate_every_steps = 150
    config.loop.checkpoint_every_steps = 150


def _upstream(config: ConfigDict) -> None:
    config.model.width = 768
    config.model.num_heads = 12
    config.model.decoder_width = 512
    config.model.decoder_depth = 8
    config.model.decoder_num_heads = 16
    config.optimizer.peak_learning_rate = 1.5e-4
    config.optimizer.warmup_steps = 5_000
    config.loop.num_steps = 100_000


def _debug(config: ConfigDict) -> None:
    _tiny(config)
    config.batch_size = 8
    config.window_seconds = 6.0
    config.data.max_held_out_windows = 8
    config.model.width = 32
    config.model.depth = 1
    config.model.num_heads = 2
    config.model.decoder_width = 16
    config.model.decoder_depth = 1
    config.optimizer.warmup_steps = 1
    config.loop.num_steps = 2
    config.loop.log_every_steps = 1
    config.loop.evaluate_every_steps = 2
    config.loop.checkpoint_every_steps = 2


def _folder(config: ConfigDict) -> None:
    config.data.source = "folder"
    config.data.channels = ""


def _bidmc(config: ConfigDict) -> None:
    _named_folder(config, "bidmc")
    config.data.channels = "II,PPG"


def _ptbxl_subset(config: ConfigDict) -> None:
    _named_folder(config, "ptbxl_subset")
    config.data.channels = "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"
    if config.window_seconds > 10.0:  # its records last ten seconds
        config.window_seconds = 10.0
        config.model.patch_samples = 25


def _named_folder(config: ConfigDict, name: str) -> None:
    _folder(config)
    config.data.path = str(Path(os.environ.get("PHYSIO_MAE_DATA", "data")) / name)
    config.data.manifest = str(_MANIFESTS / f"{name}.json")


_PRESETS = {"tiny": _tiny, "base": lambda config: None, "upstream": _upstream, "debug": _debug}
_DATA = {
    "synthetic": lambda config: None,
    "folder": _folder,
    "bidmc": _bidmc,
    "ptbxl_subset": _ptbxl_subset,
}
