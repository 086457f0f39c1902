"""Embeddings of whole data sets as tables in files, with one index.

Modules::

    extraction  embeddings of whole data sets: tables in shards, each written atomically, and one
                index
    files       tables of embeddings as npz, parquet or array_record files, each written atomically
    index       the index of a folder of embedding tables, which describes all of its files
    table       embeddings of recordings with their ids, labels and splits, as one table
"""
