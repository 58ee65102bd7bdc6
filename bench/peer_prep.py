# SPDX-License-Identifier: MIT
"""The peer of bench/prep.c: what the reference's scripts do, in one process, nothing written to disk.

    python3 bench/peer_prep.py recipe|lean|ffmpeg ROOT

prints "video_ms audio_ms": CPU milliseconds per clip, start-up and a first clip aside.
  recipe  OpenCV reads every frame and encodes each int(fps)-th as JPEG (what the authors do)
  lean    the best that OpenCV allows: grabs frames, retrieves the three wanted ones, stops there
  ffmpeg  one ffmpeg command per clip for the same three JPEG files, and one for its sound as WAV at 22,050 Hz
Sound by librosa in the first two: load at 22,050 Hz, tile, cut, clip, stft, log.
"""
import glob
import os
import resource
import subprocess
import sys
import tempfile
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


def ffmpeg(path, *options):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-y", "-i", path, *options], check=True)


def pictures(path):
    ffmpeg(path, "-an", "-vf", "select=eq(n\\,0)+eq(n\\,29)+eq(n\\,58)", "-vsync", "0", "-frames:v", "3", "-q:v", "2",
           "-threads", "1", os.path.join(scratch, "%d.jpg"))
    if len(glob.glob(scratch + "/*.jpg")) != 3:
        sys.exit("ffmpeg made no three pictures of " + path)


def wav(path):
    ffmpeg(path, "-vn", "-ac", "1", "-ar", "22050", os.path.join(scratch, "sound.wav"))


def cpu():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def clock(work, paths):
    work(paths[0])
    start = cpu()
    for path in paths:
        work(path)
    return (cpu() - start) * 1e3 / len(paths)


flvs = sorted(glob.glob(sys.argv[2] + "/VideoFlash/*.flv"))
wavs = sorted(glob.glob(sys.argv[2] + "/AudioWAV/*.wav"))
with tempfile.TemporaryDirectory() as scratch:
    if sys.argv[1] == "ffmpeg":
        times = clock(pictures, flvs[:16]), clock(wav, flvs[:16])  # seconds as it is
    else:
        times = clock({"recipe": recipe, "lean": lean}[sys.argv[1]], flvs), clock(sound, wavs)
print("%.3f %.3f" % times)
