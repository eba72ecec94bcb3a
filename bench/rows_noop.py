"""rows_noop -- a job that does nothing on a running cluster: milliseconds from the order to the answer."""
import os
import re
import subprocess
import time

import inputs
import peers
from cluster import Measured
from harness import BIN
from measure import Watch
from rows_jobs import Row, SparkCommand


def percentiles(took):
    took = sorted(took)
    return {"p50": took[len(took) // 2], "p99": took[min(len(took) - 1, len(took) * 99 // 100)]}


class Repeated:
    """A contestant: jobs of one driver, or commands of a shell, the first ones not counted."""

    def __init__(self, name, cluster, job, count, driver):
        self.name, self.cluster, self.job, self.count, self.driver, self.made = name, cluster, job, count, driver, 0

    def by_driver(self):
        r = self.cluster.mr("run", self.job, "-input", "/in/data", "-D", f"noop.jobs={self.count}", timeout=600)
        return [float(v) for v in re.findall(r"^job (\S+)$", r.stdout, re.M)]

    def by_shell(self):
        took, env = [], self.cluster.env()
        for _ in range(self.count):
            self.made += 1
            began = time.monotonic()
            subprocess.run([os.path.join(BIN, "mr"), "run", self.job, "-stage", "nothing", "-input", "/in/data", "-output",
                            f"/out/{self.made}"], env=env, check=True, capture_output=True)
            took.append((time.monotonic() - began) * 1e3)
        return took

    def run(self):
        watch = Watch(None)
        took = self.by_driver() if self.driver else self.by_shell()
        sample = watch.stop()
        sample.extra = percentiles(took[len(took) // 10:])
        return sample

    def result(self):
        return None


class Noop(Row):
    name = "noop"
    what = "a job that does nothing, on a running cluster, ms: from the shell with an output directory, and in one driver"
    figures = ("p50", "p99")

    def contestants(self, o):
        count = max(20, int(300 * o.scale))
        job = inputs.scratch("noop.so")
        subprocess.run([os.path.join(BIN, "mrcc"), os.path.join(inputs.HERE, "jobs", "noop.c"), "-o", job], check=True)
        source = inputs.scratch("one-line")
        with open(source, "w") as f:
            f.write("nothing\n")
        self.cluster = c = Measured().start()
        c.put(source, "/in/data")
        c.dfs("mkdir", "-p", "/out")
        all_of = [Repeated("millrace", c, job, count // 3, False), Repeated("millrace, driver", c, job, count, True)]
        if not o.no_peers:
            peers.java()
            all_of.append(SparkCommand("noop", o, source, (count,), output=False))
        return all_of


ROWS = [Noop]
