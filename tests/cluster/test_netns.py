"""docs/CLUSTER.md, followed on four hosts: network namespaces joined by veth and a bridge.

Each host has its own mounts, so that /etc/millrace and /var/lib/millrace are its own, as the document says.
"""
import os
import re
import shlex
import subprocess
import tempfile
import unittest

from harness import BIN, JOBS, SLOW, TOP, Failed, main, pattern, program, wait_for

HOSTS = ["head", "node1", "node2", "node3", "node4"]


def document(mark):
    with open(os.path.join(TOP, "docs", "CLUSTER.md")) as f:
        return re.search(rf"<!-- test: {re.escape(mark)} -->\n```\w+\n(.*?)```", f.read(), re.S).group(1)


def sh(*args, check=True, **kw):
    r = subprocess.run(args, capture_output=True, text=True, **kw)
    if check and r.returncode:
        raise Failed(f"{' '.join(args)}: {r.stderr}")
    return r


def have_namespaces():
    if os.geteuid() != 0:
        return False
    r = sh("ip", "netns", "add", f"mr{os.getpid()}-probe", check=False)
    sh("ip", "netns", "del", f"mr{os.getpid()}-probe", check=False)
    return r.returncode == 0


class Network:
    """A bridge in a namespace of its own, and one namespace a host."""

    def __init__(self, hosts=HOSTS, conf=None):
        self.hosts = hosts
        self.tag = f"mr{os.getpid()}"
        self.folder = tempfile.mkdtemp(prefix="millrace-netns-")
        os.chmod(self.folder, 0o755)
        self.daemons = {}
        self.bridge = f"{self.tag}-sw"
        sh("ip", "netns", "add", self.bridge)
        sh("ip", "-n", self.bridge, "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", self.bridge, "link", "set", "br0", "up")
        for i, host in enumerate(hosts):
            ns = self.ns(host)
            sh("ip", "netns", "add", ns)
            sh("ip", "-n", ns, "link", "set", "lo", "up")
            sh("ip", "link", "add", "eth0", "netns", ns, "type", "veth", "peer", "name", f"p{i}", "netns", self.bridge)
            sh("ip", "-n", self.bridge, "link", "set", f"p{i}", "master", "br0", "up")
            sh("ip", "-n", ns, "addr", "add", f"10.77.0.{i + 1}/24", "dev", "eth0")
            sh("ip", "-n", ns, "link", "set", "eth0", "up")
            for part in ("etc", "var"):
                os.makedirs(os.path.join(self.folder, host, part), exist_ok=True)
            with open(os.path.join(self.folder, host, "etc", "millrace.conf"), "w") as f:
                f.write(conf or document("millrace.conf"))

    def ns(self, host):
        return f"{self.tag}-{host}"

    def command(self, host, line):
        """The document's command line on a host, with its folders in place and our programs first in PATH."""
        line = line.replace("/usr/local/lib/millrace/jobs", JOBS)
        own = os.path.join(self.folder, host)
        mounts = (f"mkdir -p /etc/millrace /var/lib/millrace && mount --bind {own}/etc /etc/millrace && "
                  f"mount --bind {own}/var /var/lib/millrace && PATH={shlex.quote(BIN)}:$PATH && ")
        return ["ip", "netns", "exec", self.ns(host), "unshare", "--mount", "--propagation", "private", "sh", "-c", mounts + line]

    def start(self, host, name):
        line = [x for x in document("start").splitlines() if x.startswith(name + " ")][0]
        with open(os.path.join(self.folder, f"{host}-{name}.log"), "ab") as log:
            self.daemons[host, name] = subprocess.Popen(self.command(host, "exec " + line), stdout=log, stderr=log,
                                                        stdin=subprocess.DEVNULL, start_new_session=True)

    def run(self, host, line, check=True, timeout=120):
        r = subprocess.run(self.command(host, line), capture_output=True, text=True, timeout=timeout * SLOW)
        if check and r.returncode:
            raise Failed(f"{host}: {line}: exit {r.returncode}\n{r.stdout}\n{r.stderr}\n{self.tails()}")
        return r.stdout

    def lose(self, host):
        """The host is gone: no packet in or out, then its processes end."""
        sh("ip", "-n", self.ns(host), "link", "set", "eth0", "down")
        for (h, _), p in self.daemons.items():
            if h == host:
                p.kill()

    def tails(self):
        out = []
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                with open(os.path.join(self.folder, name), errors="replace") as f:
                    out.append(f"--- {name}\n" + "".join(f.readlines()[-15:]))
        return "\n".join(out)

    def close(self):
        for p in self.daemons.values():
            p.terminate()
        for p in self.daemons.values():
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for host in self.hosts:
            sh("ip", "netns", "del", self.ns(host), check=False)
        sh("ip", "netns", "del", self.bridge, check=False)
        subprocess.run(["rm", "-rf", self.folder], check=False)


@unittest.skipUnless(have_namespaces(), "skipped: network namespaces need root")
class FourHosts(unittest.TestCase):
    def setUp(self):
        self.net = Network()
        self.addCleanup(self.net.close)

    def nodes(self):
        return len(re.findall(r"^Name: ", self.net.run("head", "dfs admin -report -live", check=False), re.M))

    def test_the_document_is_followed_a_host_is_lost_and_one_is_added(self):
        net = self.net
        net.start("head", "namenode")
        net.start("head", "jobtracker")
        for host in ("node1", "node2", "node3"):
            net.start(host, "datanode")
            net.start(host, "tasktracker")
        wait_for("three DataNodes", lambda: self.nodes() == 3)
        for line in document("use").splitlines():
            out = net.run("node2", line)
        with open("/etc/services", "rb") as f:
            words = len(f.read().split())
        self.assertEqual(sum(int(x.split("\t")[1]) for x in out.splitlines()), words)

        with open(os.path.join(net.folder, "node1", "etc", "data"), "wb") as f:
            f.write(pattern(20_000_000))
        net.run("node1", "dfs put /etc/millrace/data /data")
        net.lose("node3")
        wait_for("the lost host to be noticed", lambda: self.nodes() == 2, 60)
        net.run("node1", "dfs cat /data | cmp - /etc/millrace/data")

        net.start("node4", "datanode")
        net.start("node4", "tasktracker")
        wait_for("the new host", lambda: self.nodes() == 3)
        wait_for("all replicas", lambda: "Under-replicated blocks:\t0" in net.run("head", "dfs fsck /", check=False), 60)
        net.run("node4", f"mr run {JOBS}/wordcount.so -input /services -output /counts2")
        self.assertEqual(net.run("head", "dfs cat '/counts2/part-*'"), out)

    def test_off_loopback_is_refused_with_the_reason(self):
        r = subprocess.run(self.net.command("head", "namenode --config /etc/millrace/millrace.conf"), capture_output=True,
                           text=True, timeout=30)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("dfs.namenode.rpc-address", r.stderr)
        self.assertIn("--insecure", r.stderr)


if __name__ == "__main__":
    main()
