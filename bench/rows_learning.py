"""rows_learning -- K-Means and logistic regression on 5 M x 20 points: an iteration, and the whole from a cold start."""
import os
import re
import statistics

import inputs
import peers
from cluster import JOBS, Measured
from measure import Command, Watch
from rows_jobs import Row, SparkCommand


class Training:
    """A contestant: a cluster that has the data and is not running; started, a driver run to its end, stopped."""

    def __init__(self, name, cluster, job, figure, args, result):
        self.name, self.cluster, self.figure, self.args, self.result_file = name, cluster, figure, args, result
        self.job, self.number = os.path.join(JOBS, job), 0

    def run(self):
        self.number += 1
        self.target = f"/models/{os.path.basename(self.job)}-{self.name.replace(' ', '-')}-{self.number}"
        self.cluster.stop()
        watch = Watch()
        self.cluster.start()
        watch.roots += self.cluster.daemons()
        r = self.cluster.mr("run", self.job, "-input", "/in/data", "-output", self.target, *self.args, check=False, timeout=3600)
        sample = watch.stop()
        if r.returncode:
            raise RuntimeError(f"{self.name}: {r.stdout[-2000:]}{r.stderr[-2000:]}")
        took = [float(v) for v in re.findall(rf"^{self.figure} \d+ .*seconds (\S+)$", r.stdout, re.M)]
        sample.extra = {self.figure: statistics.median(took[1:] or took), "first": took[0]}
        return sample

    def result(self):
        return self.result_file(self.cluster.dfs("cat", f"{self.target}/{'A' if 'kmeans' in self.job else 'model'}.txt").stdout)


def numbers(text):
    return [float(x) for x in re.split(r"[,\s]+", text.decode() if isinstance(text, bytes) else text) if x]


def weights(text):
    return numbers(re.search(r"^weights (.*)$", text, re.M).group(1))


def close(a, b):
    return len(a) == len(b) and all(abs(x - y) <= 1e-6 * max(1, abs(x)) for x, y in zip(a, b))


class Learning(Row):
    kind, full = "points", 5_000_000
    settings = ["millrace.tasktracker.cache.bytes=4g", "dfs.blocksize=128m"]

    def equal(self, a, b):
        return close(a, b)

    def prepare(self, o):
        source = self.source(o)
        return source, self.started(source, settings=self.settings)


class KMeans(Learning):
    name = "kmeans"
    what = "K-Means, k = 10, 5 M x 20: an iteration (parsed before), and 10 of them from a cold start"
    figures = ("iteration", "wall")

    def contestants(self, o):
        source, c = self.prepare(o)
        out = inputs.scratch
        options = ["-D", "mr.csv.columns=2-21", "-D", "kmeans.k=10", "-D", "kmeans.init=first", "-D", "kmeans.iterations=10",
                   "-D", "kmeans.tolerance=-1"]
        b = out("B")

        def forget():
            if os.path.exists(b):
                os.unlink(b)
        all_of = [Training("millrace", c, "kmeans.so", "iteration", options, numbers),
                  Training("millrace, one job", c, "kmeans.so", "iteration", [*options, "-D", "kmeans.form=fused"], numbers),
                  Command("floor, with B", [inputs.floor("kmeans"), str(o.threads), "10", "10", source, out("floor-km"), b],
                          out("floor-km"), numbers, before=forget),
                  Command("floor", [inputs.floor("kmeans"), str(o.threads), "10", "10", source, out("floor-km1")],
                          out("floor-km1"), numbers)]
        if not o.no_peers:
            peers.java()
            all_of += [Command("scikit-learn", peers.script("sklearn_row.py", "kmeans", source, out("sk-km"), 10, 10),
                               env={"OMP_NUM_THREADS": str(o.threads)}),
                       SparkCommand("kmeans", o, source, (10, 9), output=False)]
        return all_of


class Logistic(Learning):
    name = "logistic"
    what = "logistic regression, 5 M x 20: an epoch of batch gradient descent (parsed before), and 10 from a cold start"
    figures = ("epoch", "wall")

    def contestants(self, o):
        source, c = self.prepare(o)
        out = inputs.scratch
        options = ["-D", "gradient.epochs=10", "-D", "gradient.tolerance=0", "-D", "gradient.rate=0.5"]
        all_of = [Training("millrace", c, "gradient.so", "epoch", options, weights),
                  Command("floor", [inputs.floor("logistic"), str(o.threads), "10", "0.5", source, out("floor-lr")],
                          out("floor-lr"), numbers)]
        if not o.no_peers:
            peers.java()
            all_of += [Command("NumPy", peers.script("sklearn_row.py", "logistic", source, out("np-lr"), 10, 0.5), out("np-lr"),
                               numbers, env={"OMP_NUM_THREADS": str(o.threads)}),
                       SparkCommand("logistic", o, source, (9,), output=False)]
        return all_of


ROWS = [KMeans, Logistic]
