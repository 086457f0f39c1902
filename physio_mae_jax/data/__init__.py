"""Recordings on disk, or made up, into batches of NumPy arrays.

In the order data meets them::

    regular_file     files that are none of pipes, devices and folders
    json_reader      JSON of strangers (json_types: checked against dataclasses; sealed_json: with
                     hashes of its own content)
    pickle_reader    pickles of strangers (pickle_values; restricted_pickle: of NumPy's arrays)
    source           what any collection of recordings looks like
    formats          files as people have them, and a folder of them as a source
    prepared         a prepared data set as a source (prepared_index: what it says of itself;
                     sample_cache: what of it stays in memory)
    synthetic        a source that makes its recordings
    sets             sources by name, several as one
    opening          from names to readable windows, checked and divided: the door of this room
    checks           recordings that no model can learn from
    channel_plan     which channels of each recording a model is given
    splits           who is trained on, validated on and tested on
    contract         what a model is given, kept with it
    fingerprints     hashes of people and samples; contamination: whether they were trained on
    labels           what the tasks of prepared sets say
    stretches        where windows may begin
    windows          one model-ready window
    pipeline         batches of them
"""
