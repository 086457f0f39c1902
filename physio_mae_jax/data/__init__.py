"""From recordings on disk, or synthetic ones, to batches of NumPy arrays.

Data flow: a source of recordings (``formats``, ``prepared``, ``synthetic``) is opened, checked and
divided by subject (``opening``), read as windows (``windows``) and batched (``pipeline``).

Modules::

    annotation_windows windows around events, or within intervals of one state, that lie in gap-free
                       signal
    arrays             recordings that are arrays in memory, or mapped from a file, as a
                       ``SignalSource``
    batch_memory       memory of batches that is used again
    block_cache        cached blocks of recordings whose files are slow to read
    channel_plan       selection and derivation of the model's input channels for each recording
    contamination      hashes of training data, and detection of overlap with an evaluation
    data_summary       size, license and citation of the data that a model was trained on
    element_random     random generators of the elements of a stream
    fingerprints       hashes of subjects and samples, which identify training data
    format_version     version of the files that the program writes, and the error for files of
                       another version
    frame_index        checking the index of a data frame against the sampling rate
    frames             columns of pandas, polars and pyarrow tables as arrays
    gap_scan           selected recordings of a source; unknown gaps are found in one pass over the
                       samples
    input_spec         specification of a model's input, stored with the model
    auxiliary_targets  targets of a second task for the same training instances
    instances          labeled instances to evaluate: whole recordings, beats, or intervals of one
                       state
    json_reader        reading untrusted JSON with size limits and errors that name the file
    json_types         converting decoded JSON to dataclasses, with type checks of every field
    labeled_batches   batches of labeled instances: drawn at random for training, in order for
                       evaluation
    label_fraction     a fraction of the training subjects in which every class is represented
    labels             labels of the recordings of prepared data sets
    listing            formatting lists of problems in a message of bounded length
    opening            opening data: from data set names to readable windows, checked and split by
                       subject
    pickle_reader      an interpreter of untrusted pickles, for the opcodes that describe data
    pickle_values      decoding and checking the values of pickles
    pipeline           from recordings to batches: Grain for training, a fixed list for validation
    prefetch           prefetching in threads while earlier results are processed
    prepared           a prepared data set as a source of recordings, read from its array_record
                       files
    prepared_index     the index of a prepared data set: one JSON line per recording, and their
                       shared metadata
    regular_file       opening untrusted files: regular files only, of limited size
    restricted_pickle  reading arrays from untrusted pickles, without executing anything in them
    sample_cache       bounded in-memory cache of decoded samples, so that later epochs do not
                       decode them again
    sample_labels      a class for every sample of every channel of a window, made from intervals
    sealed_json        JSON files with hashes of their fields, which detect changes
    sets               opening data sets by name, and concatenating several into one source
    source             the interface between the pipeline and any collection of recordings
    splits             splitting recordings by subject
    subjects           normalization of subject names: one spelling per subject
    synthetic          a synthetic cohort with ground truth, so that all programs run without
                       downloads
    unclear            warnings about unknown channel names and units, logged when data is opened
    validation         checking every recording before training, so that bad data fails early
    window_stack       windows of a batch, made at once
    window_starts      valid window starts in a recording with gaps
    window_transform   from raw samples of a recording to one model-ready window: pure functions of
                       arrays
    windows            one model-ready window out of one recording
    formats/           recording file formats: a reader for each format, and folders of files
"""
