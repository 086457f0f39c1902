"""Settings that the arguments variant, mask and attention of configs/pretrain.py change."""

from ml_collections import ConfigDict


def published_width(config: ConfigDict) -> None:
    config.model.width = 768
    config.model.num_heads = 12
    config.model.decoder_width = 512
    config.model.decoder_depth = 8
    config.model.decoder_num_heads = 16


def _joint(config: ConfigDict, preset: str) -> None:
    """Apply the settings common to v1 and v2."""
    if preset == "base":
        published_width(config)
    model, objective = config.model, config.objective
    model.encoder_attention = "joint"
    model.decoder_attention = "joint"
    model.class_token = True
    model.waveform_branch = False
    model.waveform_head_norm = False
    objective.mask.kind = "random"
    objective.waveform_weight = 0.0  # the scalogram only
    objective.plane_weights = (1 / 3, 1 / 3, 1 / 3)


def _v2(config: ConfigDict, preset: str) -> None:
    _joint(config, preset)
    config.model.mlp_rank_ratio = 0.37  # 42 M at the published width
    config.model.attention_rank_ratio = 0.37
    config.data.channels = config.data.channels.split(",")[0]


def _v3(config: ConfigDict, preset: str) -> None:
    if preset == "upstream":
        # 64 features per head instead of 32: equal parameters, and 10 % faster.
        config.model.decoder_num_heads = 8


def _v31(config: ConfigDict, preset: str) -> None:
    _v3(config, preset)
    config.model.time_mixer = "state_space"
    config.model.attention_every = 4  # at 'tiny' the last of 4 layers, and none of the decoder
    if preset in ("tiny", "debug"):
        config.model.state_size = 32


def _contrastive(config: ConfigDict, preset: str) -> None:
    _v3(config, preset)
    config.accumulation_steps = 1  # the other windows of a micro-batch are the negatives
    if config.data.sets == "synthetic" or config.data.channels == "II,PPG":
        config.data.channels = "PPG,II"
    config.contrastive.weight = 1.0
    config.data.speed_perturbation = (0.6, 1.6)
    if preset == "tiny":
        config.batch_size = 32


def _as_in_code(config: ConfigDict) -> None:
    """Apply the settings common to all versions of the original's code."""
    config.model.wavelet.bank = "samples"
    config.model.channel_embedding = False
    config.model.decoder_attention = "joint"
    config.objective.mask_before_wavelet = False
    config.objective.band_floor = 1.0  # with the tilt: all scales alike
    config.objective.scale_tilt = 0.0


def _joint_upstream(config: ConfigDict, preset: str, patch_samples: int) -> None:
    _joint(config, preset)
    _as_in_code(config)
    config.model.rotary_positions = "token"
    config.model.mlp_rank_ratio = 0.5
    config.objective.waveform_weight = 1.0
    config.objective.waveform_columns = "all"
    if preset == "upstream":
        config.model.patch_samples = patch_samples
        config.model.patch_scales = 4


def _v1_upstream(config: ConfigDict, preset: str) -> None:
    _joint_upstream(config, preset, patch_samples=25)
    config.model.convolutional_stem = "normalized"


def _v2_upstream(config: ConfigDict, preset: str) -> None:
    _joint_upstream(config, preset, patch_samples=50)
    config.data.channels = config.data.channels.split(",")[0]


def _v3_upstream(config: ConfigDict, preset: str) -> None:
    _contrastive(config, preset)
    _as_in_code(config)
    if preset in ("base", "upstream"):
        published_width(config)
    config.contrastive.view = "whole"
    config.data.speed_perturbation = (1.0, 1.0)
    config.contrastive.same_subject_negatives = True


def _random_rows(config: ConfigDict) -> None:
    config.objective.mask.kind = "random_rows"
    config.model.waveform_branch = False


def _time_scale(config: ConfigDict) -> None:
    config.objective.mask.kind = "time_scale"


def _channels(config: ConfigDict) -> None:
    config.objective.mask.channel_mask_ratio = 0.25
    config.model.decoder_channel_embedding = True


def _cudnn(config: ConfigDict) -> None:
    config.model.attention_implementation = "cudnn"


def _fused(config: ConfigDict) -> None:
    config.model.attention_implementation = "fused"
    config.model.unroll_layers = True
    if config.model.remat == "full":
        config.model.remat = "elementwise"


# The first of each is the default.
VARIANTS = {
    "v3": _v3,
    "v1": _joint,
    "v2": _v2,
    "contrastive": _contrastive,
    "v31": _v31,
    "v1_upstream": _v1_upstream,
    "v2_upstream": _v2_upstream,
    "v3_upstream": _v3_upstream,
}
MASKS = {
    "default": lambda config: None,
    "random_rows": _random_rows,
    "time_scale": _time_scale,
    "channels": _channels,
}
ATTENTION = {
    "xla": lambda config: None,
    "cudnn": _cudnn,
    "fused": _fused,
}
