"""Preparation of raw data sets on disk as tfds data sets of array_record files.

In the order data meets them::

    layouts      one module a data set: which recordings a raw folder has, and how one is read
    recording    the result of a layout: a ``Recording`` with its labels
    examples     a recording as tfds examples, a segment of it in each
    shards       examples of some recordings as one file, beside what was found of their quality
    plan         which recordings make which shard
    executors    shards by processes of this machine, or by Apache Beam
    builder      the tfds builder that runs the executor and moves the finished shards
    report       the table of kept and skipped recordings, with reasons
    download     raw data from a server, resumed and checked
"""
