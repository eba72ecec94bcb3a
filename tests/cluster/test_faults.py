"""Daemons killed in the middle of writes and reads: what was acknowledged is there, what was lost is restored."""
import collections
import glob
import hashlib
import json
import os
import re
import signal
import subprocess

from harness import SLOW, TOP, ClusterTest, Failed, main, pattern, program, wait_for

PIECE = 4 << 20


class Feed:
    """`dfs put - PATH`, fed piece by piece by the test."""

    def __init__(self, cluster, path):
        self.digest = hashlib.sha256()
        self.bytes = 0
        self.cluster, self.path = cluster, path
        self.process = cluster.popen("dfs", "put", "-", path, stdin=subprocess.PIPE, stderr=subprocess.PIPE)

    def send(self, pieces):
        for _ in range(pieces):
            data = pattern(PIECE, self.bytes + 1)
            try:
                self.process.stdin.write(data)
            except BrokenPipeError:
                raise Failed(f"dfs put ended: {self.process.stderr.read().decode()}") from None
            self.digest.update(data)
            self.bytes += PIECE
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        with self.process.stderr:
            error = self.process.stderr.read().decode()
        return self.process.wait(120 * SLOW), error

    def stored(self):
        """The digest of what the filesystem has."""
        return hashlib.sha256(self.cluster.dfs("cat", self.path, binary=True, timeout=300).stdout).digest()


class Faults(ClusterTest):
    nodes = 4
    # The timeout of the sockets is the DataNodes' too: the one before a node that hangs has to be the first to notice.
    settings = ["dfs.blocksize=32m", "millrace.namenode.dead-node-interval=4s", "dfs.namenode.redundancy.interval=200ms",
                f"dfs.client.socket-timeout={int(3 * SLOW)}s"]

    def tearDown(self):
        for name, m in self.cluster.ps().items():
            if m["state"] != "running":
                self.cluster.start_daemon(name)
        self.dfs("admin", "-safemode", "wait")

    def wait_healthy(self, path):
        def healthy():
            r = self.dfs("fsck", path, check=False)
            return "Under-replicated blocks:\t0" in r.stdout and "HEALTHY" in r.stdout
        wait_for(f"{path} to have all replicas", healthy, 60)

    def test_put_survives_a_datanode_killed_in_its_pipeline(self):
        feed = Feed(self.cluster, "/dn-killed")
        feed.send(4)
        victim = self.writing_datanode()
        self.cluster.kill(victim)
        feed.send(12)
        self.assertEqual(feed.end(), (0, ""))
        self.assertEqual(feed.stored(), feed.digest.digest())
        self.cluster.start_daemon(victim)
        self.wait_healthy("/dn-killed")

    def writing_datanode(self):
        """A DataNode that has a block half written: a non-empty file below an rbw folder."""
        def find():
            for i in range(1, self.nodes + 1):
                for folder, _, names in os.walk(os.path.join(self.cluster.dir, f"dn{i}")):
                    if os.path.basename(folder) == "rbw" and any(
                            not n.endswith(".meta") and os.path.getsize(os.path.join(folder, n)) for n in names):
                        return f"dn{i}"
        return wait_for("a block half written", find)

    def test_put_goes_on_when_the_namenode_is_killed_and_started(self):
        feed = Feed(self.cluster, "/nn-killed")
        feed.send(4)
        self.writing_datanode()
        self.cluster.kill("nn")
        feed.send(3)
        self.cluster.start_daemon("nn")
        feed.send(12)
        self.assertEqual(feed.end(), (0, ""))
        self.assertEqual(feed.stored(), feed.digest.digest())
        self.wait_healthy("/nn-killed")

    def test_put_survives_a_datanode_killed_and_started_within_a_block(self):
        feed = Feed(self.cluster, "/dn-back")
        feed.send(4)
        victim = self.writing_datanode()
        self.cluster.kill(victim)
        self.cluster.start_daemon(victim)       # comes back with the old state of the block
        feed.send(12)
        self.assertEqual(feed.end(), (0, ""))
        self.assertEqual(feed.stored(), feed.digest.digest())
        self.wait_healthy("/dn-back")

    def test_put_survives_a_datanode_that_hangs_and_comes_back(self):
        feed = Feed(self.cluster, "/dn-hangs")
        feed.send(4)
        victim = self.writing_datanode()
        self.cluster.kill(victim, signal.SIGSTOP)
        try:
            feed.send(12)
            self.assertEqual(feed.end(), (0, ""))
            self.assertEqual(feed.stored(), feed.digest.digest())
        finally:
            self.cluster.kill(victim, signal.SIGCONT)
        self.wait_healthy("/dn-hangs")

    def test_get_goes_on_from_another_replica(self):
        data = pattern(96 << 20, 3)
        self.dfs("put", self.temp("many", data), "/many", timeout=300)
        with self.cluster.popen("dfs", "cat", "/many", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as get:
            first = get.stdout.read(8 << 20)
            self.cluster.kill("dn1")
            self.cluster.kill("dn2")
            rest, error = get.communicate()
        self.assertEqual(get.returncode, 0, error)
        self.assertEqual(hashlib.sha256(first + rest).digest(), hashlib.sha256(data).digest())

    def test_lost_replicas_are_restored_and_surplus_ones_removed(self):
        self.dfs("put", self.temp("lost", pattern(40 << 20, 4)), "/lost", timeout=300)
        self.cluster.kill("dn3")
        wait_for("the node to count as dead", lambda: "Dead datanodes (1)" in self.dfs("admin", "-report").stdout)
        self.wait_healthy("/lost")
        self.cluster.start_daemon("dn3")
        wait_for("three replicas again", lambda: "Over-replicated blocks:\t0" in self.dfs("fsck", "/lost", check=False).stdout, 60)
        self.wait_healthy("/lost")

    def test_a_damaged_replica_is_not_served_and_is_repaired(self):
        data = pattern(3_000_000, 5)
        self.dfs("put", self.temp("bits", data), "/bits")
        block = self.finalized("/bits")
        for path in block[:2]:
            with open(path, "r+b") as f:
                f.seek(1_000_000)
                byte = f.read(1)
                f.seek(1_000_000)
                f.write(bytes([byte[0] ^ 4]))
        for _ in range(2):
            self.assertEqual(self.dfs("cat", "/bits", binary=True).stdout, data)
        self.wait_healthy("/bits")

    def finalized(self, path):
        """The block files, on all nodes, of a file of one block, in the order in which readers ask for them."""
        text = self.dfs("fsck", path, "-files", "-blocks", "-locations").stdout
        name, order = re.search(r"blk_\d+", text).group(0), re.findall(r"DS-[\w-]+", text)
        found = {}
        for version in glob.glob(os.path.join(self.cluster.dir, "dn*", "current", "VERSION")):
            with open(version) as f:
                storage = re.search(r"^storageID=(\S+)", f.read(), re.M).group(1)
            for folder, _, names in os.walk(os.path.dirname(version)):
                if name in names:
                    found[storage] = os.path.join(folder, name)
        self.assertEqual(sorted(found), sorted(order))
        return [found[storage] for storage in order]

    def test_acknowledged_names_survive_a_namenode_killed_under_load(self):
        for round in range(3):
            self.dfs("admin", "-safemode", "wait")      # a NameNode that has just started is read-only
            script = f'i=0; while dfs mkdir /load{round}-$i; do echo $i; i=$((i+1)); done'
            with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  env=self.cluster.env(), start_new_session=True) as p:
                acknowledged = [p.stdout.readline().strip() for _ in range(20)]
                self.cluster.kill("nn")
                os.killpg(p.pid, signal.SIGKILL)
                acknowledged += p.stdout.read().split()
                error = p.stderr.read()
            self.assertNotIn("", acknowledged, error)
            self.cluster.start_daemon("nn")
            names = self.dfs("ls", "-C", "/").stdout.split()
            for i in acknowledged:
                self.assertIn(f"/load{round}-{i}", names)


class JobAndPut(ClusterTest):
    nodes = 3
    settings = ["dfs.blocksize=32m", "dfs.namenode.fs-limits.min-block-size=64k"]

    def running(self, job, kind):
        r = self.mr("status", job, "--json", check=False)
        return [a for a in json.loads(r.stdout)["attempts"] if a["state"] == "RUNNING" and kind in a["id"]]

    def test_job_and_put_end_right_when_the_namenode_is_killed_under_both(self):
        words = b"".join(b"w%d and %d\n" % (i % 997, i % 13) for i in range(300_000))
        self.dfs("-D", "dfs.blocksize=1m", "put", self.temp("words", words), "/words")
        slow = os.path.join(self.cluster.folder, "slow.so")
        subprocess.run([program("mrcc"), "-o", slow, os.path.join(TOP, "tests/cluster/jobs/trouble.c")], check=True)
        feed = Feed(self.cluster, "/fed")
        feed.send(2)
        job = self.cluster.popen("mr", "run", slow, "-input", "/words", "-output", "/counts", "-D", "mapreduce.job.reduces=2",
                                 "-D", "sleep.ms=300", "-D", "reduce.sleep.ms=1500", stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        name = job.stderr.readline().split(":")[0]
        for kind in ("_m_", "_r_"):
            wait_for(f"{kind} to run", lambda: self.running(name, kind))
            self.cluster.kill("nn")
            feed.send(1)                    # goes on in the block that it has
            self.cluster.start_daemon("nn")
            feed.send(2)
        feed.send(4)                        # and into the next one
        output, error = job.communicate(timeout=120 * SLOW)
        self.assertEqual(job.returncode, 0, output + error + self.cluster.log_tails())
        self.assertEqual(feed.end(), (0, ""))
        self.assertEqual(feed.stored(), feed.digest.digest())
        counts = self.dfs("cat", "/counts/part-*", binary=True).stdout.split()
        got = dict(zip(counts[::2], map(int, counts[1::2])))
        self.assertEqual((len(got), got), (len(counts) // 2, collections.Counter(words.split())))
        self.assertEqual(len(self.dfs("ls", "-C", "/counts").stdout.split()), 3)


if __name__ == "__main__":
    main()
