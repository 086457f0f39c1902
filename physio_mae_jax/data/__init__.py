"""From recordings on disk, or synthetic ones, to batches of NumPy arrays.

In the order of the data flow::

    regular_file     opening regular files only: no pipes, devices or folders
    json_reader      untrusted JSON (json_types: checked against dataclasses; sealed_json: with
                     hashes of its own content)
    pickle_reader    untrusted pickles (pickle_values; restricted_pickle: NumPy arrays)
    source           the interface of any collection of recordings
    formats          common file formats, and a folder of such files as a source
    prepared         a prepared data set as a source (prepared_index: its index; sample_cache:
                     decoded samples kept in memory)
    synthetic        a source that simulates its recordings
    sets             sources by name, several as one
    opening          entry point: from names to readable windows, checked and split
    validation       rejection of unusable recordings
    channel_plan     which channels of each recording a model is given
    splits           division of subjects into training, validation and test
    input_spec       the input contract, stored with the model
    fingerprints     hashes of subjects and samples; contamination: overlap with training data
    labels           labels of prepared data sets
    window_starts    where windows may begin
    windows          one model-ready window
    pipeline         batches of windows
"""
