"""Files whose writer was killed are closed with what hsync promised, the same on every replica; files are cut.

    test_recovery.py [--long]       --long: a hundred killed writers, for the table of docs/RELIABILITY.md
"""
import glob
import os
import random
import re
import signal
import subprocess
import sys
import time
import unittest

from harness import BIN, SLOW, TOP, ClusterTest, main, wait_for

sys.path.insert(0, os.path.join(TOP, "tests", "results"))
from record import record   # noqa: E402

LONG = "--long" in sys.argv
if LONG:
    sys.argv.remove("--long")

PROGRAM = os.path.join(os.path.dirname(BIN), "client_recovery")
BLOCK = 1 << 20
SOFT, HARD = (2, 6) if SLOW == 1 else (4, 15)


@unittest.skipUnless(os.path.exists(PROGRAM), "skipped: client_recovery is not built (make client_recovery)")
class Recovery(ClusterTest):
    nodes = 3
    settings = [f"dfs.namenode.lease-soft-limit={SOFT}s", f"dfs.namenode.lease-hard-limit={HARD}s",
                "dfs.heartbeat.interval=300ms", "millrace.namenode.recovery.timeout=2s",
                "dfs.namenode.fs-limits.min-block-size=64k", "millrace.namenode.dead-node-interval=15s"]

    def setUp(self):
        wait_for("three DataNodes", lambda: "Live datanodes (3)" in self.dfs("admin", "-report").stdout)

    def call(self, *args, check=True):
        uri = self.dfs("getconf", "-confKey", "fs.defaultFS").stdout.strip()
        r = subprocess.run([PROGRAM, uri] + [str(a) for a in args], capture_output=True, text=True, timeout=60 * SLOW,
                           env=self.cluster.env())
        if check:
            self.assertEqual(r.returncode, 0, f"{args}: {r.stdout}{r.stderr}{self.cluster.log_tails()}")
        return r.stdout.strip()

    def dead_writer(self, path, synced, more):
        """A writer that was killed after hsync of some bytes and writes of more."""
        uri = self.dfs("getconf", "-confKey", "fs.defaultFS").stdout.strip()
        w = subprocess.Popen([PROGRAM, uri, "write", path, str(BLOCK), str(synced), str(more)], stdout=subprocess.PIPE,
                             text=True, env=self.cluster.env())
        self.addCleanup(w.stdout.close)
        self.assertEqual(w.stdout.readline(), "synced\n")
        w.kill()
        w.wait()

    def is_closed(self, path):
        return self.call("closed", path) == "true"

    def recover(self, path):
        return self.call("recover", path) == "true"

    def blocks(self, path):
        text = self.dfs("fsck", path, "-files", "-blocks", check=False).stdout
        return [(int(b), int(s)) for b, s in re.findall(r"blk_(\d+)_(\d+)", text)]

    def replicas(self, block):
        """What the DataNodes' folders hold of a block: (where, stamp, bytes) each."""
        found = []
        for data in glob.glob(f"{self.cluster.dir}/dn*/**/blk_{block}", recursive=True):
            meta, = glob.glob(data + "_*.meta")
            place = "finalized" if "/finalized/" in data else os.path.basename(os.path.dirname(data))
            found.append((place, int(meta.rsplit("_", 1)[1][:-5]), os.path.getsize(data)))
        return found

    def length(self, path):
        return int(self.dfs("stat", "%b", path).stdout)

    def expect_recovered(self, path, synced, written, replicas=3):
        """Closed, at least what was synced, the last block alike on every replica."""
        length = self.length(path)
        self.assertGreaterEqual(length, synced)
        self.assertLessEqual(length, written)
        self.call("check", path, length)
        block, stamp = self.blocks(path)[-1]
        want = ("finalized", stamp, (length - 1) % BLOCK + 1)
        wait_for(f"{replicas} equal replicas of block {block}: {want}, {self.replicas(block)}",
                 lambda: self.replicas(block) == [want] * replicas, 40)

    def test_files_of_killed_writers_are_closed_after_the_soft_limit(self):
        uri = self.dfs("getconf", "-confKey", "fs.defaultFS").stdout.strip()
        worst, lost, count = 0.0, 0, 0
        for _ in range(25 if LONG else 1):
            paths = [f"/stream-{count + i}" for i in range(4)]
            count += len(paths)
            writers = {p: subprocess.Popen([PROGRAM, uri, "stream", p, str(BLOCK)], stdout=subprocess.PIPE, text=True,
                                           env=self.cluster.env()) for p in paths}
            time.sleep(0.2 + random.random())
            for w in writers.values():
                w.kill()
            limit = time.monotonic() + SOFT
            safe = {p: int((w.communicate()[0].splitlines() or ["0"])[-1]) for p, w in writers.items()}
            time.sleep(max(0.0, limit - time.monotonic()))
            for p in paths:
                wait_for(f"{p} to be closed", lambda p=p: "already exists" in self.call("create", p, check=False), 10)
                worst = max(worst, time.monotonic() - limit)
            for p in paths:
                length = self.length(p)
                lost += max(0, safe[p] - length)
                if length > 0:
                    self.expect_recovered(p, safe[p], length)
        self.assertEqual(lost, 0)
        self.assertLess(worst, 10 * SLOW)
        record("client-killed", "tests/cluster/test_recovery.py", {"writers": count, "lost": lost, "seconds": round(worst, 1)},
               long=LONG)

    def test_recover_lease_closes_the_file_of_a_killed_writer(self):
        self.dead_writer("/rl", BLOCK + 300001, 40000)
        start = time.monotonic()
        self.assertFalse(self.recover("/rl"))
        wait_for("the file to be closed", lambda: self.recover("/rl"), 10)
        self.assertLess(time.monotonic() - start, 10 * SLOW)
        self.expect_recovered("/rl", BLOCK + 300001, BLOCK + 340001)
        self.assertTrue(self.recover("/rl"))

    def test_soft_limit_lets_another_client_take_over(self):
        self.dead_writer("/soft", 100001, 0)
        self.assertIn("BEING_CREATED", self.call("create", "/soft", check=False))
        time.sleep(SOFT)
        start = time.monotonic()
        seen = set()

        def refused_as_there():
            said = self.call("create", "/soft", check=False)
            seen.add(said.split(":")[0])
            return "already exists" in said
        wait_for("the file to be closed", refused_as_there, 10)
        self.assertLess(time.monotonic() - start, 10 * SLOW)
        self.assertIn("IN_RECOVERY", seen)
        self.expect_recovered("/soft", 100001, 100001)

    def test_hard_limit_closes_the_file_by_itself(self):
        self.dead_writer("/hard", 65536, 5)
        time.sleep(HARD - 1)
        wait_for("the file to be closed", lambda: self.is_closed("/hard"), 12)
        self.expect_recovered("/hard", 65536, 65541)

    def test_recovery_goes_on_when_its_leader_is_killed(self):
        self.dead_writer("/leader", 200000, 777)
        self.assertFalse(self.recover("/leader"))
        orders = wait_for("an order", lambda: re.findall(r"block_recovery_ordered .*leader=\S+:(\d+)", self.cluster.log("nn")))
        ports = {re.findall(r" serving .*rpc=\S+:(\d+)", self.cluster.log(n))[-1]: n for n in ("dn1", "dn2", "dn3")}
        self.cluster.kill(ports[orders[-1]])
        wait_for("the file to be closed", lambda: self.is_closed("/leader"), 10)
        self.cluster.start_daemon(ports[orders[-1]])
        self.expect_recovered("/leader", 200000, 200777)

    def test_recovery_goes_on_when_a_node_hangs(self):
        self.dead_writer("/hangs", 70001, 0)
        self.cluster.kill("dn2", signal.SIGSTOP)
        try:
            self.recover("/hangs")
            wait_for("the file to be closed", lambda: self.is_closed("/hangs"), 20)
        finally:
            self.cluster.kill("dn2", signal.SIGCONT)
        self.expect_recovered("/hangs", 70001, 70001)

    def test_recovery_goes_on_when_the_namenode_is_killed(self):
        self.dead_writer("/nn", 123456, 1000)
        self.recover("/nn")
        self.cluster.kill("nn")
        self.cluster.start_daemon("nn")
        wait_for("the file to be closed", lambda: self.is_closed("/nn"), 30)
        self.expect_recovered("/nn", 123456, 124456)

    def test_replicas_met_at_a_restart_are_recovered(self):
        self.dead_writer("/rwr", 250007, 2000)
        for n in ("dn1", "dn2", "dn3"):
            self.cluster.kill(n)
        for n in ("dn1", "dn2", "dn3"):
            self.cluster.start_daemon(n)
        self.recover("/rwr")
        wait_for("the file to be closed", lambda: self.is_closed("/rwr"), 15)
        self.expect_recovered("/rwr", 250007, 252007)

    def test_a_file_is_cut_to_any_length(self):
        whole = 2 * BLOCK + 70000
        self.dead_writer("/cut", whole, 0)
        self.recover("/cut")
        wait_for("the file to be closed", lambda: self.is_closed("/cut"), 10)
        self.assertEqual(self.length("/cut"), whole)
        self.assertIn("larger file size", self.call("truncate", "/cut", whole + 1, check=False))
        self.assertEqual(self.call("truncate", "/cut", whole), "true")
        for length in (whole - 1, 2 * BLOCK + 512, 2 * BLOCK, BLOCK + 511, BLOCK + 1, 5000, 513, 512, 1, 0):
            done = self.call("truncate", "/cut", length)
            self.assertEqual(done, "true" if length % BLOCK == 0 else "false", length)
            wait_for(f"the cut to {length}", lambda: self.is_closed("/cut"), 10)
            self.call("check", "/cut", length)
            if length > 0:
                self.expect_recovered("/cut", length, length)
        self.assertEqual(self.blocks("/cut"), [])

    def test_the_command_closes_the_file_of_a_killed_writer(self):
        self.dead_writer("/debug", 4000, 0)
        r = self.dfs("debug", "recoverLease", "-path", "/debug", "-retries", "3")
        self.assertEqual(r.stdout, "recoverLease SUCCEEDED on /debug\n")
        self.expect_recovered("/debug", 4000, 4000)
        self.assertEqual(self.dfs("debug", "recoverLease", "-path", "/none", check=False).returncode, 1)

    def test_the_command_waits_for_the_cut(self):
        self.dfs("put", self.temp("t", bytes(300000)), "/tw")
        self.assertIn("Truncated /tw to length: 1234", self.dfs("truncate", "-w", "1234", "/tw").stdout)
        self.assertEqual(self.length("/tw"), 1234)

    def test_a_cut_survives_kills(self):
        self.dead_writer("/kc", 500000, 0)
        self.recover("/kc")
        wait_for("the file to be closed", lambda: self.is_closed("/kc"), 10)
        for length, victim in ((400001, "nn"), (300001, "dn1"), (200001, "dn2")):
            self.assertEqual(self.call("truncate", "/kc", length), "false")
            self.cluster.kill(victim)
            self.cluster.start_daemon(victim)
            wait_for(f"the cut to {length}", lambda: self.is_closed("/kc"), 30)
            self.assertEqual(self.length("/kc"), length)
            self.expect_recovered("/kc", length, length)


if __name__ == "__main__":
    main()
