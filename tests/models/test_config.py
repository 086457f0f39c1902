"""Impossible shapes and variants are rejected with the way out."""

import pytest

from physio_mae_jax.errors import ConfigError
from tests.factories import tiny_model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_samples": 410}, "whole number of columns"),
        ({"patch_scales": 5}, "not a multiple of model.patch_scales=5"),
        ({"num_heads": 5}, "model.width=32 is not divisible by model.num_heads=5"),
        ({"decoder_num_heads": 16}, "heads of an even size"),
        ({"remat": "some"}, "choose one of none, elementwise, full"),
        ({"attention_implementation": "cudnn"}, r"requires model\.compute_dtype=.bfloat16"),
        (
            {"attention_implementation": "cudnn", "compute_dtype": "bfloat16", "num_heads": 8},
            "multiple of 8",
        ),
    ],
)
def test_impossible_shapes_are_rejected_with_the_way_out(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny_model(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_token": True}, "needs one sequence"),
        ({"mlp_rank_ratio": 1.5}, r"mlp_rank_ratio is 1\.5"),
        ({"rotary_positions": "time"}, "choose one of column, token"),
    ],
)
def test_variants_that_make_no_sense_are_rejected(changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny_model(**changes)
