"""Shipped models as the encoder of every command, by their name."""

import pytest

from configs import features as features_config
from configs import retrieval as retrieval_config
from physio_mae_jax.commands.evaluate import build_evaluation
from physio_mae_jax.commands.extract_features import build_features
from physio_mae_jax.commands.finetune import build_finetuning, finetune
from physio_mae_jax.commands.probe import build_probe
from physio_mae_jax.commands.retrieve import build_retrieval
from physio_mae_jax.data.contamination import check_contamination
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.experiment.classifiers import init_from_encoder
from physio_mae_jax.experiment.pretrained_encoders import load_encoder
from physio_mae_jax.experiment.run_directory import open_run, read_run
from physio_mae_jax.experiment.run_record import collect_record, write_record
from physio_mae_jax.inference.trained_model import load_checkpoint
from tests.encoders import write_contrastive_run
from tests.runs import evaluation_config, finetuning_config, head_config, read_json, typed
from tests.shipped import shipped_from, write_shipped

NAME = "physio-small"
SHORT = {
    f"loop.{name}": 2
    for name in ("num_steps", "log_every_steps", "evaluate_every_steps", "checkpoint_every_steps")
} | {"optimizer.warmup_steps": 0}


@pytest.fixture(scope="module", autouse=True)
def shipped(pretrained, tmp_path_factory):
    """The model of a run on the waves, and one without the settings of its run."""
    folder = tmp_path_factory.mktemp("shipped")
    model = load_checkpoint(pretrained)
    write_record(write_shipped(folder, NAME, model), collect_record(pretrained))
    write_shipped(folder, "physio-bare", model)
    with shipped_from(folder):
        yield folder


def test_a_name_gives_the_encoder_its_window_and_its_training_data(pretrained):
    ours, theirs = load_encoder(NAME, 0.0), load_encoder(str(pretrained), 0.0)
    assert ours.origin == NAME
    assert ours.config == theirs.config
    assert ours.trained_on.to_json() == theirs.trained_on.to_json()
    assert init_from_encoder(NAME, "", "", 3.0).num_samples == 300


def test_an_unknown_name_is_rejected_with_the_known_ones():
    with pytest.raises(ConfigError, match="'physio-large' is neither a shipped model"):
        load_encoder("physio-large", 0.0)


def test_it_is_fine_tuned_and_the_report_names_it(waves_root, tmp_path):
    config = finetuning_config(waves_root, init_from=NAME, **SHORT)
    run = build_finetuning(typed(config), tmp_path / "tuned", strict=True)
    finetune(run)
    report = read_json(tmp_path / "tuned" / "evaluation.json")
    assert NAME in str(report)
    evaluated = build_evaluation(
        typed(head_config(tmp_path / "tuned")), tmp_path / "e", strict=True
    )
    assert len(evaluated.instances) > 0


def test_it_is_probed(waves_root, tmp_path):
    config = evaluation_config(
        waves_root, "probe", init_from=NAME, **{"labels.window_seconds": 4.0}
    )
    assert build_probe(typed(config), tmp_path / "probe", strict=True).context["checkpoint"] == NAME


def test_it_embeds_data_sets(waves_root, tmp_path):
    config = features_config.get_config("format=npz")
    config.init_from, config.num_devices = NAME, 1
    config.data.sets, config.data.root = "waves", str(waves_root)
    assert build_features(typed(config), tmp_path).encoder.trained.origin == NAME
    config.data.split_rule = "run"
    with pytest.raises(ConfigError, match=r"split\.json, which does not exist"):
        build_features(typed(config), tmp_path)


def test_an_evaluation_on_its_training_subjects_is_flagged(pretrained):
    run = open_run(str(pretrained), {})
    opened = run.open()
    seen = load_encoder(NAME, 0.0).trained_on
    assert check_contamination(seen, opened.source, opened.splits["test"], strict=True)
    with pytest.raises(DataError, match="CONTAMINATION: 12 of 12 subjects"):
        check_contamination(seen, opened.source, opened.splits["train"], strict=True)


def test_it_has_no_head_to_evaluate(tmp_path):
    with pytest.raises(ConfigError, match=r"'pretrain' run and has no head; .*method=probe"):
        build_evaluation(typed(head_config(NAME)), tmp_path, strict=False)
    with pytest.raises(ConfigError, match=r"without the settings of its run \(training\.json\)"):
        read_run("physio-bare")


def test_retrieval_takes_a_released_contrastive_model(shipped, pretrained, waves_root, tmp_path):
    config = retrieval_config.get_config()
    config.init_from, config.data.root = NAME, str(waves_root)
    with pytest.raises(ConfigError, match="was not contrastive"):
        build_retrieval(typed(config), tmp_path, strict=False)
    model = load_checkpoint(write_contrastive_run(tmp_path / "run"))
    write_record(write_shipped(shipped, "physio-pair", model), collect_record(pretrained))
    config.init_from = "physio-pair"
    run = build_retrieval(typed(config), tmp_path / "retrieved", strict=False)
    assert len(run.held_out) > 0
