"""struck -- each job loses a TaskTracker by SIGKILL while its attempts run there, and gives the same result, byte by byte."""
import json
import os
import random
import re
import signal
import subprocess

import numpy as np

from reference import JobTest, main, rows_text, wait_for

POINTS = ["kmeans.k=4", "kmeans.init=first", "kmeans.tolerance=-1", "kmeans.iterations=30"]
# name: job, input, options, what is compared, the line to wait for, how often
DRIVERS = {
    "kmeans-two": ("kmeans", "/points", POINTS, ["A.txt", "B/part-*"], r"iteration \d+ ", 3),
    "kmeans-fused": ("kmeans", "/points", [*POINTS, "kmeans.form=fused"], ["A.txt"], r"iteration \d+ ", 3),
    "sgd": ("sgd", "/points", ["gradient.loss=squared", "sgd.epochs=30", "sgd.rate=0.001"], ["model.txt", "shuffled/part-*"],
            r"epoch \d+ ", 3),
    "pagerank": ("pagerank", "/edges", ["pagerank.iterations=20", "pagerank.tolerance=0"], ["ranks/part-*"], r"iteration \d+ ", 3),
    "similar": ("similar", "/ratings", [], ["similarities/part-*", "recommendations/part-*"], r".* seconds ", 1),
}
PASSES = {
    "select": ("/points", ["select.op=gt", "select.value=0"]),
    "aggregate": ("/points", []),
    "groupby": ("/ratings", ["groupby.value=3", "groupby.show=count,avg"]),
    "matrix": ("/points", []),
    "index": ("/edges", []),
    "wordcount": ("/edges", []),
}


class Struck(JobTest):
    nodes = 2
    settings = ["dfs.replication=2", "dfs.blocksize=64k", "dfs.namenode.fs-limits.min-block-size=4k"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = random.Random(9)
        inputs = {"/points": rows_text(np.random.default_rng(4).normal(0, 3, (4000, 4))),
                  "/edges": "".join(f"p{rng.randrange(3000)} p{rng.randrange(3000)}\n" for _ in range(24000)).encode(),
                  "/ratings": "".join(f"u{rng.randrange(500)},i{i},{rng.randrange(1, 6)}\n" for i in range(150)
                                      for _ in range(120)).encode(),
                  "/left": "".join(f"{k},{rng.random()}\n" for k in range(9000)).encode(),
                  "/right": "".join(f"{rng.randrange(9000)},{i}\n" for i in range(9000)).encode()}
        for path, data in inputs.items():
            name = cls.cluster.folder + path
            with open(name, "wb") as f:
                f.write(data)
            cls.cluster.dfs("put", name, path)

    def words(self, job, sources, target, options):
        words = [w for s in sources for w in ("-input", s)] + [w for o in options for w in ("-D", o)]
        return ["mr", "run", job, *words, "-output", target, "-D", "mapreduce.job.reduces=2"]

    def is_there(self):
        """Does an attempt run on the second machine, as far as the JobTracker knows?"""
        for job in json.loads(self.mr("ps", "--json").stdout):
            r = self.mr("status", job["id"], "--json", check=False)
            if r.returncode == 0 and any(a["node"] == "node2" and a["state"] == "RUNNING" for a in json.loads(r.stdout)["attempts"]):
                return True
        return False

    def strike(self, words, line, count):
        """Run; kill the tracker, which has stopped before, so nothing that was given to it ended, when it has attempts."""
        pid = self.cluster.ps()["tt2"]["pid"]
        if line is None:
            os.kill(pid, signal.SIGSTOP)
        child = self.cluster.popen(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        seen = []
        while line is not None and sum(bool(re.match(line, s)) for s in seen) < count:
            seen.append(child.stdout.readline())
            self.assertTrue(seen[-1], "".join(seen))
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_for("an attempt on the second machine", self.is_there)
        finally:
            self.cluster.kill("tt2")
            self.cluster.start_daemon("tt2")
            said, _ = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 0, "".join(seen) + said)

    def compare(self, job, sources, options, results, line=None, count=0):
        self.cluster.run(*self.words(job, sources, f"/calm-{job}", [*options]))
        self.strike(self.words(job, sources, f"/struck-{job}", [*options]), line, count)
        for path in results:
            calm, struck = (self.dfs("cat", f"/{how}-{job}/{path}", binary=True).stdout for how in ("calm", "struck"))
            self.assertGreater(len(calm), 0, path)
            self.assertEqual(calm, struck, path)
        self.dfs("rm", "-r", "-skipTrash", f"/calm-{job}", f"/struck-{job}")

    def test_drivers_go_on(self):
        for name, (job, source, options, results, line, count) in DRIVERS.items():
            with self.subTest(name):
                self.compare(job, [source], options, results, line, count)

    def test_single_passes_end_alike(self):
        for job, (source, options) in PASSES.items():
            with self.subTest(job):
                self.compare(job, [source], options, ["part-*"])

    def test_a_join_ends_alike(self):
        self.compare("join", ["/left", "/right"], ["join.left=/left"], ["part-*"])

    def test_a_sort_ends_alike(self):
        self.mr("run", "teragen", "-output", "/tera", "-D", "teragen.rows=5000", "-D", "teragen.maps=4")
        self.compare("terasort", ["/tera"], [], ["part-*"])


if __name__ == "__main__":
    main()
