"""One module per data set: finding and reading its recordings.

Modules::

    aux_notes       reading the notes of WFDB annotations, which ``read_annotations`` omits
    bidmc           the BIDMC PPG and Respiration Dataset (Pimentel et al.)
    bonn            the EEG segments of the University of Bonn (Andrzejak et al.)
    cinc2017        the PhysioNet/CinC Challenge 2017 (Clifford et al.)
    empatica        recordings of the Empatica E4 wristband, and alignment of channels with
                    different rates
    folder          a user's own files, as read by ``data.formats.folder``, with optional labels
    folder_labels   labels, folds and attributes of a user's own files (see
                    ``data.formats.manifest``)
    interval_runs   converting labels with a constant rate to intervals of samples
    mimic3          MIMIC-III Waveform Database Matched Subset (Moody et al.)
    mimic_perform   the MIMIC PERform datasets (Charlton et al.)
    mitbih          the MIT-BIH Arrhythmia Database (Moody and Mark 2001) with beats in the classes
                    of AAMI EC57
    npz_arrays      cached members of an ``.npz`` file with many recordings
    ptbxl           PTB-XL as published on PhysioNet (Wagner et al.)
    sleep_edf       Sleep-EDF Database Expanded (Kemp et al.)
    stress_predict  the Stress-Predict Dataset (Iqbal et al.)
    wesad           WESAD (Schmidt et al.)
"""
