"""Comparisons of models, from configs to reports."""

import pytest

from configs import compare as compare_config
from physio_mae_jax.commands.compare import build_comparison, compare_models
from physio_mae_jax.errors import ConfigError, UserError
from tests.commands.comparisons import on_waves
from tests.runs import SPLIT, read_json, typed

ROWS = "pretrained,scratch,wavelets"


def comparison(root, run, **changes):
    config = compare_config.get_config("preset=debug")
    for name in ("pretrained", "scratch", "wavelets"):
        config[name].num_devices = 1
    wanted = {
        "init_from": str(run),
        "models": ROWS,
        "label_fractions": "1",
        "seeds": "0",
        "data.split_rule": SPLIT,
    }
    return on_waves(config, root, **wanted | changes)


def compare(config, folder):
    compare_models(build_comparison(typed(config), folder, strict=True))


@pytest.fixture(scope="module")
def compared(waves_root, pretrained, tmp_path_factory):
    """A comparison that is done."""
    folder = tmp_path_factory.mktemp("compared")
    compare(comparison(waves_root, pretrained), folder)
    return folder


def test_every_row_is_evaluated_on_the_same_instances(compared):
    content = read_json(compared / "comparison.json")
    assert [cell["row"] for cell in content["cells"]] == ROWS.split(",")
    first, *others = content["cells"]
    assert first["difference"] is None
    for cell in others:
        difference = cell["mean"]["value"] - first["mean"]["value"]
        assert cell["difference"]["value"] == pytest.approx(difference)
        card = read_json(compared / cell["row"] / "labels_1/seed_0/evaluation.json")
        overall = card["evaluations"]["test"]["overall"]
        assert overall["macro_auroc"]["value"] == pytest.approx(cell["values"]["0"])
    assert content["cells"][2]["mean"]["value"] > 0.9  # slow and fast differ in their wavelets
    text = (compared / "comparison.md").read_text(encoding="utf-8")
    assert all(f"| {row} |" in text for row in ROWS.split(","))
    assert (compared / "plots/comparison.png").is_file()


def test_rows_use_their_initial_weights(compared):
    settings = {
        row: read_json(compared / row / "labels_1/seed_0/config.json")
        for row in ("pretrained", "scratch")
    }
    assert settings["pretrained"]["config"]["init_from"]
    assert not settings["scratch"]["config"]["init_from"]
    # The same architecture and window, though nothing in the row says so.
    assert (
        settings["pretrained"]["model_spec"]["model"] == settings["scratch"]["model_spec"]["model"]
    )


def test_finished_trials_stay_and_more_can_be_added(compared, waves_root, pretrained):
    report = compared / "scratch/labels_1/seed_0/evaluation.md"
    before = report.stat().st_mtime_ns
    config = comparison(waves_root, pretrained, models=f"{ROWS},random_probe")
    config.random_probe.num_devices = 1
    compare(config, compared)
    assert report.stat().st_mtime_ns == before
    assert len(read_json(compared / "comparison.json")["cells"]) == 4


def test_other_settings_in_the_same_folder_are_rejected(compared, waves_root, pretrained):
    config = comparison(waves_root, pretrained)
    config.scratch.batch_size = 4
    with pytest.raises(ConfigError, match=r"different values of scratch\.batch_size"):
        build_comparison(typed(config), compared, strict=True)


def test_report_waits_for_trials_of_other_processes(compared, waves_root, pretrained, monkeypatch):
    config = comparison(waves_root, pretrained, models="wavelets", seeds="1")
    run = build_comparison(typed(config), compared, strict=True)
    monkeypatch.setattr("physio_mae_jax.experiment.sweep.run_trials", lambda *_: None)
    with pytest.raises(UserError, match=r"1 of 1 trials are not done yet, such as wavelets"):
        compare_models(run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": "pretrained,resnet"}, r"models must be among knn, pretrained.*; got 'resnet'"),
        ({"models": ""}, "models must name at least one"),
        ({"label_fractions": "0.1,2"}, "label_fractions must be fractions in"),
        ({"label_fractions": "a"}, "could not convert"),
        ({"num_workers": 0}, "num_workers is 0"),
    ],
)
def test_wrong_settings_are_rejected_before_anything_is_opened(tmp_path, changes, message):
    config = comparison(tmp_path / "no data", tmp_path / "no run", **changes)
    with pytest.raises(ConfigError, match=message):
        build_comparison(typed(config), tmp_path, strict=True)
