"""Code blocks of README and of the guides run, and print what the pages say they print.

They run on real signals where these are at hand, else on synthetic files of the same formats. The
model is not trained, but takes the windows and channels that the pages' model does. Shell blocks
are checked for syntax, flags, configs and settings; ``prepare folder`` runs.
"""

import json
import os
import re
import shlex
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pandas as pd
import pytest
import wfdb

from configs import features as features_config
from physio_mae_jax import prepare
from physio_mae_jax.commands.extract_features import build_features
from physio_mae_jax.inference import shipped_models
from physio_mae_jax.inference.feature_store.extraction import extract_features
from physio_mae_jax.inference.feature_store.files import read_features
from physio_mae_jax.models.heads import HEADS
from physio_mae_jax.models.mixers import MIXERS
from physio_mae_jax.signals.channels import TWELVE_LEADS
from physio_mae_jax.training.checkpoint import Checkpoints
from tests import guides
from tests.classifiers import untrained_classifier, write_finetuned
from tests.encoders import beats, untrained
from tests.factories import small_state_dict
from tests.guides import GUIDES, PAGES, blocks_of, name_of
from tests.paths import PACKAGE, REPOSITORY
from tests.prepared import waves
from tests.runs import typed
from tests.shipped import write_shipped
from tests.state_dicts import classifier_state

CHANNELS = (*TWELVE_LEADS, "PPG", "RESP", "V")
# Where the files of the pages lie in the shared folder.
SHARED = {
    "ptb-xl": "ptbxl_native",
    "bidmc": "bidmc/bidmc_csv",
    "mitbih": "mitbih_ds1",
    "stress_predict": "stress_predict/native_e4",
}
# Runs as one, its commands too, in tests/program/test_first_classifier.py.
STEP_BY_STEP = "first_classifier.md"
DEVICES = "edge.md"  # needs the extra of that name
# Pages in Chinese have the blocks of the English ones, see tests/program/test_translations.py.
RUN = [
    page
    for page in PAGES
    if not page.name.endswith(guides.CHINESE)
    and page.name != STEP_BY_STEP
    and any(block.language in ("python", "json") for block in blocks_of(page))
]


def shared_data() -> Path | None:
    folder = Path(os.environ.get("PHYSIO_MAE_SHARED", REPOSITORY.parent / "shared")) / "data"
    return folder if folder.is_dir() else None


def write_record(path: Path, names: list[str], rate_hz: float, seconds: float) -> None:
    signal = beats(seconds, rate_hz, leads=len(names)).T
    path.parent.mkdir(parents=True)
    wfdb.wrsamp(
        path.name,
        fs=rate_hz,
        units=["mV"] * len(names),
        sig_name=names,
        p_signal=signal,
        fmt=["16"] * len(names),
        write_dir=str(path.parent),
    )


def write_synthetic(raw: Path) -> None:
    """Write files that are read as those of the pages are."""
    write_record(raw / "ptb-xl/records500/00000/00001_hr", list(TWELVE_LEADS), 500, 10)
    write_record(raw / "mitbih/114", ["V5", "MLII"], 360, 80)
    (raw / "bidmc").mkdir()
    table = {" PLETH": beats(20, 125)[0], " II": beats(20, 125)[1]}
    frame = pd.DataFrame({"Time [s]": np.arange(2500) / 125, **table})
    frame.to_csv(raw / "bidmc/bidmc_02_Signals.csv", index=False)
    (raw / "stress_predict/S01").mkdir(parents=True)
    samples = [1.6e9, 64.0, *beats(30, 64, leads=1)[0]]
    np.savetxt(raw / "stress_predict/S01/BVP.csv", samples, fmt="%.6f")


def write_weights(folder: Path) -> None:
    """Write random weights of a small v3 of the original, and of a classifier with it."""
    small = small_state_dict()
    np.savez(folder / "mae_v3.npz", **small[0])
    np.savez(folder / "classifier_v3.npz", **classifier_state(small, "reasoning")[0])


@pytest.fixture(autouse=True)
def _without_what_the_pages_add():
    """Mixers and heads of the pages' code are known while it runs only."""
    with mock.patch.dict(MIXERS), mock.patch.dict(HEADS):
        yield


@pytest.fixture(scope="module")
def position(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/mixed, features/ptbxl_subset and raw/, as the pages suppose."""
    folder = tmp_path_factory.mktemp("guides")
    model = untrained(
        num_samples=1000,
        depth=1,
        input={"channels": CHANNELS, "num_samples": 1000, "units": {"II": "mV"}},
    )
    with Checkpoints(folder / "runs/mixed/checkpoints", keep=1) as checkpoints:
        checkpoints.save(1, {"params": model.params}, model.model_spec.to_json(), model.trained_on)
    (folder / "runs/ptbxl").symlink_to("mixed")
    write_finetuned(folder / "runs/ptbxl_superclass", untrained_classifier())
    waves(folder / "data", subjects=2)
    config = features_config.get_config("format=parquet")
    config.init_from, config.data.sets = str(folder / "runs/mixed"), "waves"
    config.data.root, config.num_devices = str(folder / "data"), 1
    extract_features(build_features(typed(config), folder / "features/ptbxl_subset"))
    write_weights(folder)
    write_shipped(folder / "pretrained", "physio-small", model)
    (folder / "raw").mkdir()
    shared = shared_data()
    if shared is None:
        write_synthetic(folder / "raw")
    else:
        for name, target in SHARED.items():
            (folder / "raw" / name).symlink_to(shared / target)
    return folder


def given_names() -> dict[str, object]:
    """Return what the pages' code takes for given."""
    labels = np.arange(12) % 2
    signals = np.stack([beats(5, 100, leads=2, seed=label) for label in labels])
    config = small_state_dict()[1]
    signal = beats(config["signal_len"] / 100, 100)[None].astype("float32")
    present, ids = np.ones((1, 3), bool), np.zeros((1, 3), "int32")
    inputs = {"signal": signal, "channel_mask": present, "channel_ids": ids}
    return {"signals": signals, "labels": labels, "config": config, **inputs}


def run_prepare(block: guides.Block, source: Path) -> None:
    """Run the commands of a shell block that prepare a folder which is there."""
    for words in guides.commands_of(block.code):
        command = shlex.join(words)
        match = re.search(r"--source=([\w/]+)", command)
        if "physio_mae_jax.prepare folder" in command and match and (source / match[1]).is_dir():
            assert prepare.main([*words[words.index("folder") :], "--workers=1"]) == 0, command


# Raised within numpy and wfdb by calls that users would write too.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_code_runs_and_prints_what_the_page_says(page, position, monkeypatch, capsys):
    if page.name == DEVICES:
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    monkeypatch.chdir(position)
    monkeypatch.setattr(shipped_models, "SHIPPED", position / "pretrained")
    first = jax.devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: first)  # eight would only wait on each other
    names, reports, blocks = given_names(), [], blocks_of(page)
    for number, block in enumerate(blocks):
        if block.language == "json":
            json.loads(block.code)
        if block.file:
            Path(block.file).write_text(block.code, encoding="utf-8")
        if block.language == "bash":
            run_prepare(block, position)
        if block.language != "python":
            continue
        capsys.readouterr()
        code = block.code.replace('"/raw/', f'"{position}/raw/').replace("_v3.pth", "_v3.npz")
        exec(compile("\n" * block.line + code, name_of(page), "exec"), names)
        if number + 1 < len(blocks) and blocks[number + 1].language == "text":
            reports.append((capsys.readouterr().out, blocks[number + 1].code))
    if "embeddings" in names:
        assert names["embeddings"].shape == (5, 32)
    code = "".join(block.code for block in blocks if block.language == "python")
    for picture in re.findall(r'savefig\("(.*?)"\)', code):
        assert (position / picture).stat().st_size > 10_000
    if '"/raw/' in code and shared_data() is None:
        pytest.skip("all code ran on synthetic files; its reports need PHYSIO_MAE_SHARED")
    for printed, said in reports:
        assert printed == said


def test_features_are_read_as_the_guide_reads_them(position):
    assert len(read_features(position / "features/ptbxl_subset")) == 4


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_shell_commands_have_the_flags_and_settings_they_name(page):
    for block in blocks_of(page):
        if block.language == "bash":
            guides.check_shell(block)
    for span in guides.code_spans(guides.prose_of(page)):
        if span.startswith("--config=configs/"):
            guides.check_config(span)
        elif span.startswith(("python -m ", "bash launch/", ".venv/bin/")):
            guides.check_command(shlex.split(span))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("bash launch/pretrain.sh --config=configs/pretrain.py:preset=huge", "preset='huge'"),
        ("bash launch/pretrain.sh --config=configs/pretrain.py --config.batch=3", "batch"),
        ("bash launch/pretrain.sh --config=configs/pretrain.py --work=x", "work"),
        ("python -m physio_mae_jax.prepare ptbxl --sauce=x", "sauce"),
        ("python -m physio_mae_jax.prepared", "prepared"),
        ("make all", "unknown program"),
    ],
)
def test_a_command_that_would_fail_is_found(command, said):
    with pytest.raises(Exception, match=re.escape(said)):
        guides.check_command(shlex.split(command))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page):
    for target in guides.links_of(page):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in guides.anchors_of(file), target


def test_docstrings_point_to_sections_that_exist():
    for module in sorted(PACKAGE.rglob("*.py")):
        for page, anchor in re.findall(r"([a-z_]+\.md)#([\w-]+)", module.read_text("utf-8")):
            assert anchor in guides.anchors_of(GUIDES / page), f"{module}: {page}#{anchor}"


def test_every_block_is_of_a_known_kind():
    for page in PAGES:
        for block in blocks_of(page):
            assert block.language in ("python", "bash", "json", "csv", "text", "bibtex", "diff"), (
                f"{name_of(page)}:{block.line}"
            )


def test_readme_fits_one_page_and_links_all_guides():
    readme = REPOSITORY / "README.md"
    assert len(readme.read_text(encoding="utf-8").split()) <= 1000
    linked = set(guides.links_of(readme))
    english = {path.name for path in GUIDES.glob("*.md") if not path.name.endswith(guides.CHINESE)}
    assert {f"physio_mae_jax/guides/{name}" for name in english} <= linked


def test_every_section_of_results_states_when_it_was_measured():
    sections = (GUIDES / "results.md").read_text(encoding="utf-8").split("\n## ")[1:]
    for section in sections:
        assert re.search(r"\b20\d\d-\d\d-\d\d\b", section), section.splitlines()[0]
