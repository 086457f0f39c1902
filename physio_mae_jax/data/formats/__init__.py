"""Recording files as devices write them: a reader for each format, and folders of files.

Modules::

    array_cache      keeping recently read arrays in memory, bounded by their bytes
    candidate        a file that may hold recordings, with what was found out about it
    column_content   classification of a column by its samples: a ramp and a code of few values are
                     no signal
    column_names     classification of table columns by name: channel, time, sample number, label,
                     or unknown
    csv_head         the beginning of a table of text: its delimiter, comments, names and units, up
                     to its samples
    csv_table        reading .csv recordings: a line of column names, then one line a sample
    csv_text         the text of a table, opened so that no file is taken for more than it holds
    discovery        finding the recordings of a folder that has no manifest
    drafting         drafting a manifest for files, and saying what they were recognised as
    edf_header       the headers of EDF, EDF+ and BDF files: fields of fixed width, read strictly
    edf_record       reading EDF, EDF+ and BDF recordings, in the physical units of the header
    file_facts       facts that files state about themselves and what is read from them: no disk
                     access
    folder           A folder of recordings as a ``SignalSource``
    foreign          formats of recordings that are recognised and not read: what to do with such
                     files
    labelling        labels, folds and attributes of a manifest: fields of its entries, for
                     preparation
    manifest         describing a folder of recordings: the manifest, a small JSON file beside the
                     signals
    manifest_values  checks of single manifest values: each returns the value or raises with the
                     expected one
    memory           how much memory an array may take: checked by its header, before it is unpacked
    npz_member       reading npz members that describe its signal: names, ids, labels, ages
    origin           where the rate, names and units of a recording came from: its file, or the
                     manifest
    parquet_table    reading .parquet recordings: one file a recording, a column a channel, a row a
                     sample
    patterns         regular expressions of a manifest, which must not hang: Python's may take for
                     ever
    reader           what a reader of a format is, and cutting segments from arrays that are loaded
                     as a whole
    readers          one reader for each format of recordings: .npy, .npz, .csv, .parquet, EDF, BDF
                     and WFDB
    resolve          joining the facts of a file with its manifest entry and the requested channels
    several_rates    bringing the channels of a file to the highest of their rates, a segment at a
                     time
    table_columns    which columns of a table are its channels: the same rules for CSV and parquet
    time_column      the sampling rate of a table by its time columns: which of them determines it,
                     in which unit
    time_text        times written as text: dates by ISO 8601, with or without a zone, and clocks
                     HH:MM:SS.fff
    time_units       units of time: what they are in seconds, and which of them a column without a
                     unit may have
    time_values      the values of a column of times, gathered piece by piece: numbers, dates, or a
                     clock
    uniform_times    the sampling rate of uniform times, through the rounding of their printed
                     digits
    usable           usable files of a folder, with warnings about unusable ones and about
                     conversions
    vendors/         exports of devices: one module for each format, recognised by content
    wfdb_files       finding the signal files of a WFDB record, and whether they match its header
    wfdb_header      the text of WFDB headers: strict, in linear time, and of bounded size
    wfdb_record      reading WFDB records (a ``.hea`` header and the signal files it names), in
                     physical units
    wfdb_samples     samples of WFDB signal files, in ADC units
"""
