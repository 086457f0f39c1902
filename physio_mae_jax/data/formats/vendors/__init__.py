"""Exports of devices: one module for each format, recognized by content rather than by ending.

Modules::

    apple_watch    the ECG of an Apple Watch, as exported by the Health app: keys and values,
                   followed by one lead
    biosppy_text   the Simple Text Format of BioSPPy (``biosppy.storage.store_txt``), the format of
                   its examples
    embrace_plus   CSV files of the Empatica EmbracePlus: one per sensor, as converted from Avro by
                   Empatica's script
    empatica_e4    exports of the Empatica E4 wristband: a folder or a zip file with one CSV file
                   per sensor
    garmin_fit     activities of Garmin devices, as converted from .fit files by FitCSVTool of the
                   FIT SDK
    ishne          ISHNE Holter files (.ecg): 16-bit samples of up to twelve leads behind a header
                   of 522 bytes
    mat_elements   the elements of MATLAB files of version 5 to 7: arrays of numbers, texts and
                   cells of texts
    mat_structs    struct arrays of MATLAB files of version 5 to 7, with fields of numbers, texts
                   and structs
    mat_v5         MATLAB files of version 5 to 7 (``save -v6``, ``-v7``)
    mat_v73        MATLAB files of version 7.3 (``save -v7.3``), which are HDF5: by h5py, an
                   optional dependency
    mat_variables  identification of the variables with the signal, rate, names and units in a
                   MATLAB file
    muse           CSV files of Muse headbands, as exported by Mind Monitor and muselsl
    opensignals    text files of OpenSignals, by PLUX, for BITalino and biosignalsplux
    packet_times   sampling rate from timestamps that a receiver assigns to packets of samples
    polar          streams of Polar H10, OH1 and Verity Sense, as exported by Polar Sensor Logger
                   and similar apps
    registry       the export formats of devices, and recognition of the format of a file by its
                   content
    sensor_folder  folders of one CSV file per sensor of a device, which are one recording
    sensor_frames  sensors of one device at different rates and starts, as frames of one recording
    shimmer        CSV exports of Shimmer sensors by Consensys, and by ShimmerCapture with the same
                   names
    text_head      the first lines of a text file, split into cells, for parsing the heads of
                   exports
    text_table     text tables whose columns a format defines, with samples in physical units and
                   the rate from a column of times or the head
    vendor_format  definition of an export format: how it is recognized, and its reader
"""
