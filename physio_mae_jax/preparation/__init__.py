"""Preparation of raw data sets on disk as tfds data sets of array_record files.

Data flow: a layout finds and reads the recordings of a raw folder, which are divided into shards
(``shard_plan``), written by processes (``executors``) and moved to their final path (``builder``).

Modules::

    builder        the tfds builder of every data set: plan shards, write them, move them to their
                   final path
    channel_units  one unit for each channel of a data set, by exact factors
    checksums      checksum lists such as PhysioNet's SHA256SUMS.txt: the files of a data set and
                   their hashes
    connections    connections to a web server with a response timeout, and handlers of urllib
    data_set_list  what can be prepared: variants, what to download, licence and tasks of each data
                   set
    download       raw data from a server: every file of a checksum list, several at a time, resumed
                   and checked
    examples       A recording as tfds examples
    executors      executors that write the shards: this process, local processes, or Apache Beam
    http_client    files of a web server by urllib, with actionable errors and detection of
                   transient ones
    recording      parts of a raw data set: recordings with labels, and the layout that finds them
    registry       every data set that can be prepared, by name and variant
    report         report of a preparation: recordings kept and skipped, with reasons, and quality
                   findings
    shard_plan     deterministic division of the recordings of a source into shards, with
                   fingerprints
    shards         writing some recordings of a data set as one array_record file, atomically
    staging        staging of shards until a data set is complete, and the move to its final path
    tables         reading the tables that describe recordings: every cell as text, every needed
                   column named
    layouts/       one module per data set: which recordings a raw folder has, and how one is read
"""
