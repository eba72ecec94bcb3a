"""The NameNode killed while clients change the namespace: what was acknowledged is there afterwards, what was asked
again was done once, and the log replays to equal tables."""
import os
import random
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "cluster")]
import harness  # noqa: E402
from hrpc import RpcError  # noqa: E402
from replay_exceptions import CLIENT, Cluster, Connection  # noqa: E402

BIN = os.path.abspath(os.environ.get("BIN", os.path.join(HERE, "..", "..", "build", "bin")))
REPLAY = os.path.join(os.path.dirname(BIN), "nn_replay")
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "4"))


class Writer(threading.Thread):
    """Makes directories and moves each to a second name, many calls at a time, until the server is gone."""

    def __init__(self, cluster, name):
        super().__init__()
        self.cluster, self.name_of = cluster, name
        self.moved = 0          # directories whose rename was acknowledged
        self.failure = None

    def run(self):
        conn = Connection(self.cluster.schema, *self.cluster.address, "root", *CLIENT)
        try:
            while True:
                first, count = self.moved, 40
                for i in range(first, first + count):
                    conn.send("mkdirs", {"src": f"/{self.name_of}/a{i}", "masked": {"perm": 0o755}, "createParent": True})
                    conn.send("rename", {"src": f"/{self.name_of}/a{i}", "dst": f"/{self.name_of}/b{i}"})
                for i in range(first, first + count):
                    conn.receive("mkdirs")
                    if not conn.receive("rename")["result"]:
                        raise AssertionError(f"rename of a{i} answered false")
                    self.moved = i + 1
        except (ConnectionError, OSError):
            pass
        except (RpcError, AssertionError) as e:
            self.failure = e
        finally:
            conn.close()


class Crash(unittest.TestCase):
    def test_acknowledged_changes_survive_sigkill(self):
        rng = random.Random(3)
        with tempfile.TemporaryDirectory(prefix="nn-crash-") as folder:
            for n in range(ROUNDS):
                cluster = Cluster(os.path.join(BIN, "namenode"), folder)
                writers = [Writer(cluster, f"r{n}w{i}") for i in range(3)]
                for w in writers:
                    w.start()
                enough = rng.randrange(1, 400)
                harness.wait_for(f"{enough} acknowledged renames", lambda: sum(w.moved for w in writers) >= enough or
                                 not all(w.is_alive() for w in writers))
                cluster.process.kill()
                cluster.process.wait()
                for w in writers:
                    w.join()
                    self.assertIsNone(w.failure)
                self.check(folder, writers)
            replay = subprocess.run([REPLAY, os.path.join(folder, "name")], capture_output=True, text=True)
            self.assertEqual((replay.returncode, replay.stderr), (0, ""))

    def check(self, folder, writers):
        cluster = Cluster(os.path.join(BIN, "namenode"), folder)
        try:
            self.assertGreater(sum(w.moved for w in writers), 0)
            for w in writers:
                for i in range(w.moved):
                    info = cluster.call("root", "getFileInfo", {"src": f"/{w.name_of}/b{i}"})
                    self.assertIn("fs", info, f"/{w.name_of}/b{i} of {w.moved}")
        finally:
            cluster.stop()

    def test_call_asked_again_after_a_crash_is_answered_from_the_log(self):
        with tempfile.TemporaryDirectory(prefix="nn-crash-") as folder:
            cluster = Cluster(os.path.join(BIN, "namenode"), folder)
            conn = cluster.connection("root")
            conn.call("mkdirs", {"src": "/a", "masked": {"perm": 0o755}, "createParent": True})
            number = conn.send("rename", {"src": "/a", "dst": "/b"})
            self.assertEqual(conn.receive("rename"), {"result": True})
            conn.close()
            cluster.process.kill()
            cluster.process.wait()
            cluster = Cluster(os.path.join(BIN, "namenode"), folder)
            try:
                again = cluster.connection("root")
                again.client_id = conn.client_id
                again.send("rename", {"src": "/a", "dst": "/b"}, call_id=number)
                self.assertEqual(again.receive("rename"), {"result": True})
            finally:
                cluster.stop()


if __name__ == "__main__":
    harness.main()
