"""A NameNode that has no descriptor left: those who are connected are served, nothing is called missing, and it recovers."""
import os
import resource
import sys
import time

from harness import SLOW, ClusterTest, main, pattern, wait_for
from test_crowds import Crowd
from test_garbage import Port

SPARE = 20                      # descriptors that the NameNode may still open
STAYS_S = 8                     # longer than a DataNode may be silent here
SERVED_S = 10 * SLOW


class Descriptors(ClusterTest):
    nodes = 3
    settings = ["dfs.heartbeat.interval=300ms", "millrace.namenode.dead-node-interval=5s"]

    def cpu_seconds(self, pid):
        with open(f"/proc/{pid}/stat") as f:
            words = f.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def test_nothing_is_missing_and_the_namenode_recovers(self):
        data = pattern(300_000)
        self.dfs("put", self.temp("f", data), "/f")
        pid = self.cluster.ps()["nn"]["pid"]
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        limit = len(os.listdir(f"/proc/{pid}/fd")) + SPARE
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limits[1]))
        with Crowd(Port(self.cluster.ps()["nn"]["rpc"] + "/rpc"), 4 * SPARE):
            self.assertGreater(len(os.listdir(f"/proc/{pid}/fd")), limit - 3, "the crowd is too small")
            before = self.cpu_seconds(pid)
            time.sleep(STAYS_S)
            spent = (self.cpu_seconds(pid) - before) / STAYS_S
        began = time.monotonic()
        wait_for("service", lambda: self.dfs("ls", "/", check=False, timeout=20).returncode == 0, SERVED_S)
        took = time.monotonic() - began
        self.assertLess(spent, 0.5, "the NameNode goes round for ever")
        text = self.dfs("fsck", "/").stdout
        self.assertIn("HEALTHY", text)
        self.assertNotIn("datanode_lost", self.cluster.log("nn"))
        self.assertEqual(self.dfs("cat", "/f", binary=True).stdout, data)
        self.dfs("put", self.temp("g", data), "/g")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        print(f"served after {took:.1f} s, {spent:.0%} of a processor meanwhile", file=sys.stderr)


if __name__ == "__main__":
    main()
