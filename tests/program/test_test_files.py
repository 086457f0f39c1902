"""Every module has tests that are found by its name, and every test file belongs to a module."""

from pathlib import PurePosixPath

import pytest

from tests.paths import PACKAGE, REPOSITORY

TESTS = REPOSITORY / "tests"
# Tests of the program as a whole: its guides, its imports, its language.
WHOLE_PROGRAM = "program"
# A package of so few modules may be tested as one, in test_<package>.py.
SMALL_PACKAGE = 12
MAX_LINES = 350

# Modules without a file of their name -> the file that tests them.
TESTED_BY = {
    # Types without behavior of their own.
    "data/formats/candidate": "data/formats/test_discovery.py",
    "data/formats/vendors/vendor_format": "data/formats/vendors/test_ishne.py",
    "evaluation/results": "evaluation/test_evaluation.py",
    "experiment/configs": "test_setting_ranges.py",
    "inference/encoder_stream": "inference/test_streaming.py",
    "inference/edge/block_graph": "inference/edge/test_encoder_graph.py",
    "inference/edge/calibration": "inference/edge/test_quantization.py",
    "inference/edge/edge_model": "inference/edge/test_export.py",
    "inference/edge/extra": "inference/edge/test_export.py",
    "inference/edge/graph": "inference/edge/test_encoder_graph.py",
    "inference/edge/jax_graph": "inference/edge/test_litert.py",
    "inference/edge/session": "inference/edge/test_contract.py",
    "inference/edge/token_graph": "inference/edge/test_encoder_graph.py",
    "inference/recording_classifier": "inference/test_classifier.py",
    "inference/trained_classifier": "inference/test_classifier.py",
    "inference/recording_encoder": "inference/test_encoder.py",
    "inference/encoding_config": "inference/test_arguments.py",
    "inference/notes": "inference/test_encoding_report.py",
    "inspected_windows": "inference/test_inspection.py",
    "models/rematerialization": "models/test_mae.py",
    "training/evaluation_result": "training/test_loop.py",
    "training/trainable": "training/test_loop.py",
    # Parts that only what they are a part of calls.
    "data/formats/reader": "data/formats/test_readers_broken.py",
    "data/formats/time_values": "data/formats/test_time_text.py",
    "data/formats/vendors/registry": "data/formats/vendors/test_empatica_e4.py",
    "data/formats/vendors/sensor_frames": "data/formats/vendors/test_embrace_plus.py",
    "data/formats/vendors/sensor_folder": "data/formats/vendors/test_empatica_e4.py",
    "data/annotation_windows": "data/test_instances.py",
    "data/prepared_index": "data/test_sealed_json.py",
    "evaluation/comparison_text": "commands/test_compare.py",
    "evaluation/evaluated_run": "commands/test_compare.py",
    "evaluation/extractors": "inference/test_encoder.py",
    "evaluation/protocol": "evaluation/test_probes.py",
    "training/classifier_spec": "commands/test_finetune.py",
    "experiment/model_section": "training/test_model_spec.py",
    "experiment/recording_sets": "inference/test_feature_store.py",
    "experiment/pretrain_spec": "experiment/test_typed_config.py",
    "inference/model_description": "inference/test_trained_model.py",
    "inference/window_inspection": "inference/test_inspection.py",
    "interop/torch/parameter_mapping": "program/test_golden.py",
    "interop/torch/weights": "interop/torch/test_convert.py",
    "models/contrastive": "program/test_golden.py",
    "models/encoder": "models/test_layers.py",
    "models/residual": "models/test_kernels.py",
    "models/resnet_classifier": "training/test_supervised_trainable.py",
    "preparation/layouts/folder_draft": "preparation/layouts/test_folder_command.py",
    "preparation/layouts/packed_flac": "preparation/layouts/test_cinc2011.py",
    "preparation/layouts/several_forms": "preparation/layouts/test_cinc2011.py",
    "preparation/layouts/signal_copies": "preparation/layouts/test_cinc2011.py",
    "preparation/layouts/signal_table": "preparation/layouts/test_bidmc.py",
    "preparation/layouts/wesad_pickle": "preparation/layouts/test_wesad.py",
    "preparation/layouts/wfdb_recording": "preparation/layouts/test_ptbxl.py",
    "training/evaluation": "training/test_loop.py",
    "training/metric_writer": "training/test_metrics_file.py",
    "training/pretrain_trainable": "training/test_loop.py",
    # Commands whose tests share what is costly with those of a package.
    "commands/extract_features": "inference/test_feature_store.py",
    "commands/suite_trials": "commands/test_suite.py",
    "inspect": "test_data_report.py",
}


def posix(path, root):
    return PurePosixPath(path.relative_to(root).as_posix())


MODULES = {
    posix(path, PACKAGE).with_suffix("")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}
PACKAGES = {module.parent for module in MODULES}
FILES = sorted(posix(path, TESTS) for path in TESTS.rglob("test_*.py"))


def subject_of(file):
    """Return the module or package of a test file, by the longest name; None if there is none."""
    words = file.stem.removeprefix("test_").split("_")
    for count in range(len(words), 0, -1):
        subject = file.parent / "_".join(words[:count])
        if subject in MODULES | PACKAGES:
            return subject
    return None


SUBJECTS = {subject_of(file) for file in FILES}


def has_own_tests(module):
    size = sum(other.parent == module.parent for other in MODULES)
    return module in SUBJECTS or (size <= SMALL_PACKAGE and module.parent in SUBJECTS)


@pytest.mark.parametrize("module", sorted(MODULES), ids=str)
def test_a_module_has_tests_with_its_name(module):
    wanted = module.with_name(f"test_{module.name}.py")
    if str(module) in TESTED_BY:
        assert not has_own_tests(module), f"remove {module} from TESTED_BY; it has tests"
        assert PurePosixPath(TESTED_BY[str(module)]) in FILES, f"{module}: no such test"
    else:
        assert has_own_tests(module), f"write tests/{wanted} or name in TESTED_BY what tests it"


def test_only_modules_are_listed():
    assert not set(TESTED_BY) - set(map(str, MODULES))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_test_file_belongs_to_a_module_and_is_short(file):
    belongs = file.parts[0] == WHOLE_PROGRAM or subject_of(file) is not None
    assert belongs, f"tests/{file} has the name of no module; rename it or move it to program/"
    lines = len((TESTS / file).read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"tests/{file} has {lines} lines; split it by what it tests"
