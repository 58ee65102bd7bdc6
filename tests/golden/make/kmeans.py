# SPDX-License-Identifier: MIT
"""Reference numbers of tests/golden/kmeans.tsv.

    pip install scikit-learn; python kmeans.py > ../kmeans.tsv

Lines "case NAME CLUSTERS ROWS WIDTH INERTIA", the best inertia of ten starts by scikit-learn, and
after each its rows: WIDTH values that are exact in float32, then the cluster that scikit-learn gave,
numbered in order of appearance.
"""
import numpy as np
import sklearn
from sklearn.cluster import KMeans

rng = np.random.default_rng(3)
print("# made by tests/golden/make/kmeans.py with scikit-learn " + sklearn.__version__)
for name, k, rows, width, apart in (("apart", 3, 30, 2, 8.0), ("wide", 7, 70, 16, 6.0), ("near", 4, 60, 3, 4.0)):
    centre = apart * rng.standard_normal((k, width))
    x = np.round((centre[np.arange(rows) % k] + rng.standard_normal((rows, width))) * 64) / 64
    fit = KMeans(k, n_init=10, random_state=0, tol=0).fit(x)
    number = {}
    cluster = [number.setdefault(c, len(number)) for c in fit.labels_]
    print("case", name, k, rows, width, "%.17g" % fit.inertia_, sep="\t")
    for row, c in zip(x, cluster):
        print("\t".join(["%.10g" % v for v in row] + [str(c)]))
