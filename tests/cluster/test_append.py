"""Appending while daemons die: nothing that was acknowledged is lost, and the writer goes on within seconds."""
import os
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

from harness import BIN, SLOW, TOP, ClusterTest, Failed, main, wait_for

sys.path.insert(0, os.path.join(TOP, "tests", "compat"))
from hrpc import Connection, RpcError  # noqa: E402
from pb import Schema  # noqa: E402

PROGRAM = os.path.join(os.path.dirname(BIN), "client_append")
GOES_ON_MS = 5000 * SLOW


class Client:
    """A client_append process, with a time limit for each command."""

    def __init__(self, cluster, *settings):
        uri = cluster.dfs("getconf", "-confKey", "fs.defaultFS").stdout.strip()
        self.process = subprocess.Popen([PROGRAM, uri, *settings], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=cluster.env())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def begin(self, *command):
        self.process.stdin.write(" ".join(map(str, command)) + "\n")
        self.process.stdin.flush()

    def end(self):
        """(bytes, milliseconds) of the command that was begun."""
        words = self.process.stdout.readline().split(" ", 1)
        if words[0] != "ok":
            raise Failed(" ".join(words).strip() or self.process.stderr.read())
        size, ms = words[1].split()
        return int(size), int(ms)

    def do(self, *command):
        self.begin(*command)
        return self.end()


class AppendTest(ClusterTest):
    settings = ["dfs.blocksize=1m", "dfs.namenode.redundancy.interval=200ms", "millrace.namenode.dead-node-interval=4s"]

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(PROGRAM):
            raise unittest.SkipTest("skipped: client_append is not built (make client_append)")
        super().setUpClass()

    def tearDown(self):
        for name, m in self.cluster.ps().items():
            if m["state"] != "running":
                self.cluster.start_daemon(name)
        self.dfs("admin", "-safemode", "wait")

    def client(self, *settings):
        return Client(self.cluster, *settings)

    def wait_live(self, count):
        wait_for(f"{count} DataNodes", lambda: f"Live datanodes ({count})" in self.dfs("admin", "-report").stdout)

    def holders(self, path):
        """The DataNodes that have a replica of the file's last block."""
        text = self.dfs("fsck", path, "-files", "-blocks", "-openforwrite").stdout
        name = re.findall(r"blk_\d+", text)[-1]
        return [f"dn{i}" for i in range(1, self.nodes + 1)
                if any(name in names for _, _, names in os.walk(os.path.join(self.cluster.dir, f"dn{i}")))]

    def newest(self, path):
        """The DataNodes whose replica of the file's last block has the newest stamp."""
        text = self.dfs("fsck", path, "-files", "-blocks", "-openforwrite").stdout
        name = re.findall(r"blk_\d+", text)[-1]
        stamps = {}
        for i in range(1, self.nodes + 1):
            for _, _, names in os.walk(os.path.join(self.cluster.dir, f"dn{i}")):
                stamps.update((f"dn{i}", int(n.split("_")[2][:-5])) for n in names if n.startswith(name + "_"))
        return {n for n, stamp in stamps.items() if stamp == max(stamps.values())}

    def killed_at(self, stage, path, victim):
        """Append to path while victim hangs at the stage and then dies; milliseconds of the slowest step."""
        with self.client() as c:
            slowest = 0

            def hang_and_die(*command):
                nonlocal slowest
                pid = self.cluster.ps()[victim]["pid"]
                os.kill(pid, signal.SIGSTOP)
                c.begin(*command)
                time.sleep(0.3)             # the command has reached the node that hangs
                killed = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                c.end()
                slowest = max(slowest, (time.monotonic() - killed) * 1000)

            if stage == "set-up":
                hang_and_die("append", path)
            else:
                c.do("append", path)
            c.do("write", 100_000)
            c.do("hflush")
            if stage == "streaming":
                c.do("write", 300_000)
                hang_and_die("hflush")
            c.do("write", 777)
            if stage == "close":
                hang_and_die("close")
            else:
                c.do("close")
            return slowest

    def kills_at_every_stage(self):
        with self.client() as c:
            c.do("create", "/f")
            size = c.do("write", 1000)[0]
            c.do("close")
            for stage in ("set-up", "streaming", "close"):
                for position in range(3):
                    victim = self.holders("/f")[position]
                    ms = self.killed_at(stage, "/f", victim)
                    size += 100_777 + (300_000 if stage == "streaming" else 0)
                    self.assertLess(ms, GOES_ON_MS, f"{victim} at {stage}")
                    self.assertEqual(c.do("read", "/f")[0], size, f"{victim} at {stage}")
                    wait_for("the node to be seen dead", lambda: self.cluster.ps()[victim]["state"] == "died")
                    self.cluster.start_daemon(victim)
                    self.wait_live(self.nodes)
                    wait_for("three replicas", lambda: "Under-replicated blocks:\t0" in self.dfs("fsck", "/f").stdout)


class ThreeNodes(AppendTest):
    nodes = 3

    def test_a_datanode_killed_at_any_stage_loses_nothing(self):
        self.kills_at_every_stage()

    def test_a_reader_beside_100_appends_never_sees_less_than_before(self):
        stop, seen, error = threading.Event(), [0], []

        def watch():
            try:
                with self.client() as c:
                    while not stop.is_set():
                        n = c.do("read", "/many")[0]
                        if n < seen[-1]:
                            raise Failed(f"{seen[-1]} bytes were seen, then {n}")
                        seen.append(n)
            except Failed as e:
                error.append(e)

        with self.client() as c:
            c.do("create", "/many")
            c.do("close")
            watcher = threading.Thread(target=watch)
            watcher.start()
            size = 0
            for i in range(100):
                self.assertEqual(c.do("append", "/many")[0], size)
                size += 1 + i * 37 % 1500
                c.do("write", 1 + i * 37 % 1500)
                if i % 3 == 0:
                    c.do("hflush")
                c.do("close")
            stop.set()
            watcher.join()
            self.assertEqual(error, [])
            self.assertEqual(c.do("read", "/many")[0], size)
        self.assertGreater(len(set(seen)), 5)
        self.assertIn("Total blocks (validated):\t1 ", self.dfs("fsck", "/many").stdout)

    def test_what_is_seen_never_shrinks_over_pipeline_recovery(self):
        with self.client() as c, self.client() as reader:
            c.do("create", "/seen")
            least = 0
            for victim in ("dn1", "dn2", "dn3"):
                for _ in range(3):
                    c.do("write", 30_001)
                    size = c.do("hflush")[0]
                    n = reader.do("read", "/seen")[0]
                    self.assertGreaterEqual(n, max(size, least))
                    least = n
                c.do("write", 1000)
                self.cluster.kill(victim)
                c.begin("hflush")
                for _ in range(20):
                    n = reader.do("read", "/seen")[0]
                    self.assertGreaterEqual(n, least)
                    least = n
                c.end()
                self.cluster.start_daemon(victim)
                self.wait_live(3)
            size = c.do("close")[0]
            self.assertEqual(reader.do("read", "/seen")[0], size)

    def test_tail_f_shows_what_is_appended(self):
        with self.client() as c:
            c.do("create", "/log")
            c.do("write", 500)
            c.do("close")
            with self.cluster.popen("dfs", "tail", "-f", "-s", "100", "/log", stdout=subprocess.PIPE) as tail:
                self.assertEqual(len(tail.stdout.read(500)), 500)
                c.do("append", "/log")
                c.do("write", 700)
                c.do("hflush")
                self.assertEqual(len(tail.stdout.read(700)), 700)
                c.do("write", 300)
                c.do("close")
                self.assertEqual(len(tail.stdout.read(300)), 300)
                tail.kill()

    def test_repeated_append_is_answered_with_the_same_block_also_after_a_restart(self):
        with self.client() as c:
            c.do("create", "/again")
            c.do("write", 5000)
            c.do("close")
        schema = Schema(os.path.join(TOP, "core", "proto"))
        host, _, port = self.dfs("getconf", "-confKey", "fs.defaultFS").stdout.strip()[len("hdfs://"):].rpartition(":")
        user = os.environ.get("HADOOP_USER_NAME", subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip())
        protocol = ("org.apache.hadoop.hdfs.protocol.ClientProtocol", "ClientNamenodeProtocol")
        request = {"src": "/again", "clientName": "lost-reply", "flag": 4}
        connections = [Connection(schema, host, int(port), user, *protocol)]

        def append(connection):
            connection.send("append", request, call_id=7)
            b = connection.receive("append")["block"]
            return b["b"], b["locs"], b["storageIDs"]

        first = append(connections[0])
        self.assertEqual(append(connections[0]), first)
        self.cluster.kill("nn")
        self.cluster.start_daemon("nn")
        self.dfs("admin", "-safemode", "wait")
        connections.append(Connection(schema, host, int(port), user, *protocol))
        connections[1].client_id = connections[0].client_id
        self.assertEqual(append(connections[1]), first)
        with self.assertRaises(RpcError):       # another call of the same writer is no repeat
            connections[1].call("append", request)
        for c in connections:
            c.close()

    def test_namenode_killed_between_append_and_the_first_packet(self):
        with self.client() as c:
            c.do("create", "/between")
            c.do("write", 1000)
            c.do("close")
            c.do("append", "/between")
            self.cluster.kill("nn")
            c.do("write", 100_000)
            self.cluster.start_daemon("nn")
            c.do("hflush")
            size = c.do("close")[0]
            self.assertEqual(c.do("read", "/between")[0], size)

    def test_a_writer_that_needs_a_block_waits_for_the_namenode_longer_than_others(self):
        with self.client("millrace.client.retry=1s") as c:
            c.do("create", "/patient")
            c.do("write", 500_000)
            c.do("hflush")
            self.cluster.kill("nn")
            c.begin("write", 2_000_000)
            with self.client("millrace.client.retry=1s") as other, self.assertRaisesRegex(Failed, "REFUSED"):
                other.do("create", "/other")
            time.sleep(2)
            self.cluster.start_daemon("nn")
            c.end()
            size = c.do("close")[0]
            self.assertEqual(c.do("read", "/patient")[0], size)

    def test_append_to_a_file_of_another_writer_is_refused_and_harms_nothing(self):
        with self.client() as a, self.client() as b:
            a.do("create", "/taken")
            a.do("write", 10_000)
            a.do("hflush")
            with self.assertRaisesRegex(Failed, "BEING_CREATED"):
                b.do("append", "/taken")
            self.assertEqual(a.do("close")[0], 10_000)
            self.assertEqual(b.do("append", "/taken")[0], 10_000)
            b.do("write", 5)
            self.assertEqual(b.do("close")[0], 10_005)


class FourNodes(AppendTest):
    nodes = 4

    def test_a_datanode_killed_at_any_stage_loses_nothing(self):
        self.kills_at_every_stage()

    def test_eight_appenders_go_on_when_a_datanode_is_killed(self):
        clients = [self.client() for _ in range(8)]
        try:
            sizes = [0] * 8
            for i, c in enumerate(clients):
                c.do("create", f"/w{i}")
            for step in range(12):
                if step == 5:
                    self.cluster.kill("dn2")
                for c in clients:
                    c.begin("write", 20_000 + step * 7)
                sizes = [c.end()[0] for c in clients]
                for c in clients:
                    c.begin("hsync" if step % 2 else "close")
                slowest = max(c.end()[1] for c in clients)
                self.assertLess(slowest, GOES_ON_MS, f"step {step}")
                if step % 2 == 0:
                    for i, c in enumerate(clients):
                        c.begin("append", f"/w{i}")
                    self.assertEqual([c.end()[0] for c in clients], sizes)
            for c in clients:
                c.do("close")
            for i, c in enumerate(clients):
                self.assertEqual(c.do("read", f"/w{i}")[0], sizes[i])
        finally:
            for c in clients:
                c.__exit__()

    def test_a_node_that_hangs_is_found_though_the_client_waits_less_than_its_datanodes(self):
        with self.client("dfs.client.socket-timeout=2s") as c:
            c.do("create", "/hangs")
            c.do("write", 100_000)
            c.do("hflush")
            victim = self.holders("/hangs")[1]
            self.cluster.kill(victim, signal.SIGSTOP)
            try:
                c.do("write", 100_000)
                c.do("hflush")
                newest = self.newest("/hangs")
                size = c.do("close")[0]
            finally:
                self.cluster.kill(victim, signal.SIGCONT)
            self.assertEqual(c.do("read", "/hangs")[0], size)
        self.assertEqual(newest, {"dn1", "dn2", "dn3", "dn4"} - {victim})       # only the node that hung was left out


if __name__ == "__main__":
    main()
