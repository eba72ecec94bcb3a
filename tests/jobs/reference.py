"""reference -- what the tests of jobs share: data that everybody makes alike, jobs run on one and on four machines.

The references are NumPy, scikit-learn and SQLite; each test says its tolerance.
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster"))
from harness import ClusterTest, main, program, wait_for  # noqa: E402,F401


class JobTest(ClusterTest):
    """Small blocks, so that a small input has several maps."""
    nodes = 1
    settings = ["dfs.replication=1", "dfs.blocksize=256k", "dfs.namenode.fs-limits.min-block-size=4k"]

    def put(self, path, data):
        """data (bytes, or rows of numbers) as a file of the cluster."""
        if not isinstance(data, bytes):
            data = rows_text(data)
        self.dfs("mkdir", "-p", os.path.dirname(path))
        self.dfs("put", "-f", self.temp("data", data), path)

    def job(self, name, source, target, *options, **kw):
        """Run the job; -D options as name=value. Its words on stdout."""
        words = [w for o in options for w in ("-D", o)]
        return self.mr("run", name, "-input", source, "-output", target, *words, **kw).stdout

    def lines(self, path):
        return self.dfs("cat", path + "/part-*").stdout.splitlines()

    def numbers(self, path):
        """{first word: [numbers]} of the output."""
        return {line.split("\t")[0]: np.array(line.split("\t")[1:], float) for line in self.lines(path)}


class OnFour:
    """Mixed into a class: the same tests with four machines and three replicas."""
    nodes = 4
    settings = ["dfs.replication=3", "dfs.blocksize=256k", "dfs.namenode.fs-limits.min-block-size=4k"]


def rows_text(rows):
    return "".join(",".join(repr(float(v)) for v in row) + "\n" for row in rows).encode()


def near(got, want, relative=1e-9, absolute=1e-12):
    return np.allclose(np.asarray(got, float), np.asarray(want, float), rtol=relative, atol=absolute)
