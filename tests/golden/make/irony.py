# SPDX-License-Identifier: MIT
"""Digests of the irony mutation with PyTorch's own generators, written from the description of the
procedure (docs/irony.md) and without our code: python3 tests/golden/make/irony.py >tests/golden/irony.tsv
(PyTorch 1.13.0). The 16 rows that the authors' own procedure was first checked with stand in
tests/golden/mutation-digests.tsv; this gives them and the other folds' again."""

import hashlib
import os

import torch

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")


def table(name):
    with open(os.path.join(ROOT, "manifests", name), encoding="utf-8") as f:
        lines = f.read().splitlines()
    head = lines[1].split("\t")
    return [dict(zip(head, line.split("\t"))) for line in lines[2:]]


def generator(seed):
    g = torch.Generator()
    g.manual_seed(seed)
    return g


def mutate(clips, rate, seed):
    labels = [c.split("_")[2] for c in clips]
    n = len(clips)
    k = max(0, min(n, round(rate * (n / len(set(labels))))))
    perm = torch.randperm(n, generator=generator(seed)).tolist()
    pairs = {}
    for i in perm[:k]:
        if labels[i] == "NEU":
            want = {"HAP", "SAD", "FEA", "DIS", "ANG"}
        elif labels[i] == "HAP":
            want = {"SAD", "FEA", "DIS", "ANG"}
        else:
            want = {"HAP"}
        candidates = [j for j in range(n) if labels[j] in want and j != i]
        draw = torch.randint(len(candidates), (1,), generator=generator(seed + i)).item()
        pairs[i] = candidates[draw]
    text = "".join(f"{clips[i]} {clips[pairs[i]]}\n" for i in sorted(pairs))
    return k, hashlib.sha256(text.encode()).hexdigest()[:16]


order = [row["clip"] for row in table("cremad-consensus.tsv")]
parts = {row["actor"]: row for row in table("folds-reference.tsv")}
print("#synib-mutation-digests 1")
print("fold\tseed\tsplit\tdropped\tclips\trate\tmutated\tdigest")
for row in table("fold-seeds.tsv"):
    for part in ("train", "val", "test"):
        whole = [c for c in order if parts[c[:4]]["fold" + row["fold"]] == part]
        for dropped in ("-", "1076_MTI_SAD_XX"):
            clips = [c for c in whole if c != dropped]
            if dropped != "-" and len(clips) == len(whole):
                continue
            for rate in ("0.1", "0.5", "1.0", "2.0"):
                k, digest = mutate(clips, float(rate), int(row["seed"]))
                print(row["fold"], row["seed"], part, dropped, len(clips), rate, k, digest, sep="\t")
