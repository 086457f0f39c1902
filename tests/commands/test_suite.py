"""A suite of tasks on the waves, from the config to the page."""

import html.parser
import re

import pytest

from configs import suite as suite_config
from physio_mae_jax.commands.suite import build_suite, evaluate_suite, read
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.preparation.registry import LAYOUTS
from tests.commands.comparisons import on_waves
from tests.runs import SPLIT, read_json, typed

TASKS = "bonn,wesad,ptbxl_all,stress_predict_leaky,ludb,mitbih,eegmat,retrieval"


def on_the_waves(root, run, **changes):
    """Return the settings of small tasks of all kinds: with folds, leaky, and without data."""
    config = suite_config.get_config("size=quick,preset=debug")
    config.init_from, config.data.root = str(run), str(root)
    config.tasks, config.evaluation.num_resamples = TASKS, 50
    for name in ("pretrained", "probe", "wavelets"):
        config[name].num_devices = 1
    for name in TASKS.removesuffix(",retrieval").split(","):
        task = config[name]
        if name not in ("ludb", "stress_predict_leaky"):
            on_waves(task, root, **{"data.split_rule": SPLIT, "labels.classes": ""})
        task.longest_window_seconds = 3.0 * (name == "bonn")
    config.bonn.headline = "f1:fast"
    config.wesad.labels.task, config.wesad.folds = "state", "3"
    config.ptbxl_all.labels.task = "flags"
    leaky = config.stress_predict_leaky
    leaky.data.sets, leaky.data.channels, leaky.labels.task = "waves", "II,PPG", "wave"
    # No fold of the beats is asked for that there is.
    config.mitbih.data.split_rule, config.mitbih.labels.task = "fold=1|2|9", "beat"
    config.retrieval.data.sets = "waves"
    config.eegmat.folds, config.eegmat.label_fractions = "", "0.01,1"
    config.update_from_flattened_dict(changes)
    return config


def evaluate(config, folder, strict=False):
    return evaluate_suite(build_suite(typed(config), folder, strict=strict))


@pytest.fixture(scope="module")
def evaluated(waves_root, pretrained, tmp_path_factory):
    """A suite that is done, and one of its tasks run again with another row."""
    folder = tmp_path_factory.mktemp("suite")
    with pytest.MonkeyPatch.context() as patch:
        # Nobody looks at the pictures of the trials, which take longer than the trials.
        patch.setattr("physio_mae_jax.atomic_files.write_figure", lambda path, draw: False)
        evaluate(on_the_waves(waves_root, pretrained), folder)
        (found,) = [
            task
            for task in read_json(folder / "suite.json")["not_run"]
            if task["name"] == "retrieval"
        ]
        assert "was not contrastive" in found["reason"]
        assert "--config.retrieval.init_from" in found["reason"]
        changes = {"tasks": "bonn", "models": "pretrained,probe,wavelets"}
        evaluate(on_the_waves(waves_root, pretrained, **changes), folder)
    return folder


@pytest.fixture(scope="module")
def content(evaluated):
    found = read_json(evaluated / "suite.json")
    return {task["name"]: task for task in found["tasks"]} | {
        task["name"]: task for task in found["not_run"]
    }


def test_each_task_has_its_metric_its_folds_and_its_rows(content):
    bonn = content["bonn"]
    assert bonn["metric"] == "F1 of fast"
    assert [cell["row"] for cell in bonn["cells"]] == ["pretrained", "probe", "wavelets"]
    first, _, wavelets = bonn["cells"]
    assert first["difference"] is None
    assert wavelets["difference"]["value"] == pytest.approx(
        wavelets["mean"]["value"] - first["mean"]["value"]
    )
    assert wavelets["more"]["macro AUROC"] > 0.9  # slow and fast differ in their wavelets
    # Run earlier, and still in the table.
    wesad = content["wesad"]
    assert any("3 trials are not done" in note for note in wesad["notes"])
    assert (wesad["metric"], wesad["num_subjects"]) == ("accuracy", 24)
    assert len(wesad["cells"][-1]["reports"]) == 3


def test_what_is_excluded_is_said(content):
    assert "ludb is not prepared" in content["ludb"]["reason"]
    assert "physio_mae_jax.prepare ludb --source=" in content["ludb"]["reason"]
    assert "lists fold '9'" in content["mitbih"]["reason"]
    assert content["eegmat"]["notes"][0].startswith("Only 6 subjects: intervals are too narrow")
    assert content["eegmat"]["notes"][1] == (
        "1 % excluded: 0.1 of 12 training subjects for 2 classes; at least 2 for each are needed."
    )
    assert {cell["fraction"] for cell in content["eegmat"]["cells"]} == {1.0}
    assert content["retrieval"]["reason"] == "not done, and not requested."
    assert "LEAKS" in content["stress_predict_leaky"]["protocol"]


def test_contamination_is_flagged_by_task_and_by_row(content):
    assert content["bonn"]["contamination"] == ""
    leaky = content["stress_predict_leaky"]
    assert leaky["contamination"].startswith("CONTAMINATION: ")
    assert all(cell["contaminated"] for cell in leaky["cells"])
    assert not any(cell["contaminated"] for cell in content["bonn"]["cells"])


class Page(html.parser.HTMLParser):
    """Collects links, and checks that elements are closed in order."""

    def __init__(self):
        super().__init__()
        self.links, self.ids, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.links += [found[name] for name in ("href", "src") if name in found]
        self.ids += [found["id"]] if "id" in found else []
        if tag not in ("meta", "br", "line", "circle", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("line", "circle", "rect"):
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_network(evaluated):
    text = (evaluated / "suite.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert not page.open
    assert "://" not in re.sub(r"<dd>.*?</dd>", "", text)
    assert page.links
    for link in page.links:
        name = link.removeprefix("#")
        assert name in page.ids if link.startswith("#") else (evaluated / link).is_file(), link


def test_the_table_links_reports_that_exist(evaluated):
    text = (evaluated / "suite.md").read_text(encoding="utf-8")
    assert "[fine-tuned](bonn/split/pretrained/labels_1/seed_0/evaluation.md)" in text
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) >= 10
    assert all((evaluated / link).is_file() for link in links)
    assert "stress_predict_leaky" not in text.split("## Not run")[1]


def test_failed_trials_are_noted_and_the_rest_goes_on(waves_root, pretrained, tmp_path):
    # Two steps of pre-training saw these subjects, which --strict does not allow.
    config = on_the_waves(waves_root, pretrained, tasks="bonn")
    config.bonn.data.split_rule = "fold=3|4|1"
    with pytest.raises(UserError, match=r"1 trials have no result, such as .*bonn/split/probe"):
        evaluate(config, tmp_path, strict=True)
    (task,) = read_json(tmp_path / "suite.json")["tasks"]
    assert [cell["row"] for cell in task["cells"]] == ["wavelets"]
    (note,) = [note for note in task["notes"] if "failed" in note]
    assert note.startswith("1 trials failed, such as bonn/split/probe/labels_1/seed_0: CONTAMINA")


def test_an_encoder_that_cannot_be_loaded_ends_the_suite(waves_root, tmp_path):
    config = on_the_waves(waves_root, tmp_path / "nowhere", tasks="bonn")
    with pytest.raises(UserError, match="nowhere"):
        evaluate(config, tmp_path / "suite")
    assert not (tmp_path / "suite/suite.md").exists()


def test_trials_are_listed_once_for_all_seeds_where_nothing_is_drawn(
    waves_root, pretrained, tmp_path
):
    changes = {"tasks": "bonn", "models": "probe,random_probe,wavelets", "seeds": "0,1"}
    config = on_the_waves(waves_root, pretrained, **changes, label_fractions="0.4,1")
    config.worker = True
    run = build_suite(typed(config), tmp_path, strict=False)
    names = [trial.name.removeprefix("bonn/split/") for trial in run.planned.trials()]
    assert len(names) == 3 * 2 + 1 + 2 + 1
    assert "probe/labels_1/seed_1" not in names
    assert "random_probe/labels_1/seed_1" in names
    assert list(tmp_path.glob("bonn/split/*")) == []


def test_another_encoder_or_other_labels_need_another_folder(waves_root, pretrained, evaluated):
    config = on_the_waves(waves_root, pretrained, tasks="bonn")
    config.bonn.labels.max_windows = 3
    with pytest.raises(ConfigError, match=r"different values of labels\.max_windows"):
        build_suite(typed(config), evaluated, strict=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": "bonn,bono"}, "tasks must be among bonn, .*retrieval, .*; got 'bono'"),
        ({"init_from": ""}, "init_from is empty"),
        ({"bonn.headline": "f1"}, "bonn: headline is 'f1'"),
        ({"bonn.longest_window_seconds": -1.0}, r"bonn\.longest_window_seconds is -1"),
        ({"wesad.labels.max_windows": 0}, r"wesad: labels\.max_windows is 0"),
        ({"models": "probe,resnet"}, "models must be among .*; got 'resnet'"),
        ({"seeds": "-1"}, "seed is -1"),
        ({"label_fractions": "2"}, "label_fractions must be fractions in"),
    ],
)
def test_wrong_settings_are_rejected_before_anything_is_opened(changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        typed(on_the_waves(tmp_path, tmp_path, **changes))


def test_tasks_of_the_config_are_those_of_their_data_sets():
    config = suite_config.get_config("")
    config.init_from = "runs/x"
    found = read(config)
    assert len(found.tasks) == len(suite_config._TASKS)
    for task in found.tasks:
        data_set, labels = task.comparison.data.sets, task.comparison.labels
        if data_set not in LAYOUTS:
            continue
        known = [t for make in LAYOUTS[data_set].values() for t in make().tasks]
        (of_name, *_) = [t for t in known if t.name == labels.task]
        assert task.headline.of in ("", *of_name.classes), task.name


def test_settings_of_all_tasks_reach_each_unless_it_has_its_own():
    config = suite_config.get_config("")
    config.mitbih.pretrained.head.dropout_rate = 0.5
    config.pretrained.head.dropout_rate = 0.1
    config.data.root = "elsewhere"
    assert config.bonn.pretrained.head.dropout_rate == 0.1
    assert config.mitbih.pretrained.head.dropout_rate == 0.5
    assert config.retrieval.data.root == config.ludb.data.root == "elsewhere"
