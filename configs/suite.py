"""Evaluate an encoder on every labeled data set at hand: one table and one page.

    python -m physio_mae_jax.main --config=configs/suite.py --config.init_from=runs/x \
        --workdir=runs/suite
    python -m physio_mae_jax.main --config=configs/suite.py:size=quick \
        --config.init_from=runs/x --config.tasks=bonn,eegmat --workdir=runs/suite_quick

Arguments after the colon, ``name=value`` separated by commas:

    size     full    all models, 1, 10 and 100 % of the training subjects, three seeds
             quick   linear probe and wavelets, all training subjects, one seed
    preset   debug   two steps of every training, as a smoke test; the others are alike

Rows are those of configs/compare.py; the first is the reference of the paired differences.
``--config.pretrained.…`` changes a row in all tasks, ``--config.mitbih.pretrained.…`` in one.
``--config.mitbih.folds=5`` divides a task by subject into folds, ``folds=subjects`` leaves each
subject out once; both are pooled. Data sets are those of ``prepare`` in --config.data.root; a task
without its data is listed in the report with the command that prepares it.

Each trial has a folder with its own report. Finished trials are skipped, so the same command
resumes; tasks, models, fractions and seeds may be added later. Written at the end: suite.md,
suite.json and suite.html. A full suite is thousands of trials on one GPU: see --config.num_workers
and --config.worker.
"""

from typing import Any

from ml_collections import ConfigDict

from configs.compare import FINETUNED, PROBES
from configs.compare import get_config as comparison_config
from configs.finetune import ARGUMENTS as FINETUNING_ARGUMENTS
from configs.retrieval import get_config as retrieval_config
from configs.tasks import DEFAULTS
from physio_mae_jax.experiment.typed_config import parse_argument

ARGUMENTS = {"size": ("full", "quick"), "preset": FINETUNING_ARGUMENTS["preset"]}
MODELS = (
    *("pretrained", "probe", "knn", "scratch", "random_probe"),
    *("resnet1d_wang", "xresnet1d101", "wavelets"),
)
_E4 = "PPG,EDA,ACC_X,ACC_Y,ACC_Z"
_LEAKY = "leaky=|0.2|0.2"

# Title, data set and what differs from its defaults in configs/tasks.py.
_TASKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ptbxl": ("PTB-XL, superclasses", "ptbxl", {}),
    "ptbxl_all": ("PTB-XL, all statements", "ptbxl", {"labels.task": "all"}),
    "ptbxl_subset": ("PTB-XL subset, superclasses", "ptbxl_subset", {}),
    "mitbih": ("MIT-BIH, beats between patients", "mitbih", {}),
    "cinc2017": ("CinC 2017, AF from one lead", "cinc2017", {"headline": "f1:af"}),
    "ppg_af": (
        "PPG, AF by patient",
        "ppg_rhythm",
        {"labels.task": "af", "headline": "f1:af", "folds": "5"},
    ),
    "ppg_rhythm": (
        "PPG, six rhythms by patient",
        "ppg_rhythm",
        {"headline": "macro_f1", "folds": "5"},
    ),
    "wesad": (
        "WESAD, baseline, stress, amusement",
        "wesad",
        {"headline": "accuracy", "folds": "subjects"},
    ),
    "wesad_leaky": (
        "WESAD, three classes, leaky split",
        "wesad",
        {"headline": "accuracy", "data.split_rule": _LEAKY, "label_fractions": "1"},
    ),
    "wesad_stress": (
        "WESAD, stress or not",
        "wesad",
        {
            **{"labels.task": "stress", "labels.classes": ""},
            **{"headline": "accuracy", "folds": "subjects"},
        },
    ),
    "stress_predict": (
        "Stress-Predict, stress or not",
        "stress_predict",
        {"folds": "5"},
    ),
    "stress_predict_leaky": (
        "Stress-Predict, leaky split",
        "stress_predict",
        {"data.split_rule": _LEAKY, "label_fractions": "1"},
    ),
    "eegmat": ("EEGMAT, rest or arithmetic", "eegmat", {"folds": "6"}),
    "bonn": ("Bonn, five sets of EEG", "bonn", {"headline": "accuracy"}),
    "cinc2011": ("CinC 2011, signal quality", "cinc2011", {"folds": "5"}),
    "cinc2015": ("CinC 2015, true or false alarms", "cinc2015", {"folds": "5"}),
    "brugada": ("Brugada syndrome", "brugada", {"folds": "5"}),
    "ludb": ("LUDB, rhythm", "ludb", {"folds": "5"}),
    "challenge2021": ("Challenge 2021, diagnoses", "challenge2021", {}),
    "sleep_edf": ("Sleep-EDF, stages", "sleep_edf", {"headline": "macro_f1", "folds": "5"}),
    "mimic3": ("MIMIC PERform, AF", "mimic3", {"headline": "f1:af", "folds": "5"}),
}

_NO_SUBJECTS = "The files do not name patients: one may be on both sides of the split."
_NOTES = dict.fromkeys(("bonn", "cinc2011", "cinc2015", "cinc2017", "challenge2021"), _NO_SUBJECTS)


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of a suite."""
    chosen = parse_argument(argument, ARGUMENTS)
    quick = chosen["size"] == "quick"
    preset = f"preset={chosen['preset']}"
    rows = comparison_config(preset)
    config = ConfigDict()
    config.command = "suite"
    config.init_from = ""  # work folder of the pre-training run
    config.tasks = ",".join((*_TASKS, "retrieval"))  # 'ptbxl,mitbih': only these
    config.models = "probe,wavelets" if quick else ",".join(MODELS)  # the first is the reference
    # Fractions of the training subjects; a task excludes those with too few for its classes.
    config.label_fractions = "1" if quick else "0.01,0.1,1"
    config.seeds = "0" if quick else "0,1,2"
    config.num_workers = 1  # processes that run trials in parallel, also on one GPU
    config.worker = False  # True: run trials only, as one of many jobs on a shared folder
    config.data = ConfigDict({"root": rows.data.root})  # folder of prepared sets
    config.evaluation = rows.evaluation
    for name in (*FINETUNED, *PROBES):
        config[name] = rows[name]
    for name in _TASKS:
        config[name] = _task(config, preset, *_TASKS[name])
    config.retrieval = _retrieval(config)
    return config


def _task(
    suite: ConfigDict, preset: str, title: str, data_set: str, changes: dict[str, Any]
) -> ConfigDict:
    """Return the settings of a task; those it shares follow the suite's until they are set."""
    compared = comparison_config(f"{preset},data={data_set}")
    task = ConfigDict()
    task.title = title
    task.note = _NOTES.get(data_set, "")  # shown in the report
    task.headline = "macro_auroc"  # macro_f1, accuracy, or auroc:CLASS and f1:CLASS
    task.folds = ""  # '': data.split_rule; '5': folds by subject; 'subjects': leave one out
    # Longest window (s) of the recordings, to which that of the encoder is shortened; 0: any
    task.longest_window_seconds = float(DEFAULTS[data_set].max_window_seconds or 0.0)
    task.label_fractions = suite.get_oneway_ref("label_fractions")
    task.data = compared.data
    task.data.root = suite.data.get_oneway_ref("root")
    task.labels = compared.labels
    task.evaluation = _following(suite.evaluation)
    for name in (*FINETUNED, *PROBES):
        task[name] = _following(suite[name])
    if DEFAULTS[data_set].head != "linear":
        for name in FINETUNED:
            task[name].head.kind = DEFAULTS[data_set].head
    if data_set in ("wesad", "stress_predict"):
        task.data.channels = _E4
    task.update_from_flattened_dict(changes)
    return task


def _following(section: ConfigDict) -> ConfigDict:
    """Return a section whose settings are those of another until they are set themselves."""
    own = ConfigDict()
    for name, value in section.items():
        own[name] = (
            _following(value) if isinstance(value, ConfigDict) else section.get_oneway_ref(name)
        )
    return own


def _retrieval(suite: ConfigDict) -> ConfigDict:
    """Return the settings of the retrieval, of a contrastive run."""
    config = retrieval_config()
    config.title = "Retrieval between PPG and ECG, BIDMC"
    config.headline = "recall@1"
    config.init_from = ""  # a contrastive run; '': that of the suite
    config.data.sets = "bidmc"
    config.data.root = suite.data.get_oneway_ref("root")
    return config
