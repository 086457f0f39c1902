"""Imports go in one direction, and heavy libraries stay in their packages."""

import ast
from pathlib import Path

import pytest

from tests.paths import PACKAGE

PACKAGES = {
    "signals": set(),
    "plots": {"signals"},
    "data": {"signals"},
    "preparation": {"signals", "data"},
    "data_report": {"signals", "data"},
    "models": {"signals"},
    "objectives": {"signals", "models"},
    "training": {"signals", "models", "objectives", "plots", "data"},
    "inference": {"signals", "models", "objectives", "training", "data"},
    "interop": {"signals", "models", "data"},
    "evaluation": {
        *("signals", "models", "objectives", "training", "inference", "plots", "data"),
    },
    "benchmarks": {"signals", "models", "objectives", "training", "inference", "data"},
}
# Below all packages, without a heavy library.
BASE = (
    *(
        "errors",
        "__version__",
        "atomic_files",
        "inspected_windows",
        "local_paths",
        "locks",
        "printable",
        "types",
    ),
    *("setting_kinds", "setting_ranges"),
)
# Between the command line and the packages; only they know of each other.
ENTRY_POINTS = tuple(
    f"{name}{end}"
    for name in (
        "main",
        "prepare",
        "benchmark",
        "inspect",
        "cli",
        "distributed",
        "experiment",
        "commands",
        "release",
        "model_release",
    )
    for end in ("", ".py")
)
# A library -> the only folders and modules that may import it (a folder or a module of the
# package).
LIBRARIES = {
    "orbax": {"training/checkpoint.py"},
    "grain": {"data", "training"},
    "ml_collections": {"main.py", "benchmark.py"},
    "absl": {"main.py", "benchmark.py", "cli.py"},
    "matplotlib": {"plots", "atomic_files.py"},
    "sklearn": {"inference/sklearn_transformer.py", "evaluation", "plots/embedding_map.py"},
    "wfdb": {"data", "benchmarks/reading.py"},
    "pandas": {"data"},
    "tensorflow": set(),
    "torch": {"benchmarks/reading.py"},
    "tensorflow_datasets": {"preparation", "data/prepared.py", "inference/feature_store/files.py"},
    "array_record": {"preparation", "data/prepared.py", "inference/feature_store/files.py"},
    "apache_beam": {"preparation/executors.py"},
    "pickle": set(),
    "pyarrow": {"data", "inference/feature_store/files.py"},
    "edfio": {"data", "preparation", "benchmarks/reading.py"},
    "onnx": set(),  # all by the function of inference/edge/extra.py
    "onnxruntime": set(),
    "litert_converter": set(),
    "ai_edge_litert": set(),
    "pylsl": set(),  # by the function of inference/streaming/lsl_input.py
    "safetensors": {"inference/saved_model.py"},
    "huggingface_hub": {"inference/saved_model.py", "model_release/hub.py"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downhill(path: Path) -> None:
    position = path.relative_to(PACKAGE)
    package = position.parts[0]
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "physio_mae_jax" or parts[1] in BASE:
            continue
        assert parts[1] not in ENTRY_POINTS or package in ENTRY_POINTS, f"{position}: {name}"
        if package in PACKAGES:
            assert parts[1] in PACKAGES[package] | {package}, f"{position} may not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    position = path.relative_to(PACKAGE)
    for name in imported(path):
        allowed = LIBRARIES.get(name.split(".")[0])
        if allowed is not None:
            assert {position.parts[0], str(position)} & allowed, f"{position} may not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
