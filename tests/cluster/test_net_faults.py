"""A network that loses, cuts and resets, between hosts in namespaces; a node that hangs and comes back.

NameNode, four DataNodes and the clients each on a host of their own (veth, bridge, nftables). LONG=1: a minute each.
"""
import os
import shutil
import signal
import subprocess
import time
import unittest

import power_cuts               # first: it says which programs are meant  # noqa: F401
import test_netns
from harness import SLOW, Failed, main, program, wait_for
from loads import PROGRAM, Load, now
from record import record

LONG = bool(os.environ.get("LONG"))
NODES = ["node1", "node2", "node3", "node4"]
HOSTS = ["head", "client"] + NODES
PARTITIONS = {
    "both-ways": [("input", "iifname eth0 drop"), ("output", "oifname eth0 drop")],
    "hears-nothing": [("input", "iifname eth0 drop")],
    "is-not-heard": [("output", "oifname eth0 drop")],
    "from-clients": [("input", "ip saddr 10.77.0.2 drop")],
    "from-namenode": [("input", "ip saddr 10.77.0.1 drop"), ("output", "ip daddr 10.77.0.1 drop")],
}
CONF = """[all]
fs.defaultFS = hdfs://10.77.0.1:8020
dfs.namenode.http-address = 10.77.0.1:9870
dfs.blocksize = 1m
dfs.client.socket-timeout = 2s
ipc.client.connect.timeout = 2s

[namenode]
dfs.namenode.rpc-address = 10.77.0.1:8020
dfs.namenode.name.dir = %(folder)s/head/name
dfs.namenode.fs-limits.min-block-size = 64k
dfs.heartbeat.interval = 300ms
millrace.namenode.dead-node-interval = 4s
dfs.namenode.stale.datanode.interval = 1500ms
dfs.namenode.redundancy.interval = 200ms

[datanode]
dfs.datanode.data.dir = %(folder)s/%(host)s/data
dfs.datanode.address = 0.0.0.0:9866
dfs.datanode.ipc.address = 0.0.0.0:9867
dfs.datanode.http.address = 0.0.0.0:9864
dfs.heartbeat.interval = 300ms
"""


class Hosts(test_netns.Network):
    """The daemons on their hosts; for Load, the cluster that clients on the host `client` see."""

    def __init__(self):
        super().__init__(HOSTS, "[all]\n")
        self.prefix = ["ip", "netns", "exec", self.ns("client")]
        for host in HOSTS:
            with open(self.conf(host), "w") as f:
                f.write(CONF % {"folder": self.folder, "host": host})
        for host in HOSTS:
            if host != "client":
                self.start(host, "namenode" if host == "head" else "datanode")
        wait_for("four DataNodes", lambda: self.dfs("admin", "-report", "-live").count("\nName: ") == 4)

    def conf(self, host):
        return os.path.join(self.folder, host, "etc", "millrace.conf")

    def env(self):
        return {**os.environ, "MILLRACE_CONF": self.conf("client")}

    def start(self, host, name):
        with open(os.path.join(self.folder, f"{host}-{name}.log"), "ab") as log:
            self.daemons[host, name] = subprocess.Popen(
                ["ip", "netns", "exec", self.ns(host), program(name), "--config", self.conf(host), "--insecure"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def dfs(self, *args):
        r = subprocess.run(self.prefix + [program("dfs")] + list(args), capture_output=True, text=True, env=self.env(),
                           timeout=120 * SLOW)
        return r.stdout

    def log_tails(self):
        return self.tails()

    def signal(self, host, sig):
        for (h, _), p in self.daemons.items():
            if h == host:
                p.send_signal(sig)              # ip netns exec has become the daemon

    def rules(self, host, *chains):
        """nftables of a host: ("input" or "output", rule)."""
        text = "add table inet f\nflush table inet f\n"
        for hook in {c[0] for c in chains}:
            text += f"add chain inet f {hook} {{ type filter hook {hook} priority 0; }}\n"
        for hook, rule in chains:
            text += f"add rule inet f {hook} {rule}\n"
        r = subprocess.run(["ip", "netns", "exec", self.ns(host), "nft", "-f", "-"], input=text, text=True,
                           capture_output=True)
        if r.returncode:
            raise Failed(f"nft on {host}: {r.stderr}")

    def heal(self, host):
        subprocess.run(["ip", "netns", "exec", self.ns(host), "nft", "delete", "table", "inet", "f"], capture_output=True)

    def copies(self):
        text = subprocess.run(["ip", "netns", "exec", self.ns("head"), "curl", "-s", "http://10.77.0.1:9870/metrics"],
                              capture_output=True, text=True).stdout
        return sum(int(float(x.split()[1])) for x in text.splitlines() if x.startswith("nn_copies_ordered_total"))


def why_not():
    if not os.path.exists(PROGRAM):
        return f"{PROGRAM} is not built"
    if not test_netns.have_namespaces():
        return "network namespaces need root"
    if shutil.which("nft") is None:
        return "nft is not installed"
    return None


REASON = why_not()


@unittest.skipIf(REASON, f"skipped: {REASON}")
class NetFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.net, cls.figures = Hosts(), {}

    @classmethod
    def tearDownClass(cls):
        cls.net.close()

    def heal_all(self):
        for host in HOSTS:
            self.net.heal(host)

    def tearDown(self):
        self.heal_all()
        if self.load.process.poll() is None:
            self.load.kill()

    def healthy(self):
        text = self.net.dfs("fsck", "/")
        return "Under-replicated blocks:\t0" in text and "HEALTHY" in text

    def under_load(self, row, hurt, heal, seconds, name=None):
        """Load before, while and after; nothing lost, service while it lasts, whole again afterwards."""
        self.load = load = Load(self.net, name or self.id().rsplit("test_", 1)[1], creators=4, putters=1).start()
        load.warm_up()
        hurt()
        began = now()
        time.sleep(60 if LONG else seconds)
        during = load.service_after(began, "CZG")
        heal()
        healed = now()
        back = load.wait_service(healed)
        load.stop(120)
        self.assertEqual(load.errors(), [])
        wait_for("all replicas", self.healthy, 60)
        whole = now() - healed
        counts = load.verify()
        figures = self.figures.setdefault(row, {"times": 0, "lost": 0, "names": 0, "seconds": 0.0, "seconds until all replicas": 0.0})
        figures["times"] += 1
        figures["names"] += counts["names"]
        figures["seconds"] = max(figures["seconds"], round(back, 2))
        figures["seconds until all replicas"] = max(figures["seconds until all replicas"], round(whole, 1))
        record(row, ("LONG=1 " if LONG else "") + "tests/cluster/test_net_faults.py", figures, long=LONG)
        return during, back

    def test_random_loss(self):
        def lose():
            for host in HOSTS:
                self.net.rules(host, ("input", "iifname eth0 numgen random mod 100 < 2 drop"))
        during, _ = self.under_load("net-loss", lose, self.heal_all, 6)
        self.assertIsNotNone(during)

    def partition(self, kind, *chains):
        during, back = self.under_load("net-partition", lambda: self.net.rules("node2", *chains),
                                       lambda: self.net.heal("node2"), 5, kind)
        self.assertIsNotNone(during, "no operation succeeded while one of four nodes was cut off")
        self.assertLess(back, 10 * SLOW)

    def test_partitions_of_one_node(self):
        """All of them in a long run, else two, others each time."""
        kinds = list(PARTITIONS)
        first = int(time.time()) % len(kinds)
        for kind in kinds if LONG else (kinds + kinds)[first:first + 2]:
            with self.subTest(kind):
                self.partition(kind, *PARTITIONS[kind])

    def test_short_partition_makes_no_storm_of_copies(self):
        self.load = load = Load(self.net, "storm", creators=4, putters=1).start()
        load.warm_up(300)
        load.stop()
        wait_for("all replicas", self.healthy, 60)
        before = self.net.copies()
        self.net.rules("node2", ("input", "iifname eth0 drop"), ("output", "oifname eth0 drop"))
        time.sleep(2.5)                         # less than the interval after which a node is dead
        self.net.heal("node2")
        time.sleep(2.5)
        self.assertEqual(self.net.copies(), before)
        self.assertTrue(self.healthy())

    def test_connections_that_are_reset(self):
        def reset():
            for host in HOSTS:
                self.net.rules(host, ("input", "iifname eth0 meta l4proto tcp numgen random mod 1500 == 0 reject with tcp reset"))
        during, _ = self.under_load("net-reset", reset, self.heal_all, 6)
        self.assertIsNotNone(during)

    def paused(self, host, seconds):
        return self.under_load("node-paused", lambda: self.net.signal(host, signal.SIGSTOP),
                               lambda: self.net.signal(host, signal.SIGCONT), seconds)

    def test_datanode_that_hangs_and_comes_back_with_old_state(self):
        during, back = self.paused("node2", 7)   # it counts as dead after 4
        self.assertIsNotNone(during)
        self.assertLess(back, 10 * SLOW)

    def test_namenode_that_hangs_and_comes_back(self):
        _, back = self.paused("head", 7)         # by its clock every DataNode is silent
        self.assertLess(back, 10 * SLOW)


if __name__ == "__main__":
    main()
