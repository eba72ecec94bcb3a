#!/usr/bin/env python3
"""Every crash point (core/base/crash_points.def) in turn, under load: nothing acknowledged is lost, service comes back.

    crash_points.py [--count N] [--seed N] [POINT ...]        all points without a name and without --count

Needs a build with --enable-faults (FAULTS_BIN, default build-faults/bin). For each point: clients create, write, append and
read, a job runs; the point is armed; whichever process passes it ends by SIGKILL and is started again; the load ends and is
compared with its journal, the job's output with the first one. A point that nothing reaches fails.
"""
import contextlib
import os
import random
import re
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ["BIN"] = os.environ.get("FAULTS_BIN", os.path.join(TOP, "build-faults", "bin"))
sys.path.insert(0, os.path.join(TOP, "tests", "cluster"))
sys.path.insert(0, os.path.join(TOP, "tests", "results"))

from harness import SLOW, Cluster, Failed, program   # noqa: E402
from loads import PROGRAM as LOAD, Load, now    # noqa: E402
from record import record                       # noqa: E402

REACH = 30      # seconds to get to a point
SETTINGS = ["dfs.blocksize=1m", "dfs.namenode.fs-limits.min-block-size=64k", "dfs.heartbeat.interval=200ms",
            "millrace.namenode.dead-node-interval=5s", "dfs.namenode.redundancy.interval=200ms",
            "mapreduce.jobtracker.expire.trackers.interval=2s", "millrace.locality.wait=50ms", "dfs.namenode.name.dir={dir}/nn,{dir}/copy",
            "dfs.namenode.checkpoint.txns=100"]
# What a run passes once, or each tracker a few times; of the engine's, what is passed with every call.
SELDOM = ("nn_opened", "nn_loaded", "nn_registered", "dn_registering", "nn_range_reported", "dn_hashes_sent")
OFTEN = ("jt_before_commit", "jt_after_commit", "jt_answered")
ROW = {"namenode": "nn-killed", "datanode": "dn-killed", "jobtracker": "engine-killed", "tasktracker": "engine-killed"}


def table():
    """(name, program) of every row."""
    with open(os.path.join(TOP, "core", "base", "crash_points.def")) as f:
        return re.findall(r"^CRASH\((\w+), *(\w+),", f.read(), re.M)


class Points:
    nodes = 4

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.seed = seed
        self.cluster = Cluster(self.nodes, SETTINGS)
        self.armed = os.path.join(self.cluster.folder, "armed")
        os.environ["MILLRACE_CRASH_FILE"] = self.armed
        self.rounds, self.want = 0, None
        self.deaths, self.recoveries = 0, []     # clients killed; what recovers and compares their files

    def __enter__(self):
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def begin(self):
        self.cluster.start()
        self.job = os.path.join(self.cluster.folder, "trouble.so")
        subprocess.run([program("mrcc"), "-o", self.job, os.path.join(TOP, "tests/cluster/jobs/trouble.c")], check=True)
        words = "".join(f"word{i % 997} and word{i % 13}\n" for i in range(60_000))
        self.cluster.dfs("-D", "dfs.blocksize=256k", "put", "-", "/text", stdin=words)
        self.want = self.run_job("/first")

    def __exit__(self, *_):
        self.cluster.stop()
        self.cluster.remove()
        os.environ.pop("MILLRACE_CRASH_FILE", None)

    # What runs while a point is armed.

    def run_job(self, out):
        r = self.cluster.mr("run", self.job, "-input", "/text", "-output", out, "-D", "mapreduce.job.reduces=2",
                            "-D", "reduce.sleep.ms=100", timeout=120)
        got = self.cluster.dfs("cat", out + "/part-*").stdout
        names = self.cluster.dfs("ls", "-C", out).stdout.split()
        if len(names) != 3:
            raise Failed(f"{out}: {names}\n{r.stdout}{r.stderr}")
        return got

    def job_thread(self, out, result):
        try:
            result.append(self.run_job(out))
        except Exception as e:      # told by the main thread
            result.append(e)

    def arm(self, point, k):
        with open(self.armed + ".new", "w") as f:
            f.write(f"{point}:{k}\n")
        os.rename(self.armed + ".new", self.armed)

    def dead(self):
        return [m["name"] for m in self.cluster.ps().values() if m["state"] == "died"]

    # What makes a point be passed that the load alone does not pass.

    def bounce(self, name):
        """Kill a daemon and start it again; it, or another, may end at the point meanwhile."""
        if not os.path.exists(self.armed):
            return
        with contextlib.suppress(ProcessLookupError, TypeError):       # it has ended at the point just now
            self.cluster.kill(name)
            self.restart(name)

    def restart(self, name):
        r = subprocess.run([program("millrace"), "start", self.cluster.dir, name], capture_output=True, text=True,
                           timeout=60 * SLOW)
        if r.returncode and os.path.exists(self.armed):
            raise Failed(f"{name}: {r.stdout}{r.stderr}\n{self.cluster.log_tails()}")

    def some_datanode(self):
        return f"dn{self.random.randrange(1, self.nodes + 1)}"

    def copies(self):
        """More replicas, then fewer: copies and deletions."""
        self.cluster.dfs("setrep", str(self.random.choice([2, 3, 4])), "/text")
        time.sleep(0.5)

    def dying_writer(self):
        """A client killed while it writes; its files are recovered, whoever ends meanwhile."""
        self.deaths += 1
        load = Load(self.cluster, f"dying{self.deaths}", creators=2, putters=2, getters=0, seed=self.deaths).start()
        load.warm_up(20)
        load.kill()
        process = subprocess.Popen([LOAD, "verify", load.journal, "recover"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, env=self.cluster.env())
        self.recoveries.append(process)
        while os.path.exists(self.armed) and process.poll() is None:
            time.sleep(0.01)

    def end_recoveries(self, what):
        """What dying writers left is closed, with every byte that was synced."""
        while self.recoveries:
            process = self.recoveries.pop()
            out, _ = process.communicate(timeout=150 * SLOW)
            if process.returncode:
                raise Failed(f"{what}: a client that was killed: {out}\n{self.cluster.log_tails()}")

    def stimulus(self, point):
        if "_recovery_" in point:
            return self.dying_writer
        if point in ("nn_opened", "nn_loaded"):
            return lambda: self.bounce("nn")
        if point in ("nn_registered", "dn_registering", "dn_reopen_moved", "dn_reopened", "dn_hashes_sent", "nn_range_reported"):
            return lambda: (self.bounce(self.some_datanode()), time.sleep(1))
        if point in ("dn_copy_received", "dn_copy_sent"):
            return self.copies
        return lambda: time.sleep(0.02)

    # One point.

    def crash_at(self, point):
        self.rounds += 1
        k = self.random.choice([1, 1, 2, 3, 7])
        if point in SELDOM or "_recovery_" in point or point[:3] in ("jt_", "tt_") and point not in OFTEN:
            k = 1
        what = f"seed {self.seed}: {point}:{k}"
        load = Load(self.cluster, f"load{self.rounds}", seed=self.rounds).start()
        result = []
        job = threading.Thread(target=self.job_thread, args=(f"/out{self.rounds}", result))
        try:
            load.warm_up(40)
            job.start()
            seconds = None
            while seconds is None:
                self.arm(point, k)
                when, seconds = self.crash(point, what, load)
            self.end_recoveries(what)
            job.join(150 * SLOW)
            if not result or isinstance(result[0], Exception):
                raise Failed(f"{what}: the job: {result}\n{self.cluster.log_tails()}")
            if result[0] != self.want:
                raise Failed(f"{what}: the job's output differs")
            load.stop()
            seconds = max(seconds, load.longest_wait(when))
            errors = load.errors()
            if errors:
                raise Failed(f"{what}: operations failed:\n" + "\n".join(errors[:5]) + "\n" + self.cluster.log_tails())
            counts = load.verify()
        finally:
            if load.process.poll() is None:
                load.kill()
            if job.ident:
                job.join()
        self.cluster.dfs("rm", "-r", "-skipTrash", load.dir, f"/out{self.rounds}")
        return seconds, counts

    def crash(self, point, what, load):
        """Wait for the end of the process that passes the point, start it again; seconds until service.

        None when it was killed by bounce() at that very moment.
        """
        stimulate, end = self.stimulus(point), time.monotonic() + REACH * SLOW
        while os.path.exists(self.armed):
            if time.monotonic() > end:
                os.unlink(self.armed)
                raise Failed(f"{what}: nothing reached this point")
            stimulate()
        when = now()
        dead = self.dead()
        while not dead and now() < when + 3 * SLOW:
            time.sleep(0.02)
            dead = self.dead()
        if not dead:
            return when, None
        for name in dead:
            self.restart(name)
        return when, load.wait_service(when)


def rotate(points, start):
    return points[start % len(points):] + points[:start % len(points)]


def run(names, count, seed):
    """Take the named points, or all; with count only so many, those whose turn seed says it is. Figures a row, and what failed."""
    points = [p for p in table() if not names or p[0] in names]
    if len(points) < len(set(names)):
        sys.exit(f"crash_points: no such point: {' '.join(set(names) - {p[0] for p in points})}")
    figures, failed = {}, []
    with Points(seed) as p:
        for name, who in (rotate(points, seed * 7)[:count] if count else points):
            began = time.monotonic()
            try:
                took, counts = p.crash_at(name)
            except Failed as e:
                failed.append(f"{name}: {e}")
                print(f"{name}: FAILED: {e}", file=sys.stderr, flush=True)
                for dead in p.dead():
                    p.restart(dead)
                continue
            print(f"{name}: service after {took:.2f} s, {counts['names']} names, {counts['bytes']} bytes, 0 lost "
                  f"({time.monotonic() - began:.1f} s)", file=sys.stderr, flush=True)
            f = figures.setdefault(ROW[who], {"crash points": 0, "lost": 0, "names": 0, "seconds": 0.0})
            f["crash points"] += 1
            f["names"] += counts["names"]
            f["seconds"] = max(f["seconds"], round(took, 2))
    return figures, failed


def main(args):
    count, seed = None, int(time.time())
    while args and args[0] in ("--count", "--seed"):
        value = int(args[1])
        count, seed = (value, seed) if args[0] == "--count" else (count, value)
        args = args[2:]
    figures, failed = run(args, count, seed)
    for row, f in figures.items():
        record(row, "tests/cluster/crash_points.py", f, long=not args and not count and not failed)
    print(f"crash_points: seed {seed}: {sum(f['crash points'] for f in figures.values())} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
