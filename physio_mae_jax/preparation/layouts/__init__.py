"""One module per data set: which recordings a raw folder has, and how one is read.

Modules::

    aux_notes       reading the notes of WFDB annotations, which ``read_annotations`` omits
    bidmc           the BIDMC PPG and Respiration Dataset (Pimentel et al.)
    bonn            the EEG segments of the University of Bonn (Andrzejak et al.)
    brugada         Brugada-HUCA (Costa Cortez and Garcia Iglesias 2026)
    challenge2021   the PhysioNet/CinC Challenges 2020 and 2021 (Reyna et al.)
    cinc2011        the PhysioNet/CinC Challenge 2011 (Silva et al.)
    cinc2015        the PhysioNet/CinC Challenge 2015 (Clifford et al.)
    cinc2017        the PhysioNet/CinC Challenge 2017 (Clifford et al.)
    eegmat          EEG During Mental Arithmetic Tasks, EEGMAT (Zyma et al.)
    empatica        recordings of the Empatica E4 wristband, and alignment of channels with
                    different rates
    folder          a user's own files, as read by ``data.formats.folder``, with optional labels
    folder_draft    drafting a manifest for a user's own files
    folder_labels   labels, folds and attributes of a user's own files (see
                    ``data.formats.manifest``)
    interval_runs   converting labels with a constant rate to intervals of samples
    ludb            the Lobachevsky University Database (Kalyakulina et al.)
    mimic3          MIMIC-III Waveform Database Matched Subset (Moody et al.)
    mimic_perform   the MIMIC PERform datasets (Charlton et al.)
    mitbih          the MIT-BIH Arrhythmia Database (Moody and Mark 2001) with beats in the classes
                    of AAMI EC57
    npz_arrays      cached members of an ``.npz`` file with many recordings
    packed_flac     recordings packed into one FLAC file of 16-bit integers, beside an ``.npz``
    ppg_rhythm      PPG with six rhythms (Liu et al.)
    ptbxl           PTB-XL as published on PhysioNet (Wagner et al.)
    several_forms   layouts of data sets in several forms: as published, and as a copy that is not
                    published
    signal_copies   recordings with identical signals, which count as one subject
    signal_table    signals of a CSV file whose sampling rate is known
    sleep_edf       Sleep-EDF Database Expanded (Kemp et al.)
    snomed_codes    diagnoses of the PhysioNet/CinC Challenges 2020 and 2021, by SNOMED CT code
    stress_predict  the Stress-Predict Dataset (Iqbal et al.)
    twelve_leads    twelve-lead ECGs in mV: a WFDB record, and packed recordings
    wesad           WESAD (Schmidt et al.)
    wesad_pickle    the pickles of WESAD, ``S2/S2.pkl``: synchronized recordings of both devices,
                    with labels
    wesad_protocol  the protocol of WESAD: times of its conditions, and its start in the wrist
                    recording
    wesad_wrist     wrist recordings of WESAD as exported by the E4, longer than in the pickles,
                    with labels
    wfdb_recording  a recording made of a WFDB record
"""
