"""Files of recordings, as people have them: each format's reader, and a folder of such files.

In the order data meets them::

    manifest, manifest_values, labelling   what a manifest.json says of files
    discovery                              which files a folder has, and a draft of a manifest
    readers                                the reader of each ending:
        csv_table, parquet_table, npz_member, edf_record, wfdb_record
    csv_text, csv_head                     a table of text down to its samples
    column_names, column_content           what a column says of itself by its name and samples
    table_columns                          which columns of a table are channels
    time_values, time_text, time_units     columns of times
    time_column, uniform_times             the rate that they tell
    layout                                 what a file says of itself joined with its manifest
    folder                                 all of it as a source of recordings
    array_cache                            what was loaded whole and is kept
"""
