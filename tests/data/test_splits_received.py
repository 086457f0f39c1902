"""Every change of a split is named."""

import json

import numpy as np

from physio_mae_jax.data.splits import make_split, read_split
from tests.factories import ArraySource
from tests.tampering import tally


def test_every_change_of_a_split_is_named(tmp_path):
    infos = [
        ArraySource([np.zeros((1, 9))], ("II",), subjects=[f"s{i}"]).recordings[0] for i in range(6)
    ]
    path = tmp_path / "split.json"
    path.write_text(json.dumps(make_split(infos, range(6), "random=|0.2|0.2", 0).to_json()))
    read_split(path)
    found = tally(path, lambda: read_split(path), seal=False)
    assert set(found) <= {"named", "unnamed"}  # of subjects in two parts, by the rule
    assert not [line for line in found.get("unnamed", []) if "both into" not in line]
