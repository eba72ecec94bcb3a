"""learning -- gradient descent, SGD and K-Means against NumPy, SciPy and scikit-learn, on one machine and on four."""
import re
import signal
import threading

import numpy as np
from scipy.optimize import minimize
from sklearn.cluster import KMeans

from reference import JobTest, OnFour, main, near, wait_for


def points(n=6000, d=5, seed=2):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (n, d)) * np.arange(1, d + 1) + rng.normal(0, 3, d)
    score = x @ rng.normal(0, 1, d) / d + 0.3
    return x, score, rng


def losses(text):
    return [float(v) for v in re.findall(r"epoch \d+ loss (\S+)", text)]


def model(text):
    return np.array(re.search(r"^weights (.*)$", text, re.M).group(1).split(), float)


def descend(kind, x, y, rate, epochs, l2=0.0):
    """Batch gradient descent in NumPy: losses before each step, and the weights."""
    x1, w, out = np.column_stack([np.ones(len(x)), x]), np.zeros(x.shape[1] + 1), []
    for _ in range(epochs):
        z = x1 @ w
        if kind == "squared":
            loss, slope = (z - y) ** 2 / 2, z - y
        elif kind == "logistic":
            loss, slope = np.logaddexp(0, z) - y * z, 1 / (1 + np.exp(-z)) - y
        else:
            side = 2 * y - 1
            loss, slope = np.maximum(0, 1 - side * z), -side * (side * z < 1)
        reg = np.concatenate([[0], w[1:]])
        out.append(loss.mean() + l2 / 2 * reg @ reg)
        w = w - rate * (x1.T @ slope / len(y) + l2 * reg)
    return out, w


class OnOne(JobTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.x, score, rng = points()
        cls.labels = {"squared": score + rng.normal(0, .1, len(score)), "logistic": (score + rng.logistic(0, 1, len(score)) > 0) * 1.0}
        cls.labels["hinge"] = cls.labels["logistic"]
        for kind in ("squared", "logistic"):
            path = cls.cluster.folder + "/" + kind
            with open(path, "w") as f:
                f.write("\n".join(",".join(map(repr, map(float, r))) for r in np.column_stack([cls.labels[kind], cls.x])) + "\n")
            cls.cluster.dfs("put", path, "/" + kind)
        cls.cluster.dfs("cp", "/logistic", "/hinge")

    def cat(self, path):
        return self.dfs("cat", path).stdout

    def test_losses_and_weights_of_each_kind_are_numpys(self):
        for kind in ("squared", "logistic", "hinge"):
            said = self.job("gradient", "/" + kind, "/model-" + kind, "gradient.loss=" + kind, "gradient.rate=0.02",
                            "gradient.epochs=15", "gradient.tolerance=0", "gradient.l2=0.01")
            want, w = descend(kind, self.x, self.labels[kind], 0.02, 15, 0.01)
            self.assertTrue(near(losses(said), want, 1e-8), (kind, losses(said), want))
            self.assertTrue(near(model(self.cat(f"/model-{kind}/model.txt")), w, 1e-8), kind)
            table = self.cat(f"/model-{kind}/loss.tsv").splitlines()
            self.assertEqual(len(table), 16)
            self.assertTrue(self.cat(f"/model-{kind}/loss.svg").startswith("<svg"))

    def test_logistic_regression_converges_to_the_minimum(self):
        self.job("gradient", "/logistic", "/best", "gradient.standardise=1", "gradient.steps=search", "gradient.rate=8",
                 "gradient.epochs=200", "gradient.tolerance=1e-12", "gradient.l2=0")
        x1, y = np.column_stack([np.ones(len(self.x)), self.x]), self.labels["logistic"]
        best = minimize(lambda w: (np.logaddexp(0, x1 @ w) - y * (x1 @ w)).mean(), np.zeros(x1.shape[1]),
                        jac=lambda w: x1.T @ (1 / (1 + np.exp(-(x1 @ w))) - y) / len(y), method="BFGS", options={"gtol": 1e-9})
        got = model(self.cat("/best/model.txt"))
        self.assertTrue(near(got, best.x, 1e-3, 1e-3), (got, best.x))

    def test_an_interrupted_training_goes_on_from_its_last_epoch(self):
        self.job("gradient", "/logistic", "/part", "gradient.rate=0.05", "gradient.epochs=4", "gradient.tolerance=0")
        more = self.job("gradient", "/logistic", "/part", "gradient.rate=0.05", "gradient.epochs=9", "gradient.tolerance=0")
        self.assertIn("going on after epoch 4", more)
        self.assertEqual(len(losses(more)), 5)
        whole = self.job("gradient", "/logistic", "/whole", "gradient.rate=0.05", "gradient.epochs=9", "gradient.tolerance=0")
        self.assertEqual(losses(more), losses(whole)[4:])
        self.assertEqual(model(self.cat("/part/model.txt")).tolist(), model(self.cat("/whole/model.txt")).tolist())

    def test_prediction_gives_each_row_its_score(self):
        self.job("gradient", "/logistic", "/for-prediction", "gradient.epochs=5", "gradient.tolerance=0")
        self.mr("run", "gradient", "-stage", "predict", "-side", "model=/for-prediction/model.txt", "-input", "/logistic",
                "-output", "/predicted")
        w = model(self.cat("/for-prediction/model.txt"))
        z = self.x @ w[1:] + w[0]
        got = np.array([line.split("\t") for line in self.lines("/predicted")], float)
        self.assertTrue(near(got[:, 0], self.labels["logistic"]) and near(got[:, 1], 1 / (1 + np.exp(-z)), 1e-9))

    def test_sgd_comes_near_the_minimum_in_a_few_epochs(self):
        said = self.job("sgd", "/logistic", "/sgd", "sgd.epochs=12", "sgd.rate=0.05", "mapreduce.job.reduces=2")
        self.assertEqual(len(losses(said)), 12)
        x1, y = np.column_stack([np.ones(len(self.x)), self.x]), self.labels["logistic"]

        def loss(w):
            return (np.logaddexp(0, x1 @ w) - y * (x1 @ w)).mean()
        best = minimize(loss, np.zeros(x1.shape[1]), method="BFGS")
        self.assertLess(loss(model(self.cat("/sgd/model.txt"))), best.fun * 1.02 + 0.005)
        self.assertEqual(len(self.lines("/sgd/shuffled")), len(y))
        self.assertEqual(sorted(self.lines("/sgd/shuffled")), sorted(self.cat("/logistic").splitlines()))

    def test_a_side_file_that_is_missing_fails_the_job_and_is_named(self):
        self.put("/short", [[0, 1, 2], [1, 3, 4]])
        r = self.mr("run", "gradient", "-stage", "predict", "-side", "model=/no/model.txt", "-input", "/short", "-output",
                    "/unpredicted", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("side file /no/model.txt", r.stderr)

    def centres(self, path):
        return np.array([line.split(",") for line in self.cat(path).splitlines()], float)

    def clusters_of(self, form):
        rng = np.random.default_rng(8)
        x = np.concatenate([rng.normal(c, 1, (1500, 4)) for c in rng.normal(0, 8, (6, 4))])
        rng.shuffle(x)
        self.put("/points", x)
        want = KMeans(n_clusters=6, init=x[:6], n_init=1, max_iter=30, tol=0, algorithm="lloyd").fit(x)
        said = self.job("kmeans", "/points", "/clusters-" + form, "kmeans.k=6", "kmeans.init=first", "kmeans.iterations=30",
                        "kmeans.tolerance=0", "kmeans.form=" + form)
        self.assertTrue(near(self.centres(f"/clusters-{form}/A.txt"), want.cluster_centers_, 1e-6), form)
        inertia = [float(v) for v in re.findall(r"inertia (\S+)", said)]
        self.assertTrue(all(a >= b * (1 - 1e-9) for a, b in zip(inertia, inertia[1:])))
        self.assertTrue(near(inertia[-1:], [want.inertia_], 1e-6))
        return x, want

    def test_kmeans_in_two_jobs_ends_at_scikit_learns_centres(self):
        x, want = self.clusters_of("two")
        b = np.frombuffer(self.dfs("cat", "/clusters-two/B/part-*", binary=True).stdout,
                          dtype=[("file", "<u4"), ("cluster", "<u4"), ("at", "<u8")])
        self.assertEqual(b["cluster"].tolist(), want.labels_.tolist())
        self.assertEqual(b["at"][:2].tolist(), [0, len(self.cat("/points").splitlines()[0]) + 1])

    def test_kmeans_in_one_job_ends_at_scikit_learns_centres(self):
        self.clusters_of("fused")

    def test_kmeans_plus_plus_finds_clusters_far_apart(self):
        rng = np.random.default_rng(1)
        centres = np.array([[0, 0], [100, 0], [0, 100], [100, 100], [50, 300]])
        x = np.concatenate([rng.normal(c, 1, (400, 2)) for c in centres])
        rng.shuffle(x)
        self.put("/far", x)
        self.job("kmeans", "/far", "/found", "kmeans.k=5", "kmeans.form=fused")
        got = self.centres("/found/A.txt")
        self.assertTrue(all(np.linalg.norm(got - c, axis=1).min() < 0.5 for c in centres), got)

    def test_an_empty_cluster_takes_the_farthest_point(self):
        x = np.concatenate([np.random.default_rng(4).normal(0, 1, (500, 2)), [[40, 40]]])
        self.put("/one-out", x)
        self.put("/far-centres", b"0.1,0\n0,0.1\n-900,-900\n")
        self.job("kmeans", "/one-out", "/rescued", "kmeans.k=3", "kmeans.init=/far-centres", "kmeans.form=fused")
        got = self.centres("/rescued/A.txt")
        self.assertTrue(near(np.abs(got - [40, 40]).sum(axis=1).min(), 0, absolute=1e-9), got)


class OnFourMachines(OnFour, OnOne):
    def test_a_training_survives_the_death_of_a_tracker(self):
        want = losses(self.job("gradient", "/logistic", "/calm", "gradient.epochs=30", "gradient.tolerance=0"))
        child = self.cluster.popen("mr", "run", "gradient", "-input", "/logistic", "-output", "/struck", "-D", "gradient.epochs=30",
                                   "-D", "gradient.tolerance=0", stdout=-1, text=True)
        said = []
        reader = threading.Thread(target=lambda: said.extend(child.stdout))
        reader.start()
        wait_for("the fifth epoch", lambda: len(said) > 5)
        self.cluster.kill("tt2", signal.SIGKILL)
        self.assertEqual(child.wait(120), 0)
        reader.join()
        self.cluster.start_daemon("tt2")
        self.assertEqual(losses("".join(said)), want)


if __name__ == "__main__":
    main()
