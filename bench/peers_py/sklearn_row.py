"""sklearn_row ROW IN OUT ARGUMENT ...: K-Means of scikit-learn, or batch gradient descent in NumPy; prints what it took."""
import sys
import time

import numpy as np

row, source, target, *more = sys.argv[1:]
began = time.monotonic()
data = np.loadtxt(source, delimiter=",") if row == "loadtxt" else None
if data is None:
    import pyarrow.csv as csv
    table = csv.read_csv(source, read_options=csv.ReadOptions(autogenerate_column_names=True))
    data = np.column_stack([c.to_numpy() for c in table.columns])
print("parse", time.monotonic() - began)
if row == "kmeans":
    from sklearn.cluster import KMeans
    k, iterations = int(more[0]), int(more[1])
    x = np.ascontiguousarray(data[:, 1:])
    began = time.monotonic()
    model = KMeans(n_clusters=k, init=x[:k], n_init=1, max_iter=iterations, tol=0, algorithm="lloyd").fit(x)
    print("iteration", (time.monotonic() - began) / model.n_iter_)
    print("iterations", model.n_iter_)
    np.savetxt(target, model.cluster_centers_, fmt="%.17g", delimiter=",")
elif row == "logistic":
    epochs, rate = int(more[0]), float(more[1])
    x, y = np.column_stack([np.ones(len(data)), data[:, 1:]]), data[:, 0]
    w, took = np.zeros(x.shape[1]), []
    for _ in range(epochs):
        began = time.monotonic()
        w -= rate * (x.T @ (1 / (1 + np.exp(-(x @ w))) - y)) / len(y)
        took.append(time.monotonic() - began)
    print("epoch", sorted(took)[len(took) // 2])
    np.savetxt(target, w, fmt="%.17g")
