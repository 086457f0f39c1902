"""The examples of README.md's chapter on embeddings run, and print what they say they print.

They run on real signals where these are at hand, else on made-up files of the same formats. The
model is not trained, but takes the windows and channels that the chapter's does.
"""

import os
import re
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import wfdb

from configs import features as features_config
from physio_mae_jax.data.feature_files import read_features
from physio_mae_jax.experiment.features import build_features
from physio_mae_jax.inference.features import extract_features
from physio_mae_jax.signals.channels import TWELVE_LEADS
from physio_mae_jax.training.checkpoint import Checkpoints
from tests.encoders import beats, untrained
from tests.prepared import waves

REPOSITORY = Path(__file__).parent.parent
CHANNELS = (*TWELVE_LEADS, "PPG", "RESP", "V")
TITLES = {
    "README.md": "## Embeddings of your own signals",
    "README.zh-CN.md": "## 自己信号的嵌入",
}
# Where the chapter's files lie in the shared folder.
PLACES = {
    "ptb-xl": "ptbxl_native",
    "bidmc": "bidmc/bidmc_csv",
    "mitbih": "mitbih_ds1",
    "stress_predict": "stress_predict/native_e4",
}


def chapter(readme: str) -> list[tuple[str, str]]:
    """Return (language, text) of each block of code in the chapter."""
    text = (REPOSITORY / readme).read_text(encoding="utf-8")
    body = text[text.index(TITLES[readme]) :].split("\n## ")[0]
    return re.findall(r"```(\w+)\n(.*?)```", body, flags=re.DOTALL)


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


def make_up(raw: Path) -> None:
    """Write files that are read as those of the chapter are."""
    write_record(raw / "ptb-xl/records500/00000/00001_hr", list(TWELVE_LEADS), 500, 10)
    write_record(raw / "mitbih/114", ["V5", "MLII"], 360, 80)
    (raw / "bidmc").mkdir()
    table = {" PLETH": beats(20, 125)[0], " II": beats(20, 125)[1]}
    frame = pd.DataFrame({"Time [s]": np.arange(2500) / 125, **table})
    frame.to_csv(raw / "bidmc/bidmc_02_Signals.csv", index=False)
    (raw / "stress_predict/S01").mkdir(parents=True)
    samples = [1.6e9, 64.0, *beats(30, 64, leads=1)[0]]
    np.savetxt(raw / "stress_predict/S01/BVP.csv", samples)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with runs/mixed, features/ptbxl_subset and raw/, as the chapter supposes."""
    folder = tmp_path_factory.mktemp("readme")
    model = untrained(
        num_samples=1000,
        input={"channels": CHANNELS, "num_samples": 1000, "units": {"II": "mV"}},
    )
    with Checkpoints(folder / "runs/mixed/checkpoints", keep=1) as checkpoints:
        checkpoints.save(1, {"params": model.params}, model.contract.to_json(), model.trained_on)
    waves(folder / "data", people=2)
    config = features_config.get_config("format=parquet")
    config.run, config.data.sets = str(folder / "runs/mixed"), "waves"
    config.data.root, config.num_devices = str(folder / "data"), 1
    extract_features(build_features(config, folder / "features/ptbxl_subset"))
    (folder / "raw").mkdir()
    shared = shared_data()
    if shared is None:
        make_up(folder / "raw")
    else:
        for name, target in PLACES.items():
            (folder / "raw" / name).symlink_to(shared / target)
    return folder


def labelled() -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(12) % 2
    return np.stack([beats(5, 100, leads=2, seed=label) for label in labels]), labels


# Of numpy and wfdb, which the examples use as anybody would.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("readme", list(TITLES))
def test_examples_run_and_print_what_they_say(place, monkeypatch, capsys, readme):
    monkeypatch.chdir(place)
    first = jax.devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: first)  # eight would only wait on each other
    signals, labels = labelled()
    names = {"signals": signals, "labels": labels}
    blocks, reports = chapter(readme), []
    for number, (language, code) in enumerate(blocks):
        if language != "python":
            continue
        exec(compile(code.replace('"/raw/', f'"{place}/raw/'), f"{readme}:{number}", "exec"), names)
        printed = capsys.readouterr().out
        if number + 1 < len(blocks) and blocks[number + 1][0] == "text":
            reports.append((printed, blocks[number + 1][1]))
    if readme == "README.md":
        assert names["embeddings"].shape == (5, 32)
    for picture in re.findall(r'savefig\("(.*?)"\)', "".join(code for _, code in blocks)):
        assert (place / picture).stat().st_size > 10_000
    assert len(read_features(place / "features/ptbxl_subset")) == 4
    if shared_data() is None:
        pytest.skip("all examples ran on made-up files; their reports need PHYSIO_MAE_SHARED")
    for printed, said in reports:
        assert printed == said
