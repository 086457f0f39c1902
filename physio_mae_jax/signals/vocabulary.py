"""Channel vocabulary: canonical names and their indices in the models' embedding tables.

The indices select the learned channel embeddings of a model, so ``VOCABULARY`` may only ever be
appended to: a changed order would silently relabel the channels of a trained checkpoint.
"""

TWELVE_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

# Electrodes of the international 10-20 system. T3, T4, T5, T6 are T7, T8, P7, P8 of the 10-10
# system: the same positions under older names.
TEN_TWENTY = (
    *("FP1", "FP2", "F3", "F4", "F7", "F8", "FZ", "C3", "C4", "CZ", "T3", "T4"),
    *("T5", "T6", "P3", "P4", "PZ", "O1", "O2", "OZ", "A1", "A2", "M1", "M2"),
)

# Electrodes that the 10-10 system adds, and the anterior temporal T1 and T2.
TEN_TEN = (
    *("FPZ", "AF7", "AF3", "AFZ", "AF4", "AF8", "AF5", "AF6", "AF1", "AF2", "F1", "F2"),
    *("F5", "F6", "F9", "F10", "FT7", "FT8", "FT9", "FT10", "FC5", "FC3", "FC1", "FCZ"),
    *("FC2", "FC4", "FC6", "C1", "C2", "C5", "C6", "T1", "T2", "T9", "T10", "TP7", "TP8"),
    *("TP9", "TP10", "CP5", "CP3", "CP1", "CPZ", "CP2", "CP4", "CP6", "P1", "P2", "P5"),
    *("P6", "P9", "P10", "PO7", "PO3", "POZ", "PO4", "PO8", "PO5", "PO6", "PO9", "PO10"),
    *("O9", "O10", "IZ", "NZ"),
)

# Id 0 is used for all channels whose name is not listed.
VOCABULARY = (
    "unknown",
    *TWELVE_LEADS,
    "PPG",
    "EEG",
    "RESP",
    "ACC_X",
    "ACC_Y",
    "ACC_Z",
    "EDA",
    "TEMP",
    "ABP",
    "EOG",
    "EMG",
    "ECG",
    "SPO2",
    "CVP",
    "ICP",
    "EEG_FPZ_CZ",
    "EEG_PZ_OZ",
    *(f"EEG_{position}" for position in TEN_TWENTY),
    # Appended later; older models have only the entries above.
    *(f"EEG_{position}" for position in TEN_TEN),
    *("V", "MCL1", "V7", "V8", "V9", "V3R", "V4R", "VX", "VY", "VZ"),
    *("EOG_L", "EOG_R", "RESP_THORAX", "RESP_ABDOMEN", "AIRFLOW"),
    *("PPG_RED", "PPG_INFRARED", "PPG_GREEN", "GYRO_X", "GYRO_Y", "GYRO_Z", "PAP", "CO2"),
)

# Number of entries in the first models.
NUM_FIRST_NAMES = 54
