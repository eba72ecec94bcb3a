"""Crowds on every port: connections that say nothing, say it slowly, never end, or do not listen.

Meanwhile others are served in bounded time, and the daemons' memory stays bounded.

    test_crowds.py [CONNECTIONS]        10000 by hand; fewer in a short test
"""
import os
import resource
import socket
import struct
import sys
import threading
import time

from harness import SLOW, TOP, ClusterTest, main, pattern
from test_garbage import CONTEXT, PREAMBLE, Port, call, field, rss_mb

sys.path.insert(0, os.path.join(TOP, "tests", "results"))
from record import record   # noqa: E402

COUNT = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 1000
SERVED_S = 5 * SLOW             # a put, an ls and a page take at most so long while the crowd is there
ROOM_MB = 200                   # what a daemon may grow by, crowd and service together


class Crowd:
    """Connections to one port; each says `first` at once and then `drip`, a byte at a time, over and over."""

    def __init__(self, port, count, first=b"", drip=b"", read=False):
        self.port, self.count, self.first, self.drip, self.read = port, count, first, drip, read
        self.socks, self.stop = [], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def connect(self):
        s = socket.socket(socket.AF_INET)
        s.settimeout(10)
        try:
            s.connect((self.port.host, self.port.port))
            s.setblocking(False)
            if self.first:
                s.send(self.first)
        except OSError:
            s.close()
            return
        self.socks.append(s)

    def run(self):
        step = 0
        for _ in range(self.count):
            if self.stop.is_set():
                return
            self.connect()
        while not self.stop.wait(0.3):
            if not self.drip:
                continue
            byte = self.drip[step % len(self.drip):][:1]
            step += 1
            alive = []
            for s in self.socks:
                try:
                    s.send(byte)
                    alive.append(s)
                except BlockingIOError:
                    alive.append(s)
                except OSError:
                    s.close()
            self.socks = alive
            for _ in range(min(200, self.count - len(alive))):      # those that were thrown out come again
                self.connect()

    def __enter__(self):
        self.thread.start()
        end = time.monotonic() + 60
        while self.thread.is_alive() and len(self.socks) < self.count * 0.9 and time.monotonic() < end:
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        for s in self.socks:
            s.close()


LONG_GET = b"GET / HTTP/1.1\r\nHost: x\r\nX-Much: "
# Name: kind of port -> what is said first, what is said on and on.
CROWDS = {
    "silent": {"": (b"", b"")},
    "slow": {"http": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n"), "data": (b"\x00\x1c\x51\xff\xff\x0f", b"\x0a"),
             "rpc": (PREAMBLE, b"\x00"), "open": (b"MRS1", b"\x00")},
    "halfway": {"rpc": (PREAMBLE + CONTEXT + struct.pack(">I", 1 << 20), b"x"), "data": (b"\x00\x1c\x50\x80\x80\x04", b"x"),
                "http": (b"POST / HTTP/1.1\r\nHost: x\r\nX-XSRF-HEADER: 1\r\nContent-Length: 4294967296\r\n\r\n", b"x")},
    "deaf": {"http": (b"GET /static/style.css HTTP/1.1\r\nHost: x\r\n\r\n" * 40, b""),
             "rpc": (PREAMBLE + CONTEXT + call(b"getListing", field(1, b"/") + field(2, b"") + b"\x18\x00") * 20, b"")},
}


class Crowds(ClusterTest):
    nodes = 2
    settings = ["dfs.replication=2"]

    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        super().setUpClass()
        cls.cluster.dfs("put", "-", "/words", stdin="some words and more words\n" * 1000)

    def ports(self):
        kinds = {"nn": "rpc", "jt": "rpc", "dn": "data", "tt": "open"}
        for name, m in sorted(self.cluster.ps().items()):
            if name in ("dn2", "tt2"):
                continue
            yield name, Port(f"{m['rpc']}/{kinds[name.rstrip('0123456789')]}")
            if m["http"]:
                yield name, Port(f"{m['http']}/http")

    def timed(self, what, fn):
        began = time.monotonic()
        fn()
        took = time.monotonic() - began
        self.assertLess(took, SERVED_S, f"{what} took {took:.1f} s")
        return took

    def page(self, port):
        """The page comes, whole, at the first try or soon after."""
        end = time.monotonic() + SERVED_S
        while True:
            try:
                with port.connect() as s:
                    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    if s.recv(4096).startswith(b"HTTP/1.1 "):
                        return
            except OSError:
                pass
            self.assertLess(time.monotonic(), end, f"{port}: no page")

    def serve_others(self, port):
        took = self.timed("a put", lambda: self.dfs("put", "-f", self.file, "/f"))
        took = max(took, self.timed("a cat", lambda: self.assertEqual(self.dfs("cat", "/f", binary=True).stdout, self.data)))
        if port.kind == "http":
            took = max(took, self.timed("a page", lambda: self.page(port)))
        return took

    def test_others_are_served_while_a_crowd_holds_a_port(self):
        self.data = pattern(300_000)
        self.file = self.temp("f", self.data)
        before = {m["pid"]: rss_mb(m["pid"]) for m in self.cluster.ps().values()}
        worst = 0
        for name, port in list(self.ports()):
            for crowd, kinds in CROWDS.items():
                said = kinds.get(port.kind, kinds.get(""))
                if said is None:
                    continue
                with self.subTest(daemon=name, port=str(port), crowd=crowd), Crowd(port, COUNT, *said):
                    worst = max(worst, self.serve_others(port))
        self.run_job_in_a_crowd()
        pids = {m["pid"]: name for name, m in self.cluster.ps().items()}
        self.assertEqual(set(pids), set(before))
        grown = {pids[pid]: rss_mb(pid, "VmHWM") - was for pid, was in before.items()}
        print(f"crowds of {COUNT}: served within {worst:.1f} s, grown by at most {max(grown.values()):.0f} MB "
              f"({max(grown, key=grown.get)})", file=sys.stderr)
        for name, mb in grown.items():
            self.assertLess(mb, ROOM_MB * SLOW, f"{name} grew by {mb:.0f} MB")
        record("exhaustion", "tests/cluster/test_crowds.py CONNECTIONS",
               {"connections to each port": COUNT, "lost": 0, "seconds": round(worst, 1),
                "MB more at most": round(max(grown.values()))}, long=COUNT >= 5000)

    def run_job_in_a_crowd(self):
        ports = [p for name, p in self.ports() if name in ("jt", "tt1")]
        crowds = [Crowd(p, COUNT // 4) for p in ports]
        for c in crowds:
            c.__enter__()
        began = time.monotonic()
        self.mr("run", "wordcount", "-input", "/words", "-output", "/counted")
        for c in crowds:
            c.__exit__()
        self.assertLess(time.monotonic() - began, 20 * SLOW)
        self.assertIn("words\t2000", self.dfs("cat", "/counted/part-r-00000").stdout)


if __name__ == "__main__":
    main()
