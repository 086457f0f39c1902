"""Operations on signals: channels, units, rates, resampling, wavelets, augmentation, simulation.

Modules::

    augment             training augmentations that add realistic disturbances to windows
    beat_times          times of heart beats without a model: R peaks of an ECG, steepest rises of a
                        pulse wave
    channel_derivation  mapping the channels of a recording to those of a model
    channels            canonical names of physiological channels, and their vocabulary ids
    data_parallel       data parallelism for per-example functions that the compiler does not
                        partition
    float32_range       magnitudes and offsets of samples that float32 cannot represent or resolve
    heart_simulator     ECG and PPG simulator: beat times, a cardiac dipole projected on twelve
                        leads, a pulse wave
    interpolation       band-limited interpolation, for sampling-rate ratios without small integers
    lagged_similarity   similarity of two sequences of vectors at their best lag
    noise_simulator     EEG and sensor noise simulators, as seeded random processes
    patches             splitting signals and scalograms into time columns and patches, and back
    peak_interpolation  position of a peak between samples
    preprocess          host-side processing of a window: resampling and normalization (NumPy and
                        SciPy)
    pulse_alignment     lag of a pulse wave after its ECG over time: pulse arrival times
    quality             artifacts of a recording: runs of missing, constant, clipped or implausible
                        samples
    rates               plausible sampling rates of physiological signals, by kind of channel
    spellings           spellings of channel names, mapped to canonical electrodes and sensors
    units               physical units of signals: canonical spellings, and exact conversions within
                        a quantity
    vocabulary          channel vocabulary: canonical names and their indices in the models'
                        embedding tables
    wavelet             continuous wavelet transform inside jit
    wavelet_bank        banks of Ricker wavelets
"""
