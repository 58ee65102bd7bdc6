# SPDX-License-Identifier: MIT
"""The peer of bench/prep.c: what the reference's scripts do, in one process, nothing written to disk.

    python3 bench/peer_prep.py recipe|lean ROOT

prints "video_ms audio_ms": CPU milliseconds per clip, start-up and a first clip aside.
  recipe  OpenCV reads every frame and encodes each int(fps)-th as JPEG (what the authors do)
  lean    the best that OpenCV allows: grabs frames, retrieves the three wanted ones, stops there
Sound by librosa in both: load at 22,050 Hz, tile, cut, clip, stft, log.
"""
import glob
import sys
import time

import cv2
import librosa
import numpy as np

cv2.setNumThreads(1)


def recipe(path):
    capture = cv2.VideoCapture(path)
    step = int(capture.get(cv2.CAP_PROP_FPS))
    kept, index = [], 0
    while True:
        ok, picture = capture.read()
        if not ok:
            return kept
        if index % step == 0:
            kept.append(cv2.imencode(".jpg", picture)[1])
        index += 1


def lean(path):
    capture = cv2.VideoCapture(path)
    step = int(capture.get(cv2.CAP_PROP_FPS))
    kept, index = [], 0
    while len(kept) < 3 and capture.grab():
        if index % step == 0:
            kept.append(cv2.imencode(".jpg", capture.retrieve()[1])[1])
        index += 1
    return kept


def sound(path):
    pcm, _ = librosa.load(path, sr=22050, mono=True)
    pcm = np.clip(np.tile(pcm, 3)[:66150], -1.0, 1.0)
    return np.log(np.abs(librosa.stft(pcm, n_fft=512, hop_length=353)) + 1e-7)


def clock(work, paths):
    work(paths[0])
    start = time.process_time()
    for path in paths:
        work(path)
    return (time.process_time() - start) * 1e3 / len(paths)


video = {"recipe": recipe, "lean": lean}[sys.argv[1]]
print("%.3f %.3f" % (clock(video, sorted(glob.glob(sys.argv[2] + "/VideoFlash/*.flv"))),
                     clock(sound, sorted(glob.glob(sys.argv[2] + "/AudioWAV/*.wav")))))
