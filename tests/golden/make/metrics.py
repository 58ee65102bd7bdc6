# SPDX-License-Identifier: MIT
"""Reference numbers of tests/golden/metrics.tsv.

    pip install scikit-learn; python metrics.py > ../metrics.tsv

Each row: labels and predictions as digit strings, then scikit-learn's accuracy, macro F1 over the
seven classes and the F1 of each, with 17 digits.
"""
import random

import sklearn
from sklearn.metrics import accuracy_score, f1_score

rng = random.Random(1)
cases = [([0], [0]), ([0], [6]), ([6, 6, 6], [6, 6, 6]), ([0, 1, 2, 3, 4, 5, 6], [6] * 7)]
for n in (5, 20, 100, 300):
    for skill in (0.0, 0.3, 0.8):
        y = [rng.randrange(7) if n > 20 else rng.randrange(4) for _ in range(n)]
        p = [a if rng.random() < skill else rng.randrange(7) for a in y]
        cases.append((y, p))
print("# made by tests/golden/make/metrics.py with scikit-learn " + sklearn.__version__)
print("\t".join(["labels", "predictions", "accuracy", "macro_f1"] + [f"f1_{k}" for k in range(7)]))
for y, p in cases:
    f1 = f1_score(y, p, labels=range(7), average=None, zero_division=0)
    macro = f1_score(y, p, labels=range(7), average="macro", zero_division=0)
    row = [accuracy_score(y, p), macro, *f1]
    print("\t".join(["".join(map(str, y)), "".join(map(str, p))] + ["%.17g" % v for v in row]))
