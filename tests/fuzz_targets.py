"""What is fuzzed: a target makes valid inputs once, then changes one and gives it to a reader."""

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests import fuzz_seeds as seeds
from tests.fuzz_mutations import JSON_VALUES, VALUES, draw_bytes, draw_json
from tests.paths import TORCH_FILES

Run = Callable[[Any, np.random.Generator, Path], None]


class Target(NamedTuple):
    """One reader and its inputs.

    Attributes:
        make: what all inputs of a process share, from an empty folder.
        run: one input, drawn by a generator, in an empty folder of its own.
    """

    make: Callable[[Path], Any]
    run: Run


def read_everything(folder: Path) -> None:
    """Open a folder for training and for preparation, and read all that it has."""
    from physio_mae_jax.data.formats.folder import open_folder
    from physio_mae_jax.preparation.layouts.folder import open_own_folder

    source = open_folder(folder)
    for index, info in enumerate(source.recordings):
        signal = source.read(index, 0, info.num_samples)
        assert signal.shape == (len(info.channel_names), info.num_samples)
        assert signal.dtype == np.float32
        middle = info.num_samples // 2
        np.testing.assert_array_equal(
            source.read(index, middle, info.num_samples), signal[:, middle:]
        )
    layout = open_own_folder("mine", folder)
    for ref in layout.found:
        layout.read(folder, ref)


def _reader(case: str) -> Target:
    def run(files: Mapping[str, bytes], rng: np.random.Generator, folder: Path) -> None:
        for name, data in files.items():
            changed = draw_bytes(rng, data) if name == seeds.FILES[case][0] else data
            (folder / name).write_bytes(changed)
        read_everything(folder)

    return Target(lambda _: seeds.valid_files(case), run)


def _run_npz_member(data: bytes, rng: np.random.Generator, folder: Path) -> None:
    member = str(rng.choice(("X", "channels", "fs", "subject", "rec", "y")))
    changed = draw_bytes(rng, seeds.member_of(data, member))
    (folder / "a.npz").write_bytes(seeds.npz_with_member(data, member, changed))
    seeds.write_manifest(folder, {"file": "a.npz", "label_array": "y"})
    read_everything(folder)


def _run_manifest(content: Any, rng: np.random.Generator, folder: Path) -> None:
    from physio_mae_jax.data.formats.manifest import expand_entries, load_manifest

    as_bytes = rng.random() < 0.5
    data = seeds.MANIFEST if as_bytes else json.dumps(draw_json(rng, content)).encode()
    path = folder / "manifest.json"
    path.write_bytes(draw_bytes(rng, data) if as_bytes else data)
    for name in ("a.npz", "b.csv", "c.hea"):
        (folder / name).touch()
    expand_entries(folder, load_manifest(path))


def _run_checksums(_: None, rng: np.random.Generator, folder: Path) -> None:
    from physio_mae_jax.preparation.checksums import parse_checksums

    for name in parse_checksums(draw_bytes(rng, seeds.SUMS), "the list"):
        assert not name.startswith("/")
        assert ".." not in name.split("/")


def _run_table(_: None, rng: np.random.Generator, folder: Path) -> None:
    from physio_mae_jax.preparation.tables import read_table

    delimiter = str(rng.choice(list(",;\t")))
    path = folder / "t.csv"
    path.write_bytes(draw_bytes(rng, seeds.TABLE).replace(b",", delimiter.encode()))
    for row in read_table(path, ("id", "age"), delimiter):
        assert {"id", "age"} <= set(row)


def _run_pickle(data: bytes, rng: np.random.Generator, folder: Path) -> None:
    from physio_mae_jax.data.restricted_pickle import read_pickled_arrays

    (folder / "a.pkl").write_bytes(draw_bytes(rng, data))
    read_pickled_arrays(folder / "a.pkl")


def _run_torch_file(data: bytes, rng: np.random.Generator, folder: Path) -> None:
    """Change the pickle or an array inside, or the archive itself."""
    from physio_mae_jax.interop.torch.checkpoint_file import read_state_dict

    valid, changed = folder / "valid.zip", folder / "a.pth"
    valid.write_bytes(data)
    with zipfile.ZipFile(valid) as source, zipfile.ZipFile(changed, "w") as target:
        names = source.namelist()
        chosen = names[int(rng.integers(len(names)))] if rng.random() < 0.3 else names[0]
        for name in names:
            content = source.read(name)
            target.writestr(name, draw_bytes(rng, content) if name == chosen else content)
    if rng.random() < 0.1:
        changed.write_bytes(draw_bytes(rng, data))
    read_state_dict(changed)


def _make_prepared(folder: Path) -> Path:
    from tests.prepared import waves

    return waves(folder, subjects=4, seconds=8)


def _run_prepared(valid: Path, rng: np.random.Generator, folder: Path) -> None:
    """Change one of the JSON files of a prepared set."""
    from physio_mae_jax.data.prepared import PreparedSource

    position = folder / "set"
    shutil.copytree(valid, position)
    _change_json(rng, _one_of(rng, position, "*.json*"))
    source = PreparedSource(position)
    for index, info in enumerate(source.recordings):
        assert source.read(index, 0, info.num_samples).shape[1] == info.num_samples


def _make_encoder(folder: Path) -> Any:
    from tests.encoders import encoder

    return encoder()


def _run_encode(encoder: Any, rng: np.random.Generator, folder: Path) -> None:
    """Call ``encode`` with one or two arguments that are none."""
    signal = rng.normal(size=(2, int(rng.integers(300, 900))))
    call: dict[str, Any] = {
        "signal": signal,
        "sampling_rate_hz": 100.0,
        "channels": ["II", "PPG"],
        "units": ["mV", ""],
        "gain": None,
        "overlap": 0.5,
    }
    for _ in range(int(rng.integers(1, 3))):
        name = str(rng.choice(list(call)))
        call[name] = _hostile_argument(rng, signal)
    embedding = encoder.encode(call.pop("signal"), **call)
    assert np.isfinite(embedding).all()


def _hostile_argument(rng: np.random.Generator, signal: np.ndarray) -> Any:
    scale = float(10.0 ** rng.uniform(-30, 30))
    choices: list[Any] = [
        *JSON_VALUES,
        *VALUES,
        *(signal * scale, signal + scale, signal.T, signal[None], signal[:, :1], signal[:, :0]),
        *(signal.astype(np.float16), signal.astype(np.int64), signal.astype(complex), signal > 0),
        np.where(rng.random(signal.shape) < 0.1, np.nan, signal),
        np.ma.masked_array(signal, signal > 1),
        *(signal.astype(object), signal.tolist(), [signal, signal[:, 50:]], (signal,), [signal, 1]),
        *(np.array(100), np.array("II"), np.array(["II", "PPG"]), np.float32(250), b"II", {"II"}),
        *(float(rng.uniform(0.5, 2000)), 1.0001, 1000.01, 999.999, ["I", "II"], "I,II", {"mV": 1}),
    ]
    return choices[int(rng.integers(len(choices)))]


def _make_pretrained(folder: Path) -> Path:
    from tests.encoders import encoder

    return encoder().save_pretrained(folder / "shared")


def _run_pretrained(valid: Path, rng: np.random.Generator, folder: Path) -> None:
    """Change the config or the weights of a model saved to be shared."""
    from physio_mae_jax import Encoder

    position = folder / "shared"
    shutil.copytree(valid, position)
    if rng.random() < 0.8:
        _change_json(rng, position / "config.json")
    else:
        path = position / "model.safetensors"
        path.write_bytes(draw_bytes(rng, path.read_bytes()))
    Encoder.from_pretrained(position, num_devices=1)


def _make_run(folder: Path) -> Path:
    from tests.encoders import write_run

    return write_run(folder / "run")


def _run_checkpoint(valid: Path, rng: np.random.Generator, folder: Path) -> None:
    """Change one JSON file of a run's checkpoints."""
    from physio_mae_jax import Encoder

    position = folder / "run"
    shutil.copytree(valid, position)
    path = _one_of(rng, position, "*")
    if path.suffix == ".json" or rng.random() < 0.3:
        _change_json(rng, path)
    else:
        path.write_bytes(draw_bytes(rng, path.read_bytes()))
    Encoder.from_checkpoint(position, num_devices=1)


def _make_features(folder: Path) -> Path:
    from physio_mae_jax.inference.feature_store.extraction import extract_features
    from tests.encoders import write_run
    from tests.inference.test_feature_store import run_of
    from tests.prepared import waves

    waves(folder, subjects=6, seconds=8)
    prepared = (folder, write_run(folder / "run"))
    for kind in ("npz", "parquet", "array_record"):
        extract_features(run_of(prepared, folder / "features" / kind, f"format={kind}"))
    return folder / "features"


def _run_features(valid: Path, rng: np.random.Generator, folder: Path) -> None:
    """Change one file of a folder of features."""
    from physio_mae_jax.inference.feature_store.files import read_features

    position = folder / "features"
    shutil.copytree(valid / str(rng.choice(("npz", "parquet", "array_record"))), position)
    path = _one_of(rng, position, "*")
    if path.suffix == ".json":
        _change_json(rng, path)
    else:
        path.write_bytes(draw_bytes(rng, path.read_bytes()))
    read_features(position)


def _make_split(folder: Path) -> Any:
    from physio_mae_jax.data.splits import make_split
    from tests.factories import ArraySource

    source = ArraySource([np.zeros((1, 9))] * 12, ("II",))
    every = range(12)
    split = make_split(source.recordings, every, "random=|0.25|0.25", 0)
    return source.recordings, json.dumps(split.to_json()).encode()


def _run_split(state: Any, rng: np.random.Generator, folder: Path) -> None:
    from physio_mae_jax.data.splits import make_split

    recordings, data = state
    path = folder / "split.json"
    path.write_bytes(data)
    _change_json(rng, path)
    rules = (b"random=|0.1|0.2", b"fold=1-8|9|10", b"kfold=5:2", b"a: none; random=|0.1|")
    rule = str(path)
    if rng.random() < 0.4:
        rule = draw_bytes(rng, rules[int(rng.integers(len(rules)))]).decode("latin-1")
    make_split(recordings, range(len(recordings)), rule, 0)


def _make_state_dict(folder: Path) -> Any:
    from tests.factories import small_state_dict

    return small_state_dict()


def _run_torch_import(state: Any, rng: np.random.Generator, folder: Path) -> None:
    """Change the config, or one array, of a state dict."""
    from physio_mae_jax.interop.torch.convert import import_state_dict

    arrays, config = state
    if rng.random() < 0.7:
        import_state_dict(arrays, draw_json(rng, config))
        return
    name = str(rng.choice(list(arrays)))
    array = arrays[name]
    changed = [array.astype(object), array[..., :0], array.ravel(), array * np.nan, array > 0, None]
    import_state_dict({**arrays, name: changed[int(rng.integers(len(changed)))]}, config)


def _one_of(rng: np.random.Generator, folder: Path, pattern: str) -> Path:
    paths = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return paths[int(rng.integers(len(paths)))]


def _change_json(rng: np.random.Generator, path: Path) -> None:
    """Change a value of a JSON file (of one line of a .jsonl file), or its bytes."""
    data = path.read_bytes()
    if rng.random() < 0.3:
        path.write_bytes(draw_bytes(rng, data))
        return
    lines = data.decode("utf-8", "replace").splitlines() if path.suffix == ".jsonl" else [data]
    at = int(rng.integers(len(lines))) if lines else 0
    try:
        changed = json.dumps(draw_json(rng, json.loads(lines[at])))
    except (ValueError, IndexError):
        path.write_bytes(draw_bytes(rng, data))
        return
    texts = [line if isinstance(line, str) else "" for line in lines]
    texts[at] = changed
    path.write_bytes("\n".join(texts).encode("utf-8", "surrogatepass"))


TARGETS: dict[str, Target] = {
    **{f"file {case}": _reader(case) for case in seeds.FILES},
    "npz member": Target(lambda _: seeds.valid_files("npz")["a.npz"], _run_npz_member),
    "manifest": Target(lambda _: seeds.manifest_json(), _run_manifest),
    "checksum list": Target(lambda _: None, _run_checksums),
    "metadata table": Target(lambda _: None, _run_table),
    "pickle": Target(lambda _: seeds.wesad_pickle(), _run_pickle),
    "torch file": Target(lambda _: (TORCH_FILES / "checkpoint.pth").read_bytes(), _run_torch_file),
    "torch import": Target(_make_state_dict, _run_torch_import),
    "split": Target(_make_split, _run_split),
    "prepared set": Target(_make_prepared, _run_prepared),
    "features": Target(_make_features, _run_features),
    "shared model": Target(_make_pretrained, _run_pretrained),
    "checkpoint": Target(_make_run, _run_checkpoint),
    "encode": Target(_make_encoder, _run_encode),
}
