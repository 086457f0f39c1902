"""Only finished runs of fine-tuning are evaluated again."""

import pytest

from physio_mae_jax.commands.evaluate import build_evaluation
from physio_mae_jax.commands.finetune import build_finetuning
from physio_mae_jax.errors import ConfigError
from tests.runs import finetuning_config, head_config, typed


@pytest.fixture
def unfinished(waves_root, tmp_path):
    """The work folder of a fine-tuning that was built and stopped there."""
    build_finetuning(typed(finetuning_config(waves_root)), tmp_path / "unfinished", strict=True)
    return tmp_path / "unfinished"


def test_only_a_finished_run_is_evaluated_again(unfinished, tmp_path):
    for run, message in (
        (unfinished, r"has no calibration\.json, so it is unfinished; repeat its command"),
        ("/none", r"/none/config\.json is absent"),
    ):
        with pytest.raises(ConfigError, match=message):
            build_evaluation(typed(head_config(run)), tmp_path / "card", strict=True)


def test_a_pretraining_has_no_head_to_evaluate(pretrained, tmp_path):
    with pytest.raises(ConfigError, match=r"a 'pretrain' run and has no head; .*method=probe"):
        build_evaluation(typed(head_config(pretrained)), tmp_path, strict=True)
