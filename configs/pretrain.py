"""Pre-train CWT-MAE-RoPE, of any version, by masked reconstruction.

    python -m physio_mae_jax.main --config=configs/pretrain.py:preset=tiny,data=synthetic \
        --workdir=runs/first

Arguments after the colon, the first of each being the default:

    variant    v3           factorized attention, waveform and wavelet tokens, tube masks
               v1           all channels in one sequence, wavelet tokens, random masks
               v2           one channel, low-rank layers, otherwise as v1
               contrastive  v3 that also aligns two modalities of a window (PPG and ECG)
               v31          v3 with state-space layers over time, every fourth of attention
               v1_upstream, v2_upstream, v3_upstream: what the original's code does, where it
                            differs from its README
    preset     tiny      0.9 M parameters, 10 s windows; minutes on two CPU cores
               small     9 M parameters, 10 s windows; one GPU, or part of one
               base      56 M parameters, 30 s windows; one GPU
               upstream  the published width (768 × 12, decoder 512 × 8); one large GPU
               debug     two steps of a toy model, as a smoke test
    data       synthetic     generated, nothing to download: 12-lead ECG, PPG, EEG
               folder        your own recordings: --config.data.path=DIR, see README.md
               ptbxl, bidmc, mimic3, wesad, mitbih, cinc2011, cinc2015, cinc2017, ppg_rhythm,
               sleep_edf, stress_predict, bonn, challenge2021, ludb, brugada, eegmat
                             sets prepared into $PHYSIO_MAE_DATA by physio_mae_jax.prepare; several
                             at once, as ptbxl+bidmc, also with different channels
               ptbxl_subset  z-scored PTB-XL records, one npz, in $PHYSIO_MAE_DATA/ptbxl_subset
    mask       default      tube for v3, random for v1 and v2
               random_rows  different columns in each frequency row (without the waveform branch)
               time_scale   whole columns and whole frequency rows
               channels     tube, and a quarter of the channels entirely
    attention  xla    anywhere
               cudnn  NVIDIA GPUs, with a bfloat16 preset: attention over time by cuDNN
               fused  the same, with custom kernels and unrolled layers: the fastest

Any setting below can be overridden: ``--config.optimizer.peak_learning_rate=3e-4``.
"""

import os
from pathlib import Path

from ml_collections import ConfigDict

from configs.tasks import DEFAULTS
from configs.variants import ATTENTION, MASKS, VARIANTS, published_width
from physio_mae_jax.experiment.typed_config import parse_argument
from physio_mae_jax.preparation.recording import TrainingDefaults

ARGUMENTS = {
    "variant": tuple(VARIANTS),
    "preset": ("tiny", "small", "base", "upstream", "debug"),
    "data": ("synthetic", "folder", *DEFAULTS),
    "mask": tuple(MASKS),
    "attention": tuple(ATTENTION),
}
# Sets that may also be under the root as collected, one npz each.
_RAW = {
    name: Path(__file__).parent / "manifests" / f"{name}.json" for name in ("bidmc", "ptbxl_subset")
}


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of a pre-training run."""
    chosen = parse_argument(argument, ARGUMENTS, several="data")
    config = _defaults()
    _PRESETS[chosen["preset"]](config)
    _choose_data(config, chosen["data"])
    VARIANTS[chosen["variant"]](config, chosen["preset"])
    MASKS[chosen["mask"]](config)
    ATTENTION[chosen["attention"]](config)
    return config


def _defaults() -> ConfigDict:
    """Return the settings of the preset 'base' on synthetic data."""
    config = ConfigDict()
    config.command = "pretrain"
    config.seed = 0
    config.num_devices = 0  # 0: all devices
    config.fsdp = 1  # devices that share one copy of parameters and moments, for large models
    config.batch_size = 64  # windows per step, over all devices and accumulation steps
    config.accumulation_steps = 1  # micro-batches per step; reduces memory, with the same result
    config.sampling_rate_hz = 100.0  # recordings of another rate are resampled
    config.window_seconds = 30.0
    config.data = _data()
    config.model = _model()
    config.objective = _objective()
    config.contrastive = _contrastive_loss()
    config.optimizer = _optimizer()
    config.loop = _loop()
    return config


def _data() -> ConfigDict:
    """Which recordings are used, and how they are split, loaded and augmented."""
    data = ConfigDict()
    data.sets = "synthetic"  # 'ptbxl:2+bidmc:1': several, with weights
    data.sampling_temperature = 1.0  # several sets without weights: 2.0 samples small ones more
    data.windows_per_recording = 1  # above 1: harder negatives within a batch
    data.root = os.environ.get("PHYSIO_MAE_DATA", "data")  # folder of prepared sets
    data.path = ""  # folder of recordings, with sets=folder
    data.manifest = ""  # '': DIR/manifest.json, or self-describing files
    data.raw_manifests = ConfigDict({name: str(path) for name, path in _RAW.items()})
    data.channels = "I,II,V2,PPG"  # names or a policy; '': all channels of each recording
    data.missing_channels = "error"  # or 'mask': recordings may lack some of them
    data.on_invalid = "error"  # or 'skip': exclude NaN, short or broken recordings
    data.band_hz = (0.0, 0.0)  # (0.5, 40.0): band-pass filtered before normalization
    data.split_rule = "random=|0.1|"  # by subject; see physio_mae_jax/data/splits.py
    data.split_seed = 0
    data.max_validation_windows = 256
    data.num_threads = 2  # prefetch threads; more only help with a slow disk
    data.cache_mib = 1024  # cache of decoded samples per process; 0: none
    # (0.6, 1.6): range of playback speeds, to vary heart rates
    data.speed_perturbation = (1.0, 1.0)
    data.augment = ConfigDict()  # in standard deviations; see signals/augment.py
    data.augment.noise = 0.0
    data.augment.baseline_wander = 0.0
    data.augment.powerline = 0.0
    data.augment.channel_dropout = 0.0
    data.augment.time_mask = 0.0
    data.cohort = ConfigDict()  # settings of data=synthetic
    data.cohort.num_subjects = 64
    data.cohort.recordings_per_subject = 2
    data.cohort.seconds = 60.0
    data.cohort.sampling_rate_hz = 100.0
    data.cohort.noise_level = 1.0
    data.cohort.seed = 0
    return data


def _model() -> ConfigDict:
    """Sizes and parts of the autoencoder."""
    model = ConfigDict()
    model.patch_samples = 30  # 0.3 s per column
    model.patch_scales = 8  # 8 frequency rows of 8 scales
    model.width = 512
    model.depth = 12
    model.num_heads = 8
    model.decoder_width = 256
    model.decoder_depth = 4
    model.decoder_num_heads = 4
    model.encoder_attention = "factorized"  # 'joint': all tokens at once, far more expensive
    model.decoder_attention = "factorized"
    model.time_mixer = "attention"  # 'state_space': linear cost, memory of any length
    model.attention_every = 0  # 4: with state_space, every fourth layer has attention
    model.state_size = 64  # features of the state, with state_space
    model.lookahead_seconds = 0.0  # 2.0: with state_space, read at most the rest of a 2 s block
    model.attention_block_seconds = 0.0  # long windows: 10.0, for linear cost in length
    model.channel_attention = True
    model.channel_smoothing = True  # along time, before attention across channels
    model.mlp_rank_ratio = 0.0  # 0: full matrices
    model.attention_rank_ratio = 0.0
    model.class_token = False  # joint attention only
    model.rotary_positions = "column"  # 'token': sequence position, as in v1 and v2
    model.waveform_branch = True  # raw samples beside wavelets
    model.convolutional_stem = "none"  # 'normalized': two convolutions before the patches
    model.waveform_head_norm = True
    model.channel_embedding = True  # a learned vector for each channel name
    model.decoder_channel_embedding = False
    model.attention_implementation = "xla"
    model.remat = "full"  # 'none' is faster where memory allows; 'elementwise' nearly so
    model.unroll_layers = False  # True: faster on a GPU, longer to compile
    model.compute_dtype = "bfloat16"
    model.wavelet = ConfigDict()
    model.wavelet.bank = "hz"  # 'samples': the linear bank of the original
    model.wavelet.num_scales = 64
    model.wavelet.lowest_frequency_hz = 0.5
    model.wavelet.highest_frequency_hz = 50.0
    model.wavelet.difference_planes = True
    return model


def _objective() -> ConfigDict:
    """Masks and losses of the reconstruction."""
    objective = ConfigDict()
    objective.mask = ConfigDict()
    objective.mask.kind = "tube"
    objective.mask.mask_ratio = 0.75
    objective.mask.row_mask_ratio = 0.25  # masked fraction of rows, with mask=time_scale
    objective.mask.channel_mask_ratio = 0.0  # fraction of channels masked entirely
    objective.mask_before_wavelet = True  # False: wavelets leak masked samples
    objective.waveform_weight = 1.0
    objective.waveform_columns = "masked"  # or 'all'
    objective.predicted_share = 1.0  # 0.5: half of the masked columns in each step, which is faster
    objective.plane_weights = (1.0, 0.5, 0.1)
    objective.band_hz = (0.5, 50.0)  # physiology; half weight at its ends
    objective.band_edge_octaves = 1.0
    objective.band_floor = 0.1
    objective.scale_tilt = 0.5
    objective.latent_weight = 0.0  # 1.0: also predict the latents of an averaged encoder
    objective.teacher_decay = 0.999  # decay of that average
    return objective


def _contrastive_loss() -> ConfigDict:
    """Alignment of two channels; off by default."""
    contrastive = ConfigDict()
    contrastive.weight = 0.0  # above 0: align the two channels of data.channels
    contrastive.view = "masked"  # 'whole': a second pass over all tokens
    contrastive.same_subject_negatives = False
    contrastive.temperature = 0.07
    contrastive.temperature_is_learned = False
    contrastive.projection_width = 256
    contrastive.readout = "pooled"  # 'aligned': by time steps at the best lag; view='whole'
    contrastive.column_steps = 4  # time steps per column of an aligned readout, 50 to 75 ms each
    contrastive.step_width = 16  # numbers per step
    contrastive.lag_seconds = (0.08, 0.7)  # of the first channel after the second: pulse, ECG
    contrastive.pooled_weight = 0.3  # of the pooled loss beside the aligned one
    contrastive.rotated_negatives = 8  # the own partner, rotated by 1 s or more
    contrastive.cross_modal_weight = 0.0  # also reconstruct a hidden channel from the other
    return contrastive


def _optimizer() -> ConfigDict:
    """AdamW with warm-up and cosine decay."""
    optimizer = ConfigDict()
    optimizer.peak_learning_rate = 3e-4  # as given: never scaled by batch or devices
    optimizer.end_learning_rate = 1e-6
    optimizer.warmup_steps = 2_000
    optimizer.weight_decay = 0.05
    optimizer.clip_norm = 3.0
    optimizer.beta1 = 0.9
    optimizer.beta2 = 0.95
    return optimizer


def _loop() -> ConfigDict:
    """Length of the run, reports, checkpoints and profiles."""
    loop = ConfigDict()
    loop.num_steps = 50_000
    loop.log_every_steps = 50
    loop.evaluate_every_steps = 1_000
    loop.checkpoint_every_steps = 1_000
    loop.max_to_keep = 3
    loop.watchdog_seconds = 1800.0  # abort if a step, a wait for data or a save takes longer
    loop.profile_at_step = 0  # record a profile for TensorBoard; also whenever SIGUSR1 comes
    loop.profile_num_steps = 5
    return loop


def _tiny(config: ConfigDict) -> None:
    config.batch_size = 16
    config.window_seconds = 10.0
    config.data.channels = "II,V2,PPG"
    config.data.max_validation_windows = 96
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


def _small(config: ConfigDict) -> None:
    _tiny(config)
    config.batch_size = 128
    config.model.width = 256
    config.model.depth = 8
    config.model.num_heads = 4
    config.model.decoder_width = 128
    config.model.remat = "full"  # labeled windows are encoded whole: 17 GiB without, at batch 64
    config.model.compute_dtype = "bfloat16"
    config.optimizer.peak_learning_rate = 1e-3
    config.optimizer.warmup_steps = 150
    config.loop.num_steps = 3_500
    config.loop.log_every_steps = 100
    config.loop.evaluate_every_steps = config.loop.checkpoint_every_steps = 500


def _upstream(config: ConfigDict) -> None:
    published_width(config)
    config.batch_size = 32
    config.accumulation_steps = 4  # 12 leads of 30 s fit 24 GiB
    config.optimizer.peak_learning_rate = 1.5e-4
    config.optimizer.warmup_steps = 5_000
    config.loop.num_steps = 100_000


def _debug(config: ConfigDict) -> None:
    _tiny(config)
    config.batch_size = 8
    config.window_seconds = 6.0
    config.data.max_validation_windows = 8
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


def _choose_data(config: ConfigDict, names: str) -> None:
    """Set the data sets and choose channels and windows that they provide."""
    chosen = names.split("+")
    config.data.sets = names
    if names == "synthetic":
        return
    defaults = [DEFAULTS.get(name, TrainingDefaults()) for name in chosen]
    config.data.channels = defaults[0].channels if len(chosen) == 1 else ""
    bounds = [item.max_window_seconds for item in defaults if item.max_window_seconds]
    longest = min(bounds, default=config.window_seconds)
    if config.window_seconds > longest:
        config.window_seconds = longest
        config.model.patch_samples = 25


_PRESETS = {
    "tiny": _tiny,
    "small": _small,
    "base": lambda config: None,
    "upstream": _upstream,
    "debug": _debug,
}
