#!/usr/bin/env python3
"""Garbage to every port of a running cluster: the daemons stay up, keep serving, and keep their memory.

    test_garbage.py [--pid PID]... [--rss-mb N] [--idle N] [--seed N] [HOST:PORT[/KIND]]...

KIND is rpc (the default: Hadoop RPC), data (DataTransferProtocol), http or open (it must only accept); it decides how a
port is asked whether it still serves.  With --pid the memory of those processes is compared before and after.  Without
a port a cluster is started, and every port of it is tried.
"""

import argparse
import os
import random
import resource
import socket
import struct
import sys
import time

import harness

DEADLINE_S = 10 * harness.SLOW
CLIENT_PROTOCOL = b"org.apache.hadoop.hdfs.protocol.ClientProtocol"


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def delimited(b):
    return varint(len(b)) + b


def field(number, b):
    return varint(number << 3 | 2) + delimited(b)


def number(n, v):
    return varint(n << 3) + varint(v)


def request_header(call_id):
    zigzag = call_id << 1 if call_id >= 0 else (-call_id << 1) - 1
    return number(1, 2) + number(2, 0) + number(3, zigzag) + field(4, b"garbage-client-0") + number(5, 0)


def frame(body):
    return struct.pack(">I", len(body)) + body


PREAMBLE = b"hrpc\x09\0\0"
CONTEXT = frame(delimited(request_header(-3)) + delimited(field(2, field(1, b"root")) + field(3, CLIENT_PROTOCOL)))


def call(method, param, call_id=1):
    head = field(1, method) + field(2, CLIENT_PROTOCOL) + number(3, 1)
    return frame(delimited(request_header(call_id)) + delimited(head) + delimited(param))


class Port:
    def __init__(self, text):
        address, _, kind = text.partition("/")
        host, _, port = address.rpartition(":")
        self.host, self.port, self.kind = host.strip("[]"), int(port), kind or "rpc"

    def __str__(self):
        return f"{self.host}:{self.port}/{self.kind}"

    def connect(self, timeout=DEADLINE_S):
        return socket.create_connection((self.host, self.port), timeout)

    def serves(self):
        """Raises unless the port answers a well-formed request.  HTTP may turn one away while a crowd comes."""
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                return self.answers()
            except (AssertionError, ConnectionError):
                if self.kind != "http" or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def answers(self):
        with self.connect() as s:
            if self.kind == "http":
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                expect(read_some(s).startswith(b"HTTP/1."), f"{self}: no HTTP answer")
            elif self.kind == "data":
                # Version 28, READ_BLOCK of a block of no pool: an answer, or the end of the connection.
                s.sendall(b"\x00\x1c\x51" + delimited(b""))
                read_some(s)
            elif self.kind == "open":
                pass
            else:
                s.sendall(PREAMBLE + CONTEXT + call(b"noSuchMethod", b""))
                head = read_exactly(s, 4)
                body = read_exactly(s, struct.unpack(">I", head)[0])
                expect(b"org.apache.hadoop.ipc.RpcNoSuch" in body, f"{self}: unexpected answer {body[:80]!r}")

    def serves_while_crowded(self):
        """The same, while many connections are held."""
        self.serves()


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def read_exactly(s, n):
    out = b""
    while len(out) < n:
        piece = s.recv(n - len(out))
        expect(piece, "connection closed in the middle of an answer")
        out += piece
    return out


def read_some(s):
    try:
        return s.recv(4096)
    except ConnectionError:
        return b""


def send_all(port, data):
    """Send, and read until the port closes or has nothing more to say; either is fine."""
    try:
        with port.connect() as s:
            s.settimeout(1)
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
    except OSError:
        pass


def random_bytes(port, rng):
    for _ in range(50):
        send_all(port, rng.randbytes(rng.randrange(1, 5000)))


def garbage_after_hello(port, rng):
    for _ in range(50):
        send_all(port, PREAMBLE + CONTEXT + rng.randbytes(rng.randrange(1, 5000)))
        send_all(port, PREAMBLE + CONTEXT + frame(rng.randbytes(rng.randrange(0, 3000))))
        send_all(port, b"\x00\x1c" + bytes([rng.choice([80, 81, 85, 86, 87, 127])]) + rng.randbytes(300))


def mutated_calls(port, rng):
    good = PREAMBLE + CONTEXT + call(b"getFileInfo", field(1, b"/")) + call(b"mkdirs", field(1, b"/x" * 50))
    for _ in range(200):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        send_all(port, bytes(bad))


def huge_lengths(port, rng):
    for length in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 128 << 20, (128 << 20) + 1, 64 << 20):
        send_all(port, struct.pack(">I", length))
        send_all(port, PREAMBLE + struct.pack(">I", length) + b"x" * 100)
        send_all(port, PREAMBLE + CONTEXT + struct.pack(">I", length) + b"x" * 100)
    for first in (b"\xff" * 9 + b"\x01", varint(2**63 - 1), varint(2**32), varint(2**31 - 1)):
        send_all(port, PREAMBLE + CONTEXT + frame(first + b"x" * 50))
        send_all(port, b"\x00\x1c\x51" + first + b"x" * 50)
        send_all(port, b"\x00\x1c\x50" + first + b"x" * 50)


def announced_but_not_sent(port, rng):
    """Many connections that each announce a frame of 100 MB and send little of it."""
    held = []
    for _ in range(100):
        s = port.connect()
        try:
            s.sendall(PREAMBLE + CONTEXT + struct.pack(">I", 100 << 20) + b"x" * 1000)
        except ConnectionError:
            pass
        held.append(s)
    port.serves_while_crowded()
    for s in held:
        s.close()


def half_sent_large_frames(port, rng):
    """Many connections that each send 8 MB of a frame of 100 MB and wait."""
    held = []
    piece = b"x" * (1 << 20)
    for _ in range(60):
        s = port.connect()
        s.settimeout(2)
        held.append(s)
        try:
            s.sendall(PREAMBLE + CONTEXT + struct.pack(">I", 100 << 20))
            for _ in range(8):
                s.sendall(piece)
        except OSError:
            pass
    port.serves_while_crowded()
    for s in held:
        s.close()


def replies_not_read(port, rng):
    """Many calls, pipelined, and nothing read."""
    held = []
    many = call(b"getListing", field(1, b"/") + field(2, b"") + number(3, 0)) * 2000
    for _ in range(20):
        s = port.connect()
        s.settimeout(0.2)
        held.append(s)
        try:
            s.sendall(PREAMBLE + CONTEXT)
            for _ in range(10):
                s.sendall(many)
        except OSError:
            pass
    port.serves_while_crowded()
    for s in held:
        s.close()


def half_frames(port, rng):
    whole = PREAMBLE + CONTEXT + call(b"getListing", field(1, b"/") + field(2, b"") + number(3, 0))
    for cut in range(1, len(whole), 3):
        with port.connect() as s:
            s.sendall(whole[:cut])
    port.serves()


def slow_header(port, rng):
    """One byte at a time; others are served meanwhile."""
    whole = PREAMBLE + CONTEXT + call(b"getFileInfo", field(1, b"/"))
    with port.connect() as s:
        for i, byte in enumerate(whole[:60]):
            try:
                s.sendall(bytes([byte]))
            except ConnectionError:
                break
            if i % 10 == 0:
                port.serves()
            time.sleep(0.02)


def decompressed_bomb(port, rng):
    """A few megabytes of empty inner messages, each of which takes far more memory when decoded."""
    param = field(1, b"/f") + field(2, b"c") + b"\x22\x00" * (2 << 20)
    send_all(port, PREAMBLE + CONTEXT + call(b"addBlock", param))


def idle_connections(port, rng, count):
    held = []
    try:
        for _ in range(count):
            held.append(port.connect())
        port.serves_while_crowded()
    finally:
        for s in held:
            s.close()


def http_garbage(port, rng):
    send_all(port, b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n")
    send_all(port, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000)
    send_all(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nx")
    send_all(port, b"PUT /webhdfs/v1/%00%ff%?op=CREATE HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx")
    for _ in range(50):
        send_all(port, b"GET /" + rng.randbytes(200) + b"\r\n\r\n")


def rss_mb(pid, field="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} is gone or a zombie")


ATTACKS = {
    "random_bytes": random_bytes, "garbage_after_hello": garbage_after_hello, "mutated_calls": mutated_calls,
    "huge_lengths": huge_lengths, "announced_but_not_sent": announced_but_not_sent,
    "half_sent_large_frames": half_sent_large_frames, "replies_not_read": replies_not_read, "half_frames": half_frames,
    "slow_header": slow_header, "decompressed_bomb": decompressed_bomb, "http_garbage": http_garbage,
    "idle_connections": idle_connections,
}


def descriptors_for(idle):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < idle + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def attack(port, name, seed, idle, rss_before, rss_limit_mb):
    """Raises when the port no longer serves, or a process grew too much."""
    extra = (idle,) if name == "idle_connections" else ()
    ATTACKS[name](port, random.Random(seed), *extra)
    port.serves()
    for pid, was in rss_before.items():
        most = rss_mb(pid, "VmHWM")
        expect(most - was <= rss_limit_mb, f"process {pid} grew from {was:.0f} to {most:.0f} MB")


class Garbage(harness.ClusterTest):
    nodes = 2

    def ports(self):
        """Every port of the cluster with the kind of what listens there."""
        kinds = {"nn": "rpc", "jt": "rpc", "dn": "data", "tt": "open"}
        for name, daemon in sorted(self.cluster.ps().items()):
            yield Port(f"{daemon['rpc']}/{kinds[name.rstrip('0123456789')]}")
            if daemon["http"]:
                yield Port(f"{daemon['http']}/http")

    def test_every_port_survives_everything(self):
        seed = int.from_bytes(os.urandom(4), "big")
        data = harness.pattern(300_000)
        self.dfs("put", self.temp("f", data), "/f")
        pids = {name: m["pid"] for name, m in self.cluster.ps().items()}
        before = {pid: rss_mb(pid) for pid in pids.values()}
        descriptors_for(1000)
        for port in self.ports():
            for name in ATTACKS:
                with self.subTest(port=str(port), attack=name, seed=seed):
                    attack(port, name, seed, 1000, before, 300 * harness.SLOW)
        self.assertEqual({name: m["pid"] for name, m in self.cluster.ps().items()}, pids)
        self.assertEqual(self.dfs("cat", "/f", binary=True).stdout, data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ports", nargs="+", metavar="HOST:PORT[/KIND]")
    parser.add_argument("--pid", action="append", type=int, default=[])
    parser.add_argument("--rss-mb", type=float, default=300, help="how much each process may grow")
    parser.add_argument("--idle", type=int, default=1000, help="idle connections held at once, each port")
    parser.add_argument("--seed", type=int, default=None)
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    descriptors_for(args.idle)
    ports = [Port(p) for p in args.ports]
    for port in ports:
        port.serves()
    before = {pid: rss_mb(pid) for pid in args.pid}
    failed = 0
    for port in ports:
        for name in ATTACKS:
            started = time.monotonic()
            try:
                attack(port, name, seed, args.idle, before, args.rss_mb)
            except (AssertionError, OSError) as e:
                failed += 1
                print(f"FAIL {port} {name}: {e}")
            else:
                print(f"ok   {port} {name} {time.monotonic() - started:.1f} s")
    for pid, was in before.items():
        print(f"process {pid}: {was:.0f} MB before, {rss_mb(pid, 'VmHWM'):.0f} MB at most, {rss_mb(pid):.0f} MB after")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) == 1:
        harness.main()
    sys.exit(main())
