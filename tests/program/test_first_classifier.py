"""The guide from a folder to a classifier: all of its commands run, one after the other."""

import contextlib
import io

import jax
import numpy as np
import pytest

from physio_mae_jax import inspect, prepare
from physio_mae_jax.commands import load_command
from tests import guides
from tests.encoders import untrained
from tests.guides import GUIDES, blocks_of
from tests.runs import read_json
from tests.shipped import shipped_from, write_shipped

PAGE = GUIDES / "first_classifier.md"
PROGRAMS = {"physio_mae_jax.prepare": prepare.main, "physio_mae_jax.inspect": inspect.main}


def run_command(words):
    """Run a command of a shell block in this process, on one device."""
    module = words[words.index("-m") + 1]
    if module in PROGRAMS:
        assert PROGRAMS[module](words[words.index("-m") + 2 :]) == 0, words
        return
    config, workdir = guides.config_of(words)
    config.num_devices = 1
    config.evaluation.num_resamples = 50
    command = load_command(config)
    command.run(command.read(config), workdir, strict=False)


def run_page():
    """Run the blocks of the page in the current folder; return the names that its code defines."""
    names = {}
    for block in blocks_of(PAGE):
        if block.file:
            with open(block.file, "w", encoding="utf-8") as file:
                file.write(block.code)
        if block.language == "bash":
            for words in guides.commands_of(block.code):
                run_command(words)
        if block.language == "python":
            exec(compile("\n" * block.line + block.code, PAGE.name, "exec"), names)
    return names


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folder in which the page ran, what it printed, and its names."""
    folder = tmp_path_factory.mktemp("walk")
    for name, width in (("physio-tiny", 16), ("physio-small", 32)):
        write_shipped(folder / "pretrained", name, untrained(width=width))
    first = jax.devices()[:1]
    with (
        pytest.MonkeyPatch.context() as patch,
        shipped_from(folder / "pretrained"),
        contextlib.redirect_stdout(io.StringIO()) as printed,
    ):
        patch.chdir(folder)
        patch.delenv("PHYSIO_MAE_DATA", raising=False)
        patch.setattr(jax, "local_devices", lambda: first)
        names = run_page()
    return folder, printed.getvalue(), names


def test_models_and_embeddings_are_shown(walked):
    _, printed, names = walked
    assert "physio-tiny" in printed
    assert "resampled  from 125 to 100 Hz" in printed
    assert np.shape(names["vectors"]) == (40, 32)


@pytest.mark.parametrize("name", ["mine_probe", "mine_tuned", "mine_later"])
def test_each_step_ends_with_a_report(walked, name):
    folder = walked[0]
    report = read_json(folder / "runs" / name / "evaluation.json")
    assert set(report["evaluations"]) >= {"test"}
    assert (folder / "runs" / name / "evaluation.md").is_file()
    assert (folder / "report.html").stat().st_size > 10_000


def test_the_later_recordings_are_recognized(walked):
    text = (walked[0] / "runs/mine_later/evaluation.md").read_text(encoding="utf-8")
    assert "CONTAMINATION" in text
