"""Files of recordings, as people have them: each format's reader, and a folder of such files.

In the order data meets them::

    manifest, manifest_values, labelling   what a manifest.json says of files
    discovery                              which files a folder has, and a draft of a manifest
    readers                                the reader of each ending:
        csv_table, parquet_table, time_column, npz_member, edf_record, wfdb_record
    layout                                 what a file says of itself joined with its manifest
    folder                                 all of it as a source of recordings
    array_cache                            what was loaded whole and is kept
"""
