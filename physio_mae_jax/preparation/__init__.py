"""Preparation of raw data sets on disk as tfds data sets of array_record files.

Data flow: a layout finds and reads the recordings of a raw folder, which are divided into shards
(``shard_plan``), written by processes (``executors``) and moved to their final path (``builder``).

Modules::

    builder        the tfds builder of every data set: plan shards, write them, move them to their
                   final path
    channel_units  converting each channel of a data set to one unit
    checksums      checksum lists such as PhysioNet's SHA256SUMS.txt: the files of a data set and
                   their hashes
    connections    connections to a web server with a response timeout, and handlers of urllib
    data_set_list  what can be prepared: variants, what to download, license and tasks of each data
                   set
    download       resumable parallel downloads of the files in a checksum list
    examples       conversion of a recording to tfds examples
    executors      executors that write the shards: this process, local processes, or Apache Beam
    http_client    HTTP client with actionable errors and detection of transient failures
    recording      recordings with labels, and the layout of a raw data set
    registry       every data set that can be prepared, by name and variant
    report         report of a preparation: recordings kept and skipped, with reasons, and quality
                   findings
    shard_plan     deterministic division of the recordings of a source into shards, with
                   fingerprints
    shards         writing one shard of recordings as an array_record file, atomically
    staging        staging of shards until a data set is complete, and the move to its final path
    tables         reading metadata as text: tables with required columns, and lines such as
                   'Age: 65'
    layouts/       one module per data set: finding and reading its recordings
"""
