"""cluster -- a running cluster for the measurements, and contestants that use it."""
import os
import shutil
import subprocess
import sys

from inputs import HERE, TOP
from measure import Watch, figures, tree

sys.path.insert(0, os.path.join(TOP, "tests", "cluster"))
from harness import JOBS, Cluster, program  # noqa: E402


class Measured(Cluster):
    """One machine, with its two task slots, unless told otherwise."""

    def __init__(self, nodes=1, settings=()):
        base = os.environ.get("BENCH_DATA", os.path.join(TOP, "build"))
        folder = os.path.join(base, f"bench-cluster-{os.getpid()}")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        super().__init__(nodes, ["dfs.replication=1", *settings], folder)

    def start(self):
        try:
            return super().start()
        except BaseException:
            self.close()
            raise

    def daemons(self):
        return [m["pid"] for m in self.ps().values() if m.get("pid")]

    def pids(self):
        return tree(*self.daemons())

    def put(self, source, target):
        self.dfs("mkdir", "-p", os.path.dirname(target))
        self.dfs("put", source, target, timeout=600)

    def close(self):
        self.stop()
        self.remove()


def passes(text, sample):
    """The bytes that the job read and wrote, and how often it did so with what it was given, by the counters of `mr run`."""
    c = {k.strip(): int(v) for k, _, v in (line.partition("=") for line in text.splitlines()) if v.isdigit()}
    if not c.get("MAP_INPUT_BYTES"):
        return
    read = c["MAP_INPUT_BYTES"] + c.get("FILE_BYTES_READ", 0)
    written = c.get("FILE_BYTES_WRITTEN", 0) + c.get("OUTPUT_BYTES", 0)
    sample.moved = read + written
    sample.extra.update(read=read / c["MAP_INPUT_BYTES"], written=written / c["MAP_INPUT_BYTES"])


class Job:
    """A contestant: a job on a cluster, from `mr run` to the prompt. Its result is the output's files, one after the
    other, normalised."""

    def __init__(self, name, cluster, job, args, normal=None, output=True, extra=None):
        self.name, self.cluster, self.args = name, cluster, args
        self.job, self.normal, self.output, self.extra = os.path.join(JOBS, job), normal or (lambda d: d), output, extra
        self.number = 0

    def run(self):
        self.number += 1
        self.target = f"/out/{os.path.basename(self.job)}-{self.number}"
        if self.number > 1:
            self.cluster.dfs("rm", "-r", "-skipTrash", f"/out/{os.path.basename(self.job)}-{self.number - 1}")
        words = ["-output", self.target] if self.output else []
        watch = Watch(self.cluster.daemons())
        r = self.cluster.mr("run", self.job, *self.args, *words, check=False, timeout=3600)
        sample = watch.stop()
        if r.returncode:
            raise RuntimeError(f"{self.name}: {r.stdout[-2000:]}{r.stderr[-2000:]}")
        sample.extra = figures(r.stdout)
        passes(r.stdout, sample)
        if self.extra:
            sample.extra.update(self.extra(r))
        return sample

    def result(self):
        if not self.output:
            return None
        r = subprocess.run([os.path.join(os.path.dirname(JOBS), "bin", "dfs"), "cat", self.target + "/part-*"],
                           env=self.cluster.env(), capture_output=True, check=True)
        return self.normal(r.stdout)
