"""Recording files as they come from devices: a reader for each format, and folders of files.

In the order data meets them::

    manifest, manifest_values, labelling   what a manifest.json states about files
    discovery                              which files a folder has, and a draft of a manifest
    readers                                the reader of each ending:
        csv_table, parquet_table, npz_member, edf_record, wfdb_record
    csv_text, csv_head                     a table of text down to its samples
    column_names, column_content           what the name and samples of a column state
    table_columns                          which columns of a table are channels
    time_values, time_text, time_units     columns of times
    time_column, uniform_times             the sampling rate they determine
    layout                                 what a file states about itself joined with its manifest
    folder                                 all of it as a source of recordings
    array_cache                            recently loaded arrays
"""
