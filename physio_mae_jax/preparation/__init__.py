"""Raw data sets on disk into prepared ones: tfds data sets of array_record files.

In the order data meets them::

    layouts      one module a data set: which recordings a raw folder has, and how one is read
    recording    what a layout gives: a ``Recording`` with its labels
    examples     a recording as tfds examples, a stretch of it in each
    shards       examples of some recordings as one file, beside what was found of their quality
    plan         which recordings make which shard
    executors    shards by processes of this machine, or by Apache Beam
    builder      the tfds builder that has shards written and moves them into place
    report       the table of what was kept and why not
    download     raw data from a server, resumed and checked
"""
