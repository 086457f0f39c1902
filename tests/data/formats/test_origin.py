"""Facts of a recording come from its file, or from the manifest where that states them."""

from physio_mae_jax.data.formats.origin import Origin, completed, origin_by_ending


def complete(ending, **stated):
    facts = ("rate_by_manifest", "names_by_manifest", "units_by_file", "units_by_manifest")
    return completed(Origin(), ending, **dict.fromkeys(facts, False) | stated)


def test_a_header_states_everything():
    assert str(origin_by_ending(".edf")) == (
        "EDF: rate from its header, names from its header, units from its header"
    )


def test_the_manifest_comes_before_the_file():
    found = complete(".edf", rate_by_manifest=True, units_by_file=True)
    assert found.rate == "the manifest or arguments"
    assert (found.names, found.units) == ("its header", "its header")


def test_what_nobody_states_is_said():
    assert str(complete(".npy")) == "npy: rate not stated, names not stated, units not stated"
