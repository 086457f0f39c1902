"""Scripts of the page: contracts, decisions, files, a strap, the trail and the times."""

import json
import struct

import numpy as np
import pytest

from physio_mae_jax.inference.edge.web.page_files import vocabulary
from tests.javascript import run_javascript

CONTRACT = {
    "format": "edge model",
    "precision": "int8",
    "output": "embedding",
    "num_channels": 2,
    "width": 32,
    "num_columns": 20,
    "column_samples": 20,
    "graph_sha256": "00",
    "input_spec": {
        "channels": ["II", "PPG"],
        "units": {},
        "sampling_rate_hz": 100.0,
        "num_samples": 400,
        "band_hz": None,
    },
}
READ = """
import { readContract } from "./model.js";
try {
  answer(readContract(given.contract, given.vocabulary));
} catch (error) {
  answer(`${error.name}: ${error.message}`);
}
"""


def read(folder, contract):
    return run_javascript(folder, READ, {"contract": contract, "vocabulary": vocabulary()})


def test_a_contract_is_read(tmp_path):
    found = read(tmp_path, CONTRACT)
    assert (found["numChannels"], found["numSamples"], found["rateHz"]) == (2, 400, 100)
    assert found["knownChannels"] == ["II", "PPG"]
    assert found["decision"] is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "model"}, "Foreign model: The contract has format “model”"),
        ({"format": None}, "Foreign model"),
        ({"width": 0}, "Contract does not fit"),
        ({"num_columns": 19}, "Contract does not fit"),
        ({"output": "tokens"}, "Contract does not fit"),
        ({"input_spec": None}, "Contract does not fit"),
        ({"output": "logits"}, "Contract does not fit: The contract gives logits, but no classes"),
        ({"output": "logits", "decision": {"kind": "multilabel", "classes": ["a"]}}, "Contract"),
        (
            {"input_spec": CONTRACT["input_spec"] | {"band_hz": [1, 30]}},
            "Band-pass not available: The model band-passes its input from 1 to 30 Hz",
        ),
    ],
)
def test_a_contract_that_does_not_fit_is_named(changes, said, tmp_path):
    assert read(tmp_path, CONTRACT | changes).startswith(said)


def decided(folder, decision, logits):
    code = """
    import { decide } from "./model.js";
    answer(decide(given.decision, given.logits));
    """
    return run_javascript(folder, code, {"decision": decision, "logits": logits})


def test_decisions_are_those_of_the_contract(tmp_path):
    logits = np.array([0.4, -1.2, 2.0])
    many = {
        "kind": "multilabel",
        "classes": ["a", "b", "c"],
        "slopes": [1.5, 0.5, 1.0],
        "intercepts": [0.1, 1.0, -3.0],
        "thresholds": [0.7, 0.5, 0.5],
    }
    found = decided(tmp_path, many, logits.tolist())
    wanted = 1 / (1 + np.exp(-(logits * many["slopes"] + np.asarray(many["intercepts"]))))
    np.testing.assert_allclose([one["value"] for one in found], wanted)
    assert [one["isChosen"] for one in found] == [False, True, False]
    one_of = {"kind": "multiclass", "classes": ["a", "b", "c"], "temperature": 2.0}
    found = decided(tmp_path, one_of, logits.tolist())
    raised = np.exp(logits / 2)
    np.testing.assert_allclose([one["value"] for one in found], raised / raised.sum())
    assert [one["isChosen"] for one in found] == [False, False, True]
    two = {"kind": "multiclass", "classes": ["a", "b"], "thresholds": [0.8, 0.2]}
    found = decided(tmp_path, two, [1.0, 0.0])
    assert [one["isChosen"] for one in found] == [False, True]
    found = decided(tmp_path, {"kind": "regression", "classes": ["age"]}, [41.5])
    assert found == [{"name": "age", "value": 41.5, "isChosen": False}]


def parsed(folder, name, text):
    code = """
    import { File } from "node:buffer";
    import { readSignal } from "./files.js";
    try {
      answer(await readSignal(new File([given.text], given.name)));
    } catch (error) {
      answer(`${error.name}: ${error.message}`);
    }
    """
    return run_javascript(folder, code, {"name": name, "text": text})


def test_a_table_gives_its_rate_channels_and_units(tmp_path):
    lines = [f"{n / 125},{n % 7},{'' if n == 3 else -n % 5}" for n in range(60)]
    text = "\ufeff" + "\r\n".join(["Time [s], II (mV),PPG", *lines, ""])
    found = parsed(tmp_path, "a.csv", text)
    assert found["rateHz"] == 125
    assert (found["channels"], found["units"]) == (["II", "PPG"], ["mV", ""])
    assert found["rows"][0] == [n % 7 for n in range(60)]
    assert [value is None for value in found["rows"][1]] == [n == 3 for n in range(60)]
    found = parsed(tmp_path, "b.tsv", "II\tPPG\n1\tNaN\n2\t5\n")
    assert found["rateHz"] is None
    assert found["rows"] == [[1, 2], [None, 5]]


def test_json_gives_its_rate_channels_and_units(tmp_path):
    content = {"sampling_rate_hz": 250, "channels": ["II"], "samples": [[1, None, 3]]}
    found = parsed(tmp_path, "a.json", json.dumps(content))
    assert (found["rateHz"], found["channels"], found["units"]) == (250, ["II"], [""])
    assert found["rows"] == [[1, None, 3]]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "needs a first line with the names"),
        ("a.csv", "1,2\n3,4\n", "needs a first line with the names"),
        ("a.csv", "II,PPG\n3\n", "Line 2 of a.csv has 1 columns; 2 are expected"),
        ("a.csv", "II,PPG\n3,x\n", "Line 2 of a.csv holds “x”, not a number"),
        ("a.json", "{", "a.json is not JSON"),
        ("a.json", '{"channels": ["II"], "samples": [[1], [2]]}', "needs “channels”"),
        ("a.json", '{"channels": ["II"], "samples": [["1"]]}', "needs “channels”"),
        ("a.json", "null", "needs “channels”"),
    ],
)
def test_an_unreadable_file_is_named(name, text, said, tmp_path):
    found = parsed(tmp_path, name, text)
    assert found.startswith("Unreadable file: ")
    assert said in found


def test_frames_of_a_strap_are_joined_with_their_gaps(tmp_path):
    samples = [100, -7, -8_388_608, 8_388_607, 65_536]
    body = b"".join(value.to_bytes(3, "little", signed=True) for value in samples)

    def frame(seconds, kind=0):
        return list(struct.pack("<BQB", kind, round(seconds * 1e9), 0) + body)

    code = """
    import { FrameJoiner, parseEcgFrame } from "./polar.js";
    const view = (bytes) => new DataView(Uint8Array.from(bytes).buffer);
    const joiner = new FrameJoiner();
    const [first, ...rest] = given.map((bytes) => parseEcgFrame(view(bytes)));
    answer([first, ...rest.map((one) => one && joiner.join(one))]);
    """
    times = [6e8, 6e8, 6e8 + 5 / 130, 6e8 + 13 / 130]
    frames = [*map(frame, times), frame(1, kind=2)]
    first, *joined, other = run_javascript(tmp_path, code, frames)
    assert first["samples"] == samples
    assert joined == [samples, samples, [None] * 3 + samples]
    assert other is None


def test_the_trail_is_that_of_the_principal_components(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(8, 16)) @ np.diag([5, 3, *[0.1] * 14]) + 40
    code = """
    import { Trail } from "./projection.js";
    const trail = new Trail();
    given.forEach((row) => trail.push(numbers(row)));
    answer({ points: trail.points, shares: trail.shares });
    """
    found = run_javascript(tmp_path, code, rows.tolist())
    centered = rows - rows.mean(axis=0)
    _, scales, axes = np.linalg.svd(centered, full_matrices=False)
    wanted = centered @ axes[:2].T
    np.testing.assert_allclose(np.abs(found["points"]), np.abs(wanted), atol=1e-6)
    np.testing.assert_allclose(found["shares"], scales[:2] ** 2 / (scales**2).sum())
    assert run_javascript(tmp_path, code, rows[:3].tolist()) == {"points": [], "shares": None}


def test_quantiles_of_times_are_of_the_nearest_rank(tmp_path):
    code = """
    import { HopTimes } from "./timing.js";
    const times = new HopTimes();
    const before = times.quantile(0.5);
    given.forEach((one) => times.add(one));
    answer([before, times.quantile(0.5), times.quantile(0.99), times.count]);
    """
    assert run_javascript(tmp_path, code, list(range(200, 0, -1))) == [None, 100, 198, 200]
    assert run_javascript(tmp_path, code, [3]) == [None, 3, 3, 1]
