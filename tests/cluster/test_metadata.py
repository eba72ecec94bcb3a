"""The NameNode's state: databases destroyed under load, name directories that fail, disks that fill up.

    test_metadata.py [SEED [ROUNDS]]        ROUNDS: how often each way to destroy the database is tried; 1 in a short test
"""
import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
import urllib.request

from harness import SLOW, TOP, Cluster, ClusterTest, main, program, wait_for
from loads import LOST, Load, now

sys.path.insert(0, os.path.join(TOP, "tests", "results"))
from record import record     # noqa: E402

SEED = int(sys.argv.pop(1)) if sys.argv[1:] and sys.argv[1].isdigit() else int(time.time())
ROUNDS = int(sys.argv.pop(1)) if sys.argv[1:] and sys.argv[1].isdigit() else 1
LIVELY = ["millrace.namenode.dead-node-interval=5s", "dfs.namenode.redundancy.interval=200ms", "dfs.heartbeat.interval=200ms",
          "dfs.blocksize=1m", "dfs.namenode.fs-limits.min-block-size=64k"]


def mounted(path, size):
    os.makedirs(path, exist_ok=True)
    return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True).returncode == 0


def unmount(path):
    subprocess.run(["umount", "-l", path], capture_output=True)


class Namenodes(unittest.TestCase):
    """What the classes below do with the NameNode of their cluster."""

    def namenode(self, *args):
        c = self.cluster
        return subprocess.run([program("namenode"), "--config", os.path.join(c.dir, "conf", "nn.conf")] + list(args),
                              capture_output=True, text=True, timeout=60 * SLOW)

    def metric(self, name):
        page = urllib.request.urlopen(f"http://{self.cluster.ps()['nn']['http']}/metrics", timeout=10 * SLOW).read().decode()
        return int(re.search(rf"^millrace_nn_{name} (\d+)", page, re.M).group(1))

    def restart(self):
        self.cluster.stop_daemon("nn")
        self.cluster.start_daemon("nn")

    def lines_of(self, event):
        return [x for x in self.cluster.log("nn").splitlines() if f" {event} " in x]

    def busy(self, name, **numbers):
        load = Load(self.cluster, name, **{"creators": 8, "putters": 1, "appenders": 1, "getters": 1, **numbers}).start()
        self.addCleanup(lambda: load.process.poll() is None and load.kill())
        load.warm_up(200)
        return load

    def all_there(self, load):
        load.stop()
        self.assertEqual(load.errors(), [])
        return load.verify()

    def recovered(self, copy):
        """What --recover-from prints."""
        r = self.namenode("--recover-from", copy)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        return r.stdout


class Destroyed(ClusterTest, Namenodes):
    nodes = 3
    settings = LIVELY + ["dfs.namenode.name.dir={dir}/nn,{dir}/copy", "dfs.namenode.checkpoint.period=1s"]

    figures = {"rounds": 0, "lost": 0, "names": 0, "seconds": 0.0}     # seconds: from the start of --recover-from to service

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        record("metadata-lost", "tests/cluster/test_metadata.py", cls.figures, long=ROUNDS > 4)

    def setUp(self):
        self.db = os.path.join(self.cluster.dir, "nn", "namespace.db")
        self.copy = os.path.join(self.cluster.dir, "copy")
        self.random = random.Random(SEED + self.figures["rounds"])

    def tearDown(self):
        if self.cluster.ps()["nn"]["state"] != "running":       # the test has failed
            self.namenode("--recover-from", self.copy)
            self.cluster.start_daemon("nn")

    def destroy_under_load(self, name, destroy, refuses=True):
        for i in range(ROUNDS):
            self.destroy_once(f"{name}{i}", destroy, refuses)

    def destroy_once(self, name, destroy, refuses):
        load = self.busy(name)
        time.sleep(self.random.random() * 1.5)
        destroy()
        self.cluster.kill("nn")
        if refuses:
            refused = self.namenode()
            self.assertEqual(refused.returncode, 1)
            self.assertIn(f"--recover-from {self.copy}", refused.stderr)
        when = now()
        said = self.recovered(self.copy)
        self.cluster.start_daemon("nn")
        load.wait_service(when)
        took = load.service_after(when, "CG")
        load.stop()         # calls that met the damage may have failed
        counts = load.verify()
        self.figures["rounds"] += 1
        self.figures["lost"] += sum(counts[k] for k in LOST)
        self.figures["names"] += counts["names"]
        self.figures["seconds"] = max(self.figures["seconds"], round(took, 2))
        print(f"seed {SEED}: {name}: {said.splitlines()[-2]}; {took:.2f} s; {counts['names']} names", file=sys.stderr)
        self.assertEqual(self.lines_of("name_dir_dropped"), [])

    def test_database_overwritten_under_load_is_recovered(self):
        def overwrite():
            with open(self.db, "r+b") as f:
                f.write(os.urandom(os.path.getsize(self.db)))
        self.destroy_under_load("overwritten", overwrite, refuses=False)    # the WAL may have what is read at a start
        self.assertTrue([x for x in os.listdir(os.path.dirname(self.db)) if ".damaged-" in x])

    def test_database_unlinked_under_load_is_recovered(self):
        self.destroy_under_load("unlinked", lambda: os.unlink(self.db))

    def test_database_and_log_truncated_under_load_are_recovered(self):
        def cut():
            for name in (self.db, self.db + "-wal"):
                os.truncate(name, os.path.getsize(name) // 2)
        self.destroy_under_load("truncated", cut, refuses=False)

    def test_database_restored_from_an_old_copy_is_refused_and_recovered(self):
        self.cluster.stop_daemon("nn")
        old = os.path.join(self.cluster.folder, "old.db")
        shutil.copy(self.db, old)
        self.cluster.start_daemon("nn")

        def restore():      # under a NameNode that says nothing more: pages of an older day are whole, and it would believe them
            os.kill(self.cluster.ps()["nn"]["pid"], signal.SIGSTOP)
            shutil.copy(old, self.db)
            with open(self.db + "-wal", "w"):
                pass
        self.destroy_under_load("restored", restore)

    def test_killed_while_backups_run_the_copy_has_everything(self):
        load = self.busy("killed")
        for _ in range(5):
            wait_for("a backup", lambda: self.metric("backups_total") > 0)
            time.sleep(self.random.random() * 0.6)
            self.cluster.kill("nn")
            when = now()
            self.cluster.start_daemon("nn")
            load.wait_service(when, "C")
        wait_for("the copy to be whole", lambda: self.metric("name_dirs_ready") == 1)
        self.cluster.kill("nn")
        elsewhere = os.path.join(self.cluster.folder, "elsewhere")
        shutil.copytree(self.copy, elsewhere)
        os.unlink(self.db)
        self.recovered(elsewhere)
        healthy = self.namenode("--recover-from", self.copy)
        self.assertEqual(healthy.returncode, 1)
        self.assertIn("nothing to recover", healthy.stderr)
        self.cluster.start_daemon("nn")
        self.all_there(load)


@unittest.skipUnless(os.geteuid() == 0, "needs root to mount small disks")
class Directories(ClusterTest, Namenodes):
    """Each further directory is a disk of its own."""
    nodes = 2
    settings = LIVELY + ["dfs.replication=2", "dfs.namenode.checkpoint.period=1s",
                         "dfs.namenode.name.dir={dir}.disk/nn,{dir}.copy,{dir}.small"]

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(cls.nodes, cls.settings)
        cls.disk, cls.copy, cls.small = (f"{cls.cluster.dir}.{x}" for x in ("disk", "copy", "small"))
        try:
            if not mounted(cls.disk, "48m") or not mounted(cls.small, "3m"):
                raise unittest.SkipTest("tmpfs cannot be mounted here")
            cls.cluster.start()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        unmount(cls.disk)
        unmount(cls.small)
        cls.cluster.remove()

    def tearDown(self):
        """Everything is repaired by a restart."""
        shutil.rmtree(os.path.join(self.small, "filler"), ignore_errors=True)
        self.restart()
        wait_for("both copies to be whole", lambda: self.metric("name_dirs_ready") == 2)
        self.dfs("admin", "-safemode", "wait")

    def fill(self, folder):
        """Until there is no room; somebody else may take the last of it meanwhile."""
        os.makedirs(os.path.join(folder, "filler"), exist_ok=True)
        with open(os.path.join(folder, "filler", "f"), "wb", buffering=0) as f:
            try:
                while f.write(bytes(4096)):
                    pass
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise

    def dropped(self, folder):
        wait_for(f"{folder} to be dropped", lambda: [x for x in self.lines_of("name_dir_dropped") if f"dir={folder} " in x])
        self.assertEqual(self.metric("name_dirs_failed"), 1)
        self.assertIn("failed and get no changes", urllib.request.urlopen(f"http://{self.cluster.ps()['nn']['http']}/").read()
                      .decode())

    def test_copy_on_a_full_disk_is_dropped_and_service_goes_on(self):
        load = self.busy("full")
        self.fill(self.small)
        self.dropped(self.small)
        when = now()
        load.wait_service(when)
        self.all_there(load)

    def test_copy_whose_directory_is_removed_is_dropped_and_service_goes_on(self):
        load = self.busy("removed")
        shutil.rmtree(self.copy)
        self.dropped(self.copy)
        load.wait_service(now())
        self.all_there(load)

    def test_copy_that_is_read_only_at_the_start_is_dropped_and_service_goes_on(self):
        self.cluster.stop_daemon("nn")
        subprocess.run(["mount", "-o", "remount,ro", self.small], check=True)
        try:
            self.cluster.start_daemon("nn")
            load = self.busy("readonly")
            self.dropped(self.small)
            self.all_there(load)
            self.cluster.stop_daemon("nn")
        finally:
            subprocess.run(["mount", "-o", "remount,rw", self.small], check=True)
        self.cluster.start_daemon("nn")

    def test_full_disk_of_the_database_admits_deletes_only_and_loses_nothing(self):
        load = self.busy("nospace", appenders=0)
        self.dfs("mkdir", "/doomed")
        self.fill(self.disk)
        wait_for("the disk to be seen full", lambda: self.lines_of("disk_full"))
        r = self.dfs("mkdir", "/refused", check=False)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("only deletes are admitted", r.stderr)
        self.dfs("rm", "-r", "-skipTrash", "/doomed")
        shutil.rmtree(os.path.join(self.disk, "filler"))
        wait_for("the disk to have room", lambda: self.lines_of("disk_has_room"))
        load.wait_service(now())
        load.stop()
        load.verify()
        self.assertEqual(self.metric("name_dirs_failed"), 0)    # groups that were undone are undone in the copies


if __name__ == "__main__":
    main()
