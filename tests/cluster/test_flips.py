"""Flipped bits: in block files, in their checksums, in the NameNode's database and its WAL. Each is detected, none is served."""
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import time
import unittest

import power_cuts               # first: it says which programs are meant  # noqa: F401
from harness import Cluster, ClusterTest, Failed, main, pattern, program, wait_for
from loads import PROGRAM, Load
from record import record

LONG = bool(os.environ.get("LONG"))
BYTES = 2900                    # of each file: six chunks, the last one short
META = 7 + 4 * 6                # of its meta file


def flip(path, bit):
    with open(path, "r+b") as f:
        f.seek(bit // 8)
        byte = f.read(1)
        f.seek(bit // 8)
        f.write(bytes([byte[0] ^ 1 << bit % 8]))


class Blocks(ClusterTest):
    nodes = 1
    settings = ["dfs.replication=1", "dfs.client.retry.window.base=1ms"]

    def harms(self):
        """(what, function of the data and the meta file), one a file."""
        out = [(f"meta bit {b}", lambda d, m, b=b: flip(m, b)) for b in range(0, META * 8, 1 if LONG else 3)]
        step = 11 if LONG else 451
        out += [(f"data bit {b}", lambda d, m, b=b: flip(d, b)) for b in list(range(0, BYTES * 8, step)) + [BYTES * 8 - 1]]
        out += [(f"data of {n}", lambda d, m, n=n: os.truncate(d, n)) for n in (0, 1, 511, 512, 513, 2560, BYTES - 1)]
        out += [(f"meta of {n}", lambda d, m, n=n: os.truncate(m, n)) for n in (0, 1, 6, 7, 10, 11, META - 4, META - 1)]
        return out

    def test_every_flip_and_every_cut_is_detected(self):
        harms = self.harms()
        folder = os.path.join(self.cluster.folder, "in")
        os.mkdir(folder)
        for i in range(len(harms)):
            with open(os.path.join(folder, f"f{i:05}"), "wb") as f:
                f.write(pattern(BYTES, i))
        self.dfs("put", folder, "/", timeout=600)
        text = self.dfs("fsck", "/in", "-files", "-blocks").stdout
        blocks = dict(re.findall(r"^/in/(f\d+) .*\n.*?(blk_\d+)_", text, re.M))
        self.assertEqual(len(blocks), len(harms))
        found = {}
        for where, _, names in os.walk(os.path.join(self.cluster.dir, "dn1")):
            for n in names:
                if n.startswith("blk_"):
                    found.setdefault(re.match(r"blk_\d+", n).group(0), {})[n.endswith(".meta")] = os.path.join(where, n)

        def one(i):
            what, harm = harms[i]
            pair = found[blocks[f"f{i:05}"]]
            harm(pair[False], pair[True])
            r = self.dfs("-D", f"dfs.client.read.shortcircuit={'true' if i % 2 else 'false'}", "cat", f"/in/f{i:05}", check=False,
                         binary=True)
            if r.returncode == 0:
                return f"{what}: read {'with other bytes' if r.stdout != pattern(BYTES, i) else 'as if nothing were wrong'}"
            if not pattern(BYTES, i).startswith(r.stdout):
                return f"{what}: wrong bytes before the error"
            return None
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            bad = [x for x in pool.map(one, range(len(harms))) if x]
        self.assertEqual(bad, [])
        record("flip-block", "tests/cluster/test_flips.py", {"flips and cuts": len(harms), "undetected": 0, "wrong bytes served": 0},
               long=LONG)


@unittest.skipUnless(os.path.exists(PROGRAM), "skipped: load is not built")
class Database(unittest.TestCase):
    def setUp(self):
        self.c = Cluster(1, ["dfs.replication=1", "dfs.heartbeat.interval=100ms"])
        self.addCleanup(self.c.remove)
        self.addCleanup(self.c.stop)
        self.c.start()
        self.nn, self.kept = os.path.join(self.c.dir, "nn"), os.path.join(self.c.dir, "nn-kept")

    def prepare(self):
        """A namespace of which a part is in the database file and a part only in the WAL."""
        for part in ("first", "second"):
            self.load = Load(self.c, part, putters=0, creators=6, appenders=0).start()
            self.load.warm_up(400 if part == "first" else 150)
            self.load.stop()
            time.sleep(0.5)                     # heartbeats tell the DataNode how far the NameNode was
            self.c.kill("nn")
            if part == "first":
                self.c.start_daemon("nn")       # a start empties the WAL
                self.c.dfs("admin", "-safemode", "wait")
        os.rename(self.nn, self.kept)

    def judge(self, what):
        """How a NameNode with this damage behaves: a word, or a failure."""
        before = self.c.log("dn1").count(" registered ")
        start = subprocess.run([program("millrace"), "start", self.c.dir, "nn"], capture_output=True, text=True)
        if start.returncode:
            if "namespace.db" not in start.stderr:
                raise Failed(f"{what}: refused without naming the file: {start.stderr}")
            return "refused"
        try:
            wait_for("the DataNode", lambda: self.c.log("dn1").count(" registered ") > before)
            r = subprocess.run([PROGRAM, "verify", self.load.journal], capture_output=True, text=True, env=self.c.env())
            if r.returncode == 0:
                return "harmless"
            if self.c.ps()["nn"]["state"] != "running":
                return "ended"
            get = self.c.dfs("admin", "-safemode", "get", check=False).stdout
            if '"lost_names": 0, "lost_bytes": 0, "risen": 0, "wrong": 0' in r.stdout:
                return "said"                   # what is damaged is an error, not an answer
            if "ON" in get and "namenode_behind" in self.c.log("nn"):
                return "behind"                 # read-only, and it says why
            raise Failed(f"{what}: {r.stdout}{r.stderr}{get}\n{self.c.log_tails()}")
        finally:
            if self.c.ps()["nn"]["state"] == "running":
                self.c.kill("nn")

    def test_every_flip_is_detected(self):
        self.prepare()
        rng = random.Random(int(time.time()))
        seen, flips = {}, 0
        for name in ("namespace.db", "namespace.db-wal"):
            size = os.path.getsize(os.path.join(self.kept, name))
            at = [rng.randrange(i * size * 8 // n, (i + 1) * size * 8 // n) for n in [100 if LONG else 14] for i in range(n)]
            for bit in [3, 18 * 8, 100 * 8 + 1] + at:
                shutil.rmtree(self.nn, ignore_errors=True)
                shutil.copytree(self.kept, self.nn)
                flip(os.path.join(self.nn, name), bit)
                how = self.judge(f"{name} bit {bit} of {size * 8}")
                seen[how] = seen.get(how, 0) + 1
                flips += 1
        print(f"flips: {seen}")
        self.assertGreater(flips - seen.get("harmless", 0), 5)
        record("flip-db", ("LONG=1 " if LONG else "") + "tests/cluster/test_flips.py",
               {"flips": flips, "served": 0, **{k: v for k, v in sorted(seen.items())}}, long=LONG)


if __name__ == "__main__":
    main()
