#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The digests of tests/golden/test_digests.c, computed from docs/formats/ alone.

Run: python3 tests/golden/make/digests.py        (standard library only)
"""
import hashlib
import struct


def sha(data):
    return hashlib.sha256(data)


def framed(value):
    return struct.pack("<Q", len(value)) + value


def clip(name):
    return name.encode().ljust(24, b"\0")


def shard_set():
    lines = b"clip U8 24\nblob ragged\nvalue F32 2 1\nlabel I32\n"
    samples = []
    for i in range(3):
        values = [
            clip(f"100{i}_DFA_ANG_XX"),
            bytes(range(i + 1)),
            struct.pack("<2f", i, i + 0.5),
            struct.pack("<i", -i),
        ]
        samples.append(sha(b"".join(map(framed, values))).digest())
    content = sha(b"synib-content 1\n" + lines + b"\n" + b"".join(samples)).hexdigest()
    name = sha(
        b"synib-shard 1\nx\n0\n" + b"a.key=first\nsynib.seed=7\n" + lines + b"".join(samples)
    ).hexdigest()[:12]
    return content, f"x-00000-{name}.safetensors"


def irony():
    def sample(name, donor, numbers, jpegs, spectrogram):
        head = clip(name) + clip(donor) + struct.pack("<5i", *numbers)
        return sha(head + b"".join(map(framed, jpegs + [struct.pack("<2f", *spectrogram)]))).digest()

    # label, base label, donor label, actor, flags
    a = sample("1001_DFA_ANG_XX", "1002_IEO_HAP_LO", (6, 5, 1, 1001, 3), [b"one", b"two", b"three"],
               (-1.5, 2.0))
    b = sample("1002_IEO_HAP_LO", "", (1, 1, -1, 1002, 0), [b"4", b"5", b"6"], (0.0, -16.0))
    return sha(b"synib-irony 1\n2 1\n" + a + b).hexdigest()


for value in (*shard_set(), irony()):
    print(value)
