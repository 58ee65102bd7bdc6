# SPDX-License-Identifier: MIT
"""Golden numbers of the log spectrogram, from librosa.

    python3 tests/golden/make/spectrogram.py FOLDER_OF_CLIPS > tests/golden/spectrogram.tsv

Made with librosa 0.11.0 (soxr 1.1.0, libsoxr 0.1.3), numpy 2; FOLDER_OF_CLIPS holds wav/ and
wav-from-flv/. 120 values per clip, drawn by numpy's seeded generator, half of them anywhere and
half where the magnitude exceeds 1e-4; then rows with bin -1: samples after resampling and the mean
of the whole spectrogram.
"""
import glob
import os
import sys

import librosa
import numpy as np

print("#synib-golden-spectrogram 1")
print("clip\tbin\tframe\tmagnitude\tlog")
for number, path in enumerate(sorted(glob.glob(sys.argv[1] + "/wav*/*.wav"))):
    y, _ = librosa.load(path, sr=22050, mono=True)
    x = np.clip(np.tile(y, 3)[:66150], -1.0, 1.0)
    magnitude = np.abs(librosa.stft(x, n_fft=512, hop_length=353))
    log = np.log(magnitude + 1e-7)
    assert log.shape == (257, 188) and log.dtype == np.float32
    clip = os.path.relpath(path, sys.argv[1])
    rng = np.random.default_rng(number)
    cells = [divmod(int(i), 188) for i in rng.choice(257 * 188, 60, replace=False)]
    loud = np.flatnonzero(magnitude > 1e-4)
    cells += [divmod(int(i), 188) for i in rng.choice(loud, 60, replace=False)]
    for k, t in cells:
        print(clip, k, t, float(magnitude[k, t]).hex(), float(log[k, t]).hex(), sep="\t")
    print(clip, -1, len(y), float(log.mean(dtype=np.float64)).hex(), "", sep="\t")
