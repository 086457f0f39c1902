"""Contrastive runs are evaluated by retrieval."""

import pytest

from configs import pretrain as pretrain_config
from configs import retrieval as retrieval_config
from physio_mae_jax import atomic_files
from physio_mae_jax.commands import pretrain
from physio_mae_jax.commands import retrieve as retrieve_command
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.evaluation.retrieval import retrieve
from physio_mae_jax.training.loop import train
from tests.runs import typed


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("contrastive")
    config = pretrain_config.get_config("variant=contrastive,preset=debug")
    config.num_devices, config.accumulation_steps = 1, 2
    # The pooled readout is retrieved with in ``program/test_saved_formats.py``.
    config.contrastive.readout, config.contrastive.view = "aligned", "whole"
    with pytest.MonkeyPatch.context() as patch:
        # Nobody looks at its pictures, which take longer than its steps.
        patch.setattr(atomic_files, "write_figure", lambda path, figure: None)
        train(pretrain.build_pretraining(typed(config), workdir))
    return workdir


def test_a_contrastive_run_is_evaluated_by_retrieval(trained, tmp_path):
    config = retrieval_config.get_config()
    config.init_from, config.max_windows_per_subject, config.batch_size = str(trained), 4, 8
    config.probe_recordings, config.probe_windows = 8, 2
    results = retrieve(retrieve_command.build_retrieval(typed(config), tmp_path, strict=False))
    assert results["num_windows"] > 10
    assert 0 <= results["pretrained"]["PPG to II"]["all"]["recall@10"] <= 1
    assert "correlation" in results["pretrained"]["delay"]
    assert (tmp_path / "retrieval.md").read_text(encoding="utf-8").count("| chance |") == 6
    assert "peaks: no learning" in (tmp_path / "retrieval.md").read_text(encoding="utf-8")
    assert results["peaks"]["II to PPG"]["within"]["recall@1"] > 0.5
    assert (tmp_path / "plots" / "retrieval.png").stat().st_size > 1000


def test_wrong_runs_are_reported(trained, tmp_path):
    config = retrieval_config.get_config()
    config.init_from = str(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="not the work folder of a run"):
        retrieve_command.build_retrieval(typed(config), tmp_path, strict=False)
    config = pretrain_config.get_config("variant=contrastive,preset=debug")
    config.data.channels = "I,II,PPG"
    with pytest.raises(ConfigError, match="name two"):
        pretrain.build_pretraining(typed(config), tmp_path)
    config.data.channels = "II,PPG"
    config.contrastive.readout, config.contrastive.view = "aligned", "whole"
    with pytest.raises(ConfigError, match=r"set data\.channels to PPG,II"):
        pretrain.build_pretraining(typed(config), tmp_path)
