"""EIO under real daemons (eio.c, preloaded): volumes are fenced, reads go elsewhere, a NameNode that cannot sync ends."""
import os
import time
import unittest

import power_cuts               # first: it says which programs are meant  # noqa: F401
from harness import BIN, ClusterTest, main, wait_for
from loads import PROGRAM, Load, now
from record import record

LAYER = os.path.join(os.path.dirname(BIN), "tests", "cluster", "eio.so")


@unittest.skipUnless(os.path.exists(LAYER) and os.path.exists(PROGRAM), "skipped: make check-programs builds eio.so and load")
class Eio(ClusterTest):
    nodes = 4
    settings = ["dfs.blocksize=1m", "dfs.namenode.fs-limits.min-block-size=64k", "dfs.heartbeat.interval=200ms",
                "millrace.namenode.dead-node-interval=5s", "dfs.namenode.redundancy.interval=200ms",
                "dfs.client.read.shortcircuit=false"]

    @classmethod
    def setUpClass(cls):
        cls.rules = f"/tmp/millrace-eio-{os.getpid()}"
        os.environ["MILLRACE_EIO"], os.environ["LD_PRELOAD"] = cls.rules, LAYER
        try:
            super().setUpClass()
        finally:
            del os.environ["LD_PRELOAD"]

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        del os.environ["MILLRACE_EIO"]

    def setUp(self):
        self.load = None

    def tearDown(self):
        self.heal()
        if self.load and self.load.process.poll() is None:
            self.load.kill()
        for name, m in self.cluster.ps().items():
            if m["state"] != "running":
                self.cluster.start_daemon(name)
        self.dfs("admin", "-safemode", "wait")

    def hurt(self, *rules):
        with open(self.rules + ".new", "w") as f:
            f.write("\n".join(rules) + "\n")
        os.rename(self.rules + ".new", self.rules)

    def heal(self):
        if os.path.exists(self.rules):
            os.unlink(self.rules)

    def begin(self, name, **numbers):
        self.load = Load(self.cluster, name, **numbers).start()
        self.load.warm_up()

    def end(self, row, figures):
        done = self.load.done()
        wait_for("the load to go on", lambda: self.load.done() > done + 200)
        self.load.stop()
        self.assertEqual(self.load.errors(), [])
        counts = self.load.verify()
        record(row, "tests/cluster/test_eio.py", {"lost": 0, "names": counts["names"], **figures}, long=True)

    def died(self, name):
        wait_for(f"{name} to end", lambda: self.cluster.ps()[name]["state"] == "died")

    # DataNodes.

    def volume_fails(self, rule):
        self.begin("volume-" + rule.split()[0] + str(len(rule)))
        self.hurt(rule)
        self.died("dn2")                        # its only volume is fenced
        when = now()
        self.assertRegex(self.cluster.log("dn2"), r"volume_failed volume=\S*/dn2 .*Input/output error")
        seconds = self.load.wait_service(when)
        self.heal()
        self.cluster.start_daemon("dn2")
        self.end("eio-write", {"seconds": round(seconds, 2)})

    def test_volume_is_fenced_at_the_first_write_that_fails(self):
        self.volume_fails("write */dn2/*/rbw/blk_* 5 1")

    def test_volume_is_fenced_at_a_sync_that_fails_once(self):
        self.volume_fails("sync */dn2/*/rbw/blk_* 3 1")     # the second one would succeed

    def test_volume_is_fenced_when_its_directory_cannot_be_synced(self):
        self.volume_fails("sync */dn2/*/finalized/* 2 1")

    def test_replica_that_cannot_be_read_is_replaced_and_no_reader_sees_it(self):
        self.begin("unreadable", getters=4, creators=2)
        before = self.cluster.log("dn2").count("replica_unreadable")
        self.hurt("read */dn2/*/finalized/*/blk_* 1 0")
        wait_for("dn2 to meet it", lambda: self.cluster.log("dn2").count("replica_unreadable") > before + 2)
        when = time.monotonic()
        self.load.stop()                        # blocks that were being written have all their replicas
        self.assertEqual(self.load.errors(), [])

        def healthy():
            r = self.dfs("fsck", self.load.dir, check=False)
            return "Under-replicated blocks:\t0" in r.stdout and "CORRUPT" not in r.stdout
        wait_for("new replicas", healthy, 60)
        seconds = time.monotonic() - when
        counts = self.load.verify()             # still unreadable on dn2
        self.heal()
        record("eio-read", "tests/cluster/test_eio.py", {"lost": 0, "names": counts["names"], "seconds": round(seconds, 2)}, long=True)

    # The NameNode.

    def namenode_fails(self, rule):
        self.begin("nn-" + rule.split()[0])
        self.hurt(rule)
        self.died("nn")
        when = now()
        self.heal()
        self.cluster.start_daemon("nn")
        seconds = self.load.wait_service(when)
        self.end("eio-nn", {"seconds": round(seconds, 2)})

    def test_namenode_ends_when_its_log_cannot_be_synced(self):
        self.namenode_fails("sync */nn/*-wal 10 1")
        self.assertRegex(self.cluster.log("nn"), "sync_failed .*Input/output error")

    def test_namenode_ends_when_its_log_cannot_be_written(self):
        self.namenode_fails("write */nn/*-wal 50 1")

    def refuses_to_start(self, rule):
        self.begin("start-" + rule.split()[0])
        self.cluster.kill("nn")
        self.hurt(rule)
        with self.assertRaises(Exception):
            self.cluster.start_daemon("nn")
        self.assertRegex(self.cluster.log("nn").splitlines()[-1], r"namenode: .*/nn/.*Input/output error")
        self.heal()
        self.cluster.start_daemon("nn")
        self.load.stop()
        self.assertEqual(self.load.errors(), [])
        self.load.verify()

    def test_namenode_does_not_start_on_a_database_that_cannot_be_written(self):
        self.refuses_to_start("write */nn/*.db 1 0")

    def test_namenode_does_not_start_on_a_database_that_cannot_be_read(self):
        self.refuses_to_start("read */nn/*.db 1 0")


if __name__ == "__main__":
    main()
