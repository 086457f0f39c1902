"""The page about a folder: what it says is what is in the files, and it needs nothing else."""

import html.parser
import json
import re

import numpy as np
import pytest

from physio_mae_jax import inspect
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data_report.facts import ReportConfig, collect_facts
from physio_mae_jax.data_report.page import render_page
from physio_mae_jax.data_report.svg import waveform

RATE = 100.0


class Tags(html.parser.HTMLParser):
    """Collects tags and their attributes, and checks that elements are closed in order."""

    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "path":
            assert self.open.pop() == tag


def ecg(seconds, bpm=75, rate=RATE):
    """Return pulses of a given rate: a sharp peak per beat."""
    time = np.arange(round(seconds * rate)) / rate
    phase = (time * bpm / 60) % 1
    return np.exp(-(((phase - 0.5) / 0.02) ** 2)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for subject in range(5):
        signal = np.stack([ecg(30), rng.normal(size=3000).astype(np.float32)])
        if subject == 1:
            signal[1, 500:900] = signal[1, 500]
        if subject == 2:
            signal[0, 100:200] = np.nan
        np.savez(
            tmp_path / f"night_{subject}.npz",
            signal=signal,
            channels=["II", "<script>alert(1)</script>" if subject == 3 else "RESP"],
            fs=RATE,
            subject=f"s{subject}",
        )
    return tmp_path


def facts_of(folder, **changes):
    calls = []
    source = open_folder(folder, skip_unreadable=True)
    facts = collect_facts(source, ReportConfig(**changes), lambda *done: calls.append(done))
    assert calls[-1][0] == calls[-1][1]
    return facts


def test_facts_are_those_of_the_files(folder):
    facts = facts_of(folder)
    assert [one.info.record_id for one in facts.recordings] == [f"night_{i}" for i in range(5)]
    assert facts.recordings[0].heart_rate_bpm == pytest.approx(75, abs=2)
    assert ("flat line", "RESP") in {(a.kind, a.channel) for a in facts.recordings[1].artifacts}
    assert {a.kind for a in facts.recordings[2].artifacts} >= {"missing samples"}
    assert facts.recordings[0].excerpt.shape == (2, 600)
    assert sum(len(keys) for keys in facts.splits.values()) == 5
    assert {one.split for one in facts.recordings} == {"train", "validation", "test"}
    assert facts.model_input.num_windows == 5 * 3
    np.testing.assert_allclose(facts.model_input.example.std(axis=1), 1, atol=0.01)


def test_the_page_is_complete_and_needs_no_network(folder):
    page = render_page(facts_of(folder))
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in tags.found}
    assert not re.search(r"https?://|url\(|@import|src=|href=", page)
    assert "night_0: subject s0, 30.0 s at 100 Hz, 75 beats per minute" in page
    assert "&lt;script&gt;alert(1)" in page
    assert 'name="viewport"' in page


def test_what_cannot_be_done_is_said_on_the_page(folder):
    page = render_page(facts_of(folder, window_seconds=60.0, split_rule="fold=1|2|3"))
    assert "no recording has a window of 60 s; shorten it." in page
    assert "has no" in page
    assert "fold" in page
    page = render_page(facts_of(folder, channels="12_lead"))
    assert "What a model would receive" in page


def test_only_the_first_recordings_are_detailed(folder):
    page = render_page(facts_of(folder, max_recordings=2))
    assert page.count("<details>") == 2
    assert "and 3 more, not shown." in page
    assert "of 2 recordings." in page
    assert "of 1 recording." in render_page(facts_of(folder, max_recordings=1))


def test_waveforms_keep_peaks_and_gaps():
    values = np.zeros(10_000, np.float32)
    values[4321] = 1.0
    assert ",2.0" in waveform(values, 1.0, "x")  # the peak reaches the top
    values[5000:6000] = np.nan
    assert waveform(values, 1.0, "x").count("<path") == 2
    assert "<path" not in waveform(np.full(5, np.nan), 1.0, "x")
    assert waveform(np.ones(5), 1.0, 'a"<b').count("&quot;&lt;b") == 1


def test_from_the_command_line(folder, tmp_path, capsys):
    target = tmp_path / "out" / "report.html"
    target.parent.mkdir()
    assert inspect.main([str(folder), f"--out={target}"]) == 0
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert inspect.main([str(folder / "night_0.npz"), f"--out={target}"]) == 0
    assert "night_1" not in target.read_text(encoding="utf-8")
    assert inspect.main([str(tmp_path / "nowhere"), f"--out={target}"]) == 2
    assert inspect.main([str(folder), f"--out={target}", "--max_recordings=0"]) == 2
    assert "max_recordings must be >= 1; got 0." in capsys.readouterr().err


def test_real_recordings(shared, tmp_path):
    target = tmp_path / "report.html"
    assert inspect.main([str(shared / "data/mitbih_ds1"), f"--out={target}"]) == 0
    page = target.read_text(encoding="utf-8")
    assert "22" in page
    assert "MLII" in page or "II" in page
    assert json.dumps(page)
