"""Jobs one after the other while daemons and workers are killed at random: every output has the same, right bytes.

    test_kills.py [SEED [SECONDS]]

The jobs are a word count, a GROUP BY with doubles and a sort. The reference of each is `mr run --local`: one process, no
cluster. Each job has one commit, and in the end no process, file, descriptor or slot is left over.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

from harness import SLOW, TOP, ClusterTest, main, program, wait_for
from test_engine import counted, text
from test_hostile import children, crowded

sys.path.insert(0, os.path.join(TOP, "tests", "results"))
from record import record   # noqa: E402

LONG = len(sys.argv) > 2
SEED = int(sys.argv.pop(1)) if len(sys.argv) > 1 else int(time.time())
SECONDS = float(sys.argv.pop(1)) if len(sys.argv) > 1 else 30
REDUCES = 3
GROUPS = {"groupby.key": 1, "groupby.value": 2, "groupby.show": "sum,avg,stddev,min,max,count", "groupby.sep": "space"}


def numbers(n, seed=11):
    """Lines of a key and a double; sums of them depend on the order in which they are added."""
    r = random.Random(seed)
    return "".join(f"key{r.randrange(2000)} {r.uniform(-1, 1) * 10 ** r.randrange(-9, 9)!r}\n" for _ in range(n)).encode()


class Kills(ClusterTest):
    nodes = 3
    settings = ["dfs.blocksize=256k", "dfs.namenode.fs-limits.min-block-size=64k", "dfs.heartbeat.interval=200ms",
                "mapreduce.jobtracker.expire.trackers.interval=1500ms"]

    # ---- killing ----

    def start_again(self, name):
        wait_for(f"{name} to be seen dead", lambda: self.cluster.ps()[name]["state"] == "died")
        self.cluster.start_daemon(name)

    def kill_worker(self):
        """One of the processes below a tracker that is nobody's parent: a worker, busy or warm."""
        tracker = self.cluster.ps()[f"tt{self.random.randrange(1, 4)}"]["pid"]
        leaves = [p for p, _ in children(tracker) if not children(p)]
        if leaves:
            try:
                os.kill(self.random.choice(leaves), signal.SIGKILL)
            except ProcessLookupError:
                pass                    # it ended by itself

    def kill_something(self):
        r = self.random
        name = r.choice(["jt", "jt", "tt1", "tt2", "tt3", "nn", "dn1", "dn2", "dn3", "worker", "worker"])
        if name == "worker":
            self.kill_worker()
        else:
            os.kill(self.cluster.ps()[name]["pid"], signal.SIGKILL)
            time.sleep(r.random() * 0.3)
            self.start_again(name)
        return name

    # ---- jobs ----

    def setUp(self):
        self.random = random.Random(SEED)
        folder = self.cluster.folder
        for name in ("trouble", "sorted"):
            subprocess.run([program("mrcc"), "-o", os.path.join(folder, name + ".so"),
                            os.path.join(TOP, f"tests/cluster/jobs/{name}.c")], check=True)
        self.words, self.numbers = text(4 << 20), numbers(150000)
        self.local = {"/text": self.temp("text", self.words), "/numbers": self.temp("numbers", self.numbers)}
        for name, path in self.local.items():
            self.dfs("put", path, name)
        # Name: the job, its input, its options.
        self.jobs = {"word count": (os.path.join(folder, "trouble.so"), "/text", {}),
                     "group by": ("groupby", "/numbers", GROUPS),
                     "sort": (os.path.join(folder, "sorted.so"), "/numbers", {})}

    def args(self, name, inp, out, more=()):
        job, _, options = self.jobs[name]
        args = ["run", job, "-input", inp, "-output", out]
        for k, v in {"mapreduce.job.reduces": REDUCES, **options, **dict(more)}.items():
            args += ["-D", f"{k}={v}"]
        return args

    def reference(self, name):
        out = os.path.join(self.cluster.folder, "reference-" + name.replace(" ", "-"))
        self.mr(*self.args(name, self.local[self.jobs[name][1]], out), "--local")
        parts = []
        for i in range(REDUCES):
            with open(os.path.join(out, f"part-r-{i:05d}"), "rb") as f:
                parts.append(f.read())
        return parts

    def run_job(self, name, out):
        r, killed = self.random, []
        more = {"sleep.ms": r.choice([0, 100, 300]), "reduce.sleep.ms": r.choice([0, 200, 400]),
                "mapreduce.map.maxattempts": 20, "mapreduce.reduce.maxattempts": 20}
        process = self.cluster.popen("mr", *self.args(name, self.jobs[name][1], out, more), stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
        for i in range(r.randrange(1, 4)):
            time.sleep(r.random() * (0.8 if i else 0.4))
            if process.poll() is not None:
                break
            killed.append(self.kill_something())
        began = time.monotonic()
        try:
            stdout, stderr = process.communicate(timeout=90 * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            self.fail(f"seed {SEED}: {out} hangs after {killed}\n{self.cluster.log_tails()}")
        self.assertEqual(process.returncode, 0, f"seed {SEED}: {killed}\n{stdout}{stderr}{self.cluster.log_tails()}")
        return killed, time.monotonic() - began, stdout + stderr

    def assert_one_commit(self, out, said):
        names = sorted(line.split()[-1].rsplit("/", 1)[1] for line in self.dfs("ls", out).stdout.splitlines() if out in line)
        self.assertEqual(names, ["_SUCCESS"] + [f"part-r-{i:05d}" for i in range(REDUCES)])
        job = self.dfs("cat", out + "/_SUCCESS").stdout.split()[0]
        self.assertIn(job, said)
        attempts = json.loads(self.mr("status", job, "--json").stdout)["attempts"]
        won = [a["id"].rsplit("_", 1)[0] for a in attempts if a["state"] == "SUCCEEDED" and "_r_" in a["id"]]
        self.assertEqual(len(won), REDUCES, attempts)
        self.assertEqual(len(set(won)), REDUCES, attempts)

    # ---- what is left ----

    def at_rest(self):
        """Descriptors and processes of each tracker; None while files or slots are in use."""
        r = self.mr("nodes", "--json", check=False)
        nodes = json.loads(r.stdout) if r.returncode == 0 else []
        files = [f for n in range(1, 4) for _, _, fs in os.walk(os.path.join(self.cluster.dir, f"tt{n}", "jobs")) for f in fs]
        if files or sum(n["state"] == "ALIVE" for n in nodes) != 3 or any(n["maps_running"] + n["reduces_running"] for n in nodes):
            return None
        pids = [self.cluster.ps()[f"tt{n}"]["pid"] for n in range(1, 4)]
        return [(len(os.listdir(f"/proc/{p}/fd")), len(children(p))) for p in pids]

    def assert_nothing_left(self, before):
        def clean():
            now = self.at_rest()
            return now and "/.out" not in self.dfs("ls", "-C", "/").stdout and all(
                fds <= fds_was + 10 and processes <= was for (fds, processes), (fds_was, was) in zip(now, before))
        wait_for(f"nothing to be left over; before: {before}, now {self.at_rest()}", clean, 20 * crowded())

    def test_output_is_the_same_whoever_dies(self):
        want = {name: self.reference(name) for name in self.jobs}
        pairs = [line.rsplit(b"\t", 1) for line in b"".join(want["word count"]).split(b"\n")[:-1]]
        self.assertEqual({w: int(n) for w, n in pairs}, dict(counted(self.words)))
        before = wait_for("the trackers to be at rest", self.at_rest)
        end, jobs, kills, worst, tally = time.monotonic() + SECONDS, 0, 0, 0, {}
        while time.monotonic() < end or jobs < len(self.jobs):
            name = list(self.jobs)[jobs % len(self.jobs)]
            jobs += 1
            out = f"/out-{jobs}"
            killed, took, said = self.run_job(name, out)
            kills += len(killed)
            worst = max(worst, took)
            for k in killed:
                tally[k] = tally.get(k, 0) + 1
            for i, part in enumerate(want[name]):
                got = self.dfs("cat", f"{out}/part-r-{i:05d}", binary=True).stdout
                self.assertEqual(got, part, f"seed {SEED}: {name}, part {i} of job {jobs} after {killed}")
            self.assert_one_commit(out, said)
        self.assert_nothing_left(before)
        print(f"seed {SEED}: {jobs} jobs, {kills} kills {tally}, done at most {worst:.1f} s after the last", file=sys.stderr)
        record("job-kills", "tests/cluster/test_kills.py SEED SECONDS",
               {"jobs": jobs, "kills": kills, "lost": 0, "seconds": round(worst, 1)}, long=LONG)


if __name__ == "__main__":
    main()
