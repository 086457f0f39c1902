"""Exports of devices: one module for each format, recognized by content rather than by ending.

Modules::

    apple_watch    the ECG of an Apple Watch, as the Health app exports it: keys and values, and
                   then one lead
    biosppy_text   the Simple Text Format of BioSPPy (``biosppy.storage.store_txt``), as its
                   examples are stored
    embrace_plus   CSV files of the Empatica EmbracePlus: one a sensor, as Empatica's script writes
                   them from Avro
    empatica_e4    exports of the Empatica E4 wristband: a folder or a zip file with one CSV file
                   per sensor
    garmin_fit     activities of Garmin devices, as FitCSVTool of the FIT SDK writes them from .fit
                   files
    ishne          ISHNE Holter files (.ecg): 16-bit samples of up to twelve leads behind a header
                   of 522 bytes
    mat_elements   the elements of MATLAB files of version 5 to 7: arrays of numbers, texts and
                   cells of texts
    mat_structs    struct arrays of MATLAB files of version 5 to 7, with fields of numbers, texts
                   and structs
    mat_v5         MATLAB files of version 5 to 7 (``save -v6``, ``-v7``)
    mat_v73        MATLAB files of version 7.3 (``save -v7.3``), which are HDF5: by h5py, an
                   optional dependency
    mat_variables  which variables of a MATLAB file are its signal, rate, names and units
    muse           CSV files of Muse headbands: of Mind Monitor, and of muselsl
    opensignals    text files of OpenSignals, by PLUX, for BITalino and biosignalsplux
    packet_times   the rate of samples whose times were stamped by a receiver, packet by packet
    polar          streams of Polar H10, OH1 and Verity Sense, as Polar Sensor Logger and its like
                   export them
    registry       the export formats of devices, and which of them a file is of: decided by its
                   content
    sensor_folder  folders of one CSV file per sensor of a device, which are one recording
    sensor_frames  sensors of one device at different rates and starts, as frames of one recording
    shimmer        CSV exports of Shimmer sensors by Consensys, and of ShimmerCapture with the same
                   names
    text_head      the first lines of a text file, split into cells: what headers of devices are
                   read from
    text_table     tables of text whose columns a format defines: samples by physical units, rate by
                   clock or head
    vendor_format  what an export format of a device is: how it is recognized, and its reader
"""
