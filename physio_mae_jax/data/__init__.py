"""From recordings on disk, or synthetic ones, to batches of NumPy arrays.

Data flow: a source of recordings (``formats``, ``prepared``, ``synthetic``) is opened, checked and
divided by subject (``opening``), read as windows (``windows``) and batched (``pipeline``).

Modules::

    arrays             recordings that are arrays in memory, or mapped from a file, as a
                       ``SignalSource``
    channel_plan       which channels of each recording a model is given, and how they are derived
    contamination      hashes of a model's training data, and whether an evaluation uses any of it
    fingerprints       hashes of subjects and samples, by which training data is recognised later
    format_version     version of the files that the program writes, and the error for files of
                       another version
    frame_index        check of the times in a frame's index against the given sampling rate
    frames             columns of pandas, polars and pyarrow tables as arrays
    gap_scan           selected recordings of a source; unknown gaps are found by reading the
                       samples once
    input_spec         input of a model, stored with the model so that others can reproduce it
    instances          labelled instances to evaluate: whole recordings, beats, or intervals of one
                       state
    json_reader        reading untrusted JSON, within bounds and with errors that name the file
    json_types         from decoded JSON to dataclasses: every value is checked against the type of
                       its field
    labelled_batches   batches of labelled instances: drawn at random for training, in order for
                       evaluation
    labels             labels of the recordings of prepared data sets
    listing            complete lists of unusable items in a message of bounded length
    opening            opening data: from names of sets to readable windows, checked and divided by
                       subject
    pickle_reader      an interpreter of untrusted pickles, for the opcodes that describe data
    pickle_values      values of pickles: texts and numbers decoded, keys checked, containers copied
                       into a tree
    pipeline           from recordings to batches: Grain for training, a fixed list for validation
    prefetch           reading ahead in threads while earlier results are processed
    prepared           A prepared data set as a source of recordings, read from its array_record
                       files
    prepared_index     the index of a prepared data set: one JSON line per recording, and their
                       shared metadata
    regular_file       opening untrusted files: regular files only, of limited size
    restricted_pickle  reading arrays from untrusted pickles, without executing anything in them
    sample_cache       bounded in-memory cache of decoded samples, so that later epochs do not
                       decode them again
    sealed_json        JSON files with hashes of their own content, by which a changed field is
                       detected and named
    sets               data sets by name, alone or several as one source
    source             the interface between the pipeline and any collection of recordings
    splits             division of recordings into splits, never through a subject
    subjects           subject names: one spelling per subject, however the files spell it
    synthetic          A synthetic cohort with ground truth, so that all programs run without
                       downloads
    unclear            warnings of unknown channel names and units, logged once where data is opened
    validation         checking every recording once before training, so that bad data fails in the
                       first minute
    window_starts      where windows may begin in a recording with gaps
    window_transform   from raw samples of a recording to one model-ready window: pure functions of
                       arrays
    windows            model-ready windows of the recordings of a source
    formats/           recording files as devices write them: a reader for each format, and folders
                       of files
"""
