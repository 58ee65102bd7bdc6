# SPDX-License-Identifier: MIT
"""Reference numbers of tests/golden/metrics.tsv.

    pip install scikit-learn; python metrics.py > ../metrics.tsv

Each row: labels and predictions as digit strings, then scikit-learn's accuracy, Cohen's kappa (nan where it
is 0 / 0), macro F1 over the seven classes, the F1 and the recall of each (nan without a sample), with 17 digits.
"""
import random
import warnings

import sklearn
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, recall_score

rng = random.Random(1)
cases = [([0], [0]), ([0], [6]), ([6, 6, 6], [6, 6, 6]), ([0, 1, 2, 3, 4, 5, 6], [6] * 7)]
for n in (5, 20, 100, 300):
    for skill in (0.0, 0.3, 0.8):
        y = [rng.randrange(7) if n > 20 else rng.randrange(4) for _ in range(n)]
        p = [a if rng.random() < skill else rng.randrange(7) for a in y]
        cases.append((y, p))
print("# made by tests/golden/make/metrics.py with scikit-learn " + sklearn.__version__)
warnings.simplefilter("ignore")
names = [f"f1_{k}" for k in range(7)] + [f"recall_{k}" for k in range(7)]
print("\t".join(["labels", "predictions", "accuracy", "kappa", "macro_f1"] + names))
for y, p in cases:
    f1 = f1_score(y, p, labels=range(7), average=None, zero_division=0)
    macro = f1_score(y, p, labels=range(7), average="macro", zero_division=0)
    recall = recall_score(y, p, labels=range(7), average=None, zero_division=float("nan"))
    row = [accuracy_score(y, p), cohen_kappa_score(y, p), macro, *f1, *recall]
    print("\t".join(["".join(map(str, y)), "".join(map(str, p))] + ["%.17g" % v for v in row]))
