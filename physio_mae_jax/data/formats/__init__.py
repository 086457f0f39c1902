"""Recording files as devices write them: a reader for each format, and folders of files.

Modules::

    array_cache      keeping recently read arrays in memory, bounded by their bytes
    candidate        a file that may hold recordings, with what was found out about it
    column_content   classification of a column by its samples: a ramp, or a code with few distinct
                     values, is not a signal
    column_names     classification of table columns by name: channel, time, sample number, label,
                     or unknown
    csv_head         header of a text table: delimiter, comments, column names and units, up to the
                     first sample
    csv_table        reading .csv recordings: a line of column names, then one line per sample
    csv_text         opening text tables with limits on line length, encoding and expansion
    discovery        finding the recordings of a folder that has no manifest, and drafting one for
                     it
    drafting         drafting a manifest for files, and saying what they were recognized as
    edf_header       the headers of EDF, EDF+ and BDF files: fixed-width fields, parsed strictly
    edf_record       reading EDF, EDF+ and BDF recordings, in the physical units of the header
    file_facts       metadata that files state about themselves, joined with a manifest; no disk
                     access
    folder           A folder of recordings as a ``SignalSource``
    foreign          recording formats that are recognized but not read, and how to convert them
    labeling        manifest fields with labels, folds and attributes, for preparation
    loaded_arrays    what is kept in memory of the files that cannot be read in place
    manifest         the manifest: a JSON file that describes a folder of recordings
    manifest_values  checks of single manifest values; each returns the value or raises an error
    memory           memory limits of arrays, checked from the header before unpacking
    npz_member       reading npz members that describe the signal: names, ids, labels, ages
    origin           where the rate, names and units of a recording came from: its file, or the
                     manifest
    parquet_table    reading .parquet recordings: one column per channel, one row per sample
    patterns         regular expressions of a manifest, with a time limit against catastrophic
                     backtracking
    reader           what a reader of a format is, and cutting segments from arrays that are loaded
    readers          one reader for each format of recordings: .npy, .npz, .csv, .parquet, EDF, BDF
                     and WFDB
    resolve          joining file metadata with a manifest entry and the requested channels
    several_rates    resampling the channels of a file to the highest of their rates, by segment
    start_time       the start of a recording as headers state it, in ISO 8601 without a zone; ''
                     where it is unclear
    table_columns    selecting the channel columns of a table, for CSV and parquet
    time_column      the sampling rate of a table from its time columns and their units
    time_text        parsing times written as text: ISO 8601 dates and clock times HH:MM:SS.fff
    time_units       units of time in seconds, and plausible units of a column without one
    time_values      values of a time column, collected in chunks: numbers, dates or clock times
    uniform_times    the sampling rate of uniform times that are rounded to their printed digits
    usable           usable files of a folder, with warnings about unusable ones and about
                     conversions
    wfdb_files       finding the signal files of a WFDB record and checking them against its header
    wfdb_header      parsing WFDB headers: strict, in linear time, with bounded size
    wfdb_record      reading WFDB records (a ``.hea`` header and the signal files it names), in
                     physical units
    wfdb_samples     samples of WFDB signal files, in ADC units
    vendors/         exports of devices: one module for each format, recognized by content
"""
