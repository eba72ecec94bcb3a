"""Hostile jobs in each tier of the sandbox: one row a deed.

    test_hostile.py [--long]        --long: the result is kept as that of a run by hand

Each costs its own attempt, is ended within a second of its limit, is reported as what it was, and leaves nothing: no
process, file, descriptor or slot.
"""
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

from harness import SLOW, TOP, Cluster, Failed, main, program, wait_for
from test_engine import UID, is_sanitized

SILENCE_S = 0.5
DISK_BYTES = 2 << 20
# Deed -> how it is reported; seconds that it has after it says that it is over its limit; further options.
DEEDS = {
    "crash": ("SIGSEGV", 0, {}),
    "overrun": ("SIGSEGV|SIGABRT|SIGBUS", 0, {}),
    "constructor": ("exited with status 7", 0, {}),
    "spin": ("mapreduce.task.timeout", SILENCE_S, {}),
    "stop": ("mapreduce.task.timeout", SILENCE_S, {}),
    "leak": ("SIG(ABRT|KILL).*mapreduce.map.memory.mb is 64", 0, {"mapreduce.map.memory.mb": 64, "mapreduce.task.io.sort.mb": 1,
                                                           "mapreduce.task.timeout": "20s"}),
    "bomb": ("mapreduce.task.timeout", SILENCE_S, {}),
    "close": ("closed its descriptors", 1, {"mapreduce.task.timeout": "20s"}),
    "kill": ("mapreduce.task.timeout", SILENCE_S, {}),
    "disk": ("millrace.task.local.bytes", 0, {"mapreduce.task.timeout": "20s"}),
    "files": ("millrace.task.local.bytes", 0, {"mapreduce.task.timeout": "20s"}),
    "open": ("more than 1000 intermediate files", 0, {"mapreduce.task.timeout": "20s"}),
    "sockets": ("SIGABRT", 0, {}),
    "deaf": ("does not take what is sent|intermediate files", 5, {"mapreduce.task.timeout": "20s"}),
    "babble": ("cannot be decoded", 0, {}),
}
ROOM = {"fds": 3}               # connections to the masters come and go
LONG = "--long" in sys.argv and not sys.argv.remove("--long")
NOT_SANITIZED = {"leak"}        # AddressSanitizer needs more addresses than any limit


sys.path.insert(0, os.path.join(TOP, "tests", "results"))
from record import record   # noqa: E402


class TierCluster(Cluster):
    """One node; its daemons are started through `prefix`, which gives up root."""

    def __init__(self, prefix):
        super().__init__(1, [f"millrace.task.local.bytes={DISK_BYTES}"])
        self.prefix = prefix

    def start(self):
        if not self.prefix:
            return super().start()
        os.chown(self.folder, UID, UID)
        args = self.prefix + [program("millrace"), "mini", self.dir, "--nodes", "1", "--detach"]
        for s in self.settings:
            args += ["-D", s]
        env = dict(os.environ, HADOOP_USER_NAME="root", HOME=self.folder)
        r = subprocess.run(args, capture_output=True, text=True, timeout=120 * SLOW, env=env, cwd=self.folder)
        if r.returncode:
            raise Failed(f"no cluster as another user: {r.stdout}{r.stderr}")
        return self


def children(pid):
    """All processes below pid."""
    r = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in r.stdout.splitlines()]
    below = {pid}
    for _ in range(10):
        below |= {int(p) for p, parent, stat in rows if int(parent) in below}
    return [(int(p), stat) for p, _, stat in rows if int(p) in below and int(p) != pid]


def crowded():
    """How much longer everything takes because others want the processors too."""
    return max(1, os.getloadavg()[0] / os.cpu_count())


class Hostile(unittest.TestCase):
    worst = {}                      # tier: seconds

    @classmethod
    def tearDownClass(cls):
        if len(cls.worst) == 3:
            record("hostile-jobs", "tests/cluster/test_hostile.py --long",
                   {"deeds": len(DEEDS), "tiers": 3, "lost": 0, "seconds beyond a limit": max(cls.worst.values())}, long=LONG)

    def setUp(self):
        self.cluster = None

    def tearDown(self):
        if self.cluster is None:
            return
        self.cluster.stop()
        reports = self.cluster.sanitizer_reports()
        self.cluster.remove()
        self.assertFalse(reports)

    def compile(self, name, *flags):
        out = os.path.join(self.cluster.folder, name)
        subprocess.run([program("mrcc"), *flags, "-o", out, os.path.join(TOP, "tests/cluster/jobs/hostile.c")], check=True)
        os.chmod(out, 0o644)
        return out

    def mr(self, *args, **kw):
        return self.cluster.mr(*args, user="root", **kw)

    def state(self):
        """What a tracker at rest has: descriptors, processes, none of them running, no file, no slot in use."""
        pid = self.cluster.ps()["tt1"]["pid"]
        files = [f for _, _, fs in os.walk(os.path.join(self.cluster.dir, "tt1", "jobs")) for f in fs]
        nodes = json.loads(self.mr("nodes", "--json").stdout)
        below = children(pid)
        return {"fds": len(os.listdir(f"/proc/{pid}/fd")), "processes": len(below), "files": len(files),
                "busy": sum(stat.startswith(("R", "Z", "D")) for _, stat in below),
                "slots": sum(n["maps_running"] + n["reduces_running"] for n in nodes)}

    def honest(self, out):
        self.mr("run", "wordcount", "-input", "/text", "-output", out)
        self.assertEqual(self.cluster.dfs("cat", out + "/part-r-00000", user="root").stdout, "some\t1\nwords\t1\n")

    def log_time(self, event):
        said = re.search(r"^(\S+Z) .*" + event, self.cluster.log("tt1"), re.M).group(1)
        return datetime.datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp()

    def ended_at(self, attempt):
        return self.log_time(f"attempt_ended .*{attempt} how=FAILED")

    def over_at(self, attempt, job):
        """When the attempt said last that it is over its limit; when it began if it said nothing."""
        said = re.findall(r"over at ([0-9.]+)", self.mr("logs", job).stdout)
        return float(said[-1]) if said else self.log_time(f"attempt_started .*{attempt}")

    def deed(self, how):
        said, limit_s, options = DEEDS[how]
        so = self.constructor if how == "constructor" else self.job
        args = ["run", so, "-input", "/text", "-output", f"/out-{how}", "-D", f"how={how}",
                "-D", f"disk.bytes={DISK_BYTES}", "-D", "mapreduce.map.maxattempts=1"]
        for k, v in {"mapreduce.task.timeout": f"{SILENCE_S * 1000:.0f}ms", **options}.items():
            args += ["-D", f"{k}={v}"]
        r = self.mr(*args, check=False)
        self.assertEqual(r.returncode, 1, f"{how}: {r.stdout}{r.stderr}")
        self.assertRegex(r.stderr, said)
        job = re.search(r"job_\d+_\d+", r.stderr + r.stdout).group()
        failed = [a for a in json.loads(self.mr("status", job, "--json").stdout)["attempts"] if a["state"] == "FAILED"]
        self.assertEqual(len(failed), 1)
        self.assertRegex(failed[0]["reason"], said)
        if how != "constructor":
            self.assertIn(f"about to {how}", r.stderr)
        self.assertNotIn("ALLOWED", self.mr("logs", job).stdout)
        beyond = self.ended_at(failed[0]["id"]) - self.over_at(failed[0]["id"], job) - limit_s
        self.assertLess(beyond, 1 * SLOW * crowded(), how)
        self.assertEqual(self.cluster.dfs("test", "-e", f"/out-{how}", check=False, user="root").returncode, 1)
        return max(0, beyond)

    def all_deeds(self, tier, prefix):
        self.cluster = TierCluster(prefix)
        self.cluster.start()
        nodes = json.loads(self.mr("nodes", "--json").stdout)
        self.assertEqual({n["sandbox"].split()[0] for n in nodes}, {tier})
        self.job, self.constructor = self.compile("hostile.so"), self.compile("constructor.so", "-DIN_CONSTRUCTOR")
        self.cluster.dfs("put", "-", "/text", stdin="some words\n", user="root")
        self.honest("/before")
        deeds = [d for d in DEEDS if not (is_sanitized() and d in NOT_SANITIZED)]
        wait_for("the tracker to be at rest", lambda: self.state()["busy"] == 0)
        pids = {n: m["pid"] for n, m in self.cluster.ps().items()}
        before, worst = self.state(), 0
        for how in deeds:
            with self.subTest(tier=tier, deed=how):
                worst = max(worst, self.deed(how))
                # A worker that is kept for an honest job's next attempt may have gone meanwhile.
                wait_for(f"nothing to be left of {how}: {before}, now {self.state()}",
                         lambda: all(v <= before[k] + ROOM.get(k, 0) for k, v in self.state().items()), 5 * crowded())
        self.honest("/after")
        self.assertEqual({n: m["pid"] for n, m in self.cluster.ps().items()}, pids)
        self.worst[tier] = round(worst, 1)
        print(f"tier {tier}: {len(deeds)} deeds, each over within {worst:.1f} s of its limit ({nodes[0]['sandbox']})",
              file=sys.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root(self):
        self.all_deeds("root", [])

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "giving up root needs root and setpriv")
    def test_user_namespace(self):
        other = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        if subprocess.run(other + ["unshare", "-U", "true"], capture_output=True).returncode:
            self.skipTest("this kernel gives ordinary users no user namespaces")
        self.all_deeds("userns", other)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to give it up in a chroot")
    def test_plain(self):
        # In a chroot there are no user namespaces.
        self.all_deeds("plain", ["unshare", "-m", "sh", "-c",
                                 f'mount --rbind / /mnt && exec chroot --userspec={UID}:{UID} /mnt "$@"', "sh"])


if __name__ == "__main__":
    main()
