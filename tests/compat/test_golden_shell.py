#!/usr/bin/env python3
"""Plays the recorded invocations of Hadoop's shell (golden/shell.jsonl.gz) with our `dfs` on a fresh cluster and compares
standard output, standard error and exit code of each.

    test_golden_shell.py [--bin build/bin] [--verbose] [--only N[,N...]]

A cluster of a NameNode and three DataNodes is started in a folder of its own.  golden/shell_differences.txt
lists what differs on purpose or for lack of a feature, with the reason; any other difference fails the test.
"""

import argparse
import collections
import difflib
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "golden", "shell.jsonl.gz")
DIFFERENCES = os.path.join(HERE, "golden", "shell_differences.txt")
TOOLS = {"dfs": [], "dfsadmin": ["dfsadmin"], "fsck": ["fsck"], "debug": ["debug"]}

# Placeholders of the recording, as regular expressions.
PLACEHOLDERS = [
    ("<usage.txt>", r"[\s\S]*"), ("<bpid>", r"BP-[\w.-]+"), ("<blockid>", r"\d+"), ("<id>", r"\d+"), ("<gs>", r"\d+"),
    ("<dn-http>", r"[\w.]+:\d+"), ("<dn>", r"[\w.]+:\d+"), ("<port>", r"\d+"), ("<storage-id>", r"DS-[\w-]+"),
    ("<dn-uuid>", r"[\w-]+"), ("<uuid>", r"[\w-]+"), ("<inode>", r"\d+"), ("<ms>", r"\d+"), ("<date>", r".+"),
    ("<yyyy-MM-dd HH:mm:ss>", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), ("<yyyy-MM-dd HH:mm>", r"\d{4}-\d\d-\d\d \d\d:\d\d"),
    ("<n>", r"[\d.]+(?: [KMGTPE])?%?"), ("<h>", r"[^)\s]*(?: \w+)?"), ("<p>", r"[\d.]+"), ("<stack>", r".*"), ("<client>", r"\S+"),
    ("<host>", r"\S+"), ("<dots>", r"\.*"),
]
# Names of the nodes of this cluster stand where the recording has its own.
HOST_NAME = re.compile(r"\((localhost)\)|(?<=Hostname: )(localhost)")


def pattern_of(golden, addresses, squeeze):
    """The regular expression that an output must match to be the recorded one."""
    golden = golden.replace("<log-time> INFO fs.TrashPolicyDefault: ", "").replace("hadoop fs", "dfs")
    golden = re.sub(r"<usage.txt>\s*$", "<usage.txt>", golden)
    golden = golden.replace("<usage.txt>\n\nUsage", "Usage").replace("hdfs dfsadmin", "dfs dfsadmin")
    golden = golden.replace("hdfs fsck", "dfs fsck")
    if squeeze:
        golden = re.sub(" +", " ", golden)
    for name, value in addresses.items():
        golden = golden.replace(name, value)
    out, at = "", 0
    names = "|".join(re.escape(name) for name, _ in PLACEHOLDERS)
    table = dict(PLACEHOLDERS)
    for m in re.finditer(f"{names}|{HOST_NAME.pattern}", golden):
        out += re.escape(golden[at:m.start()])
        if m.group(0) in table:
            out += table[m.group(0)]
        else:
            out += r"\(\S+\)" if m.group(0).startswith("(") else r"\S+"
        at = m.end()
    return out + re.escape(golden[at:])


class Cluster:
    def __init__(self, binaries, folder):
        self.bin, self.dir, self.processes = binaries, folder, []

    def start_one(self, name, *settings):
        read, write = os.pipe()
        args = [os.path.join(self.bin, name), "--ready-fd", str(write)]
        for s in settings:
            args += ["--set", s]
        log = open(os.path.join(self.dir, "daemons.log"), "a")
        env = {k: v for k, v in os.environ.items() if k != "MILLRACE_CONF"}
        self.processes.append(subprocess.Popen(args, pass_fds=[write], stdout=log, stderr=log, env=env))
        os.close(write)
        with os.fdopen(read) as f:
            line = f.readline()
        if not line:
            raise SystemExit(f"{name} did not start:\n" + open(os.path.join(self.dir, "daemons.log")).read())
        return json.loads(line)

    def start(self):
        nn = self.start_one("namenode", f"dfs.namenode.name.dir={self.dir}/nn", "dfs.namenode.rpc-address=127.0.0.1:0",
                            "dfs.namenode.http-address=127.0.0.1:0", "dfs.namenode.fs-limits.min-block-size=1024",
                            "dfs.heartbeat.interval=200ms", "dfs.namenode.redundancy.interval=200ms")
        self.uri, self.http = "hdfs://" + nn["rpc"], nn["http"]
        self.data_dirs = []
        for i in range(3):
            self.data_dirs.append(f"{self.dir}/dn{i}")
            self.start_one("datanode", f"dfs.datanode.data.dir={self.dir}/dn{i}", f"fs.defaultFS={self.uri}",
                           "dfs.datanode.address=127.0.0.1:0", "dfs.datanode.ipc.address=127.0.0.1:0",
                           "dfs.datanode.http.address=127.0.0.1:0", f"millrace.node.name=node{i}",
                           "dfs.heartbeat.interval=200ms")
        self.conf = os.path.join(self.dir, "client.conf")
        with open(self.conf, "w") as f:
            f.write(f"[all]\nfs.defaultFS = {self.uri}\n")
            if self.http:
                f.write(f"dfs.namenode.http-address = {self.http}\n")
        return self

    def stop(self):
        for p in reversed(self.processes):
            p.terminate()
        for p in self.processes:
            p.wait(20)


class Player:
    def __init__(self, options, cluster, local):
        self.options, self.cluster, self.local = options, cluster, local
        self.addresses = {"<nn>": cluster.uri[len("hdfs://"):], "<nn-http>": cluster.http or "127.0.0.1:9870",
                          "@LOCAL@": local}
        self.dfs_program = os.path.join(options.bin, "dfs")

    def make_local_files(self):
        def put(name, data):
            path = os.path.join(self.local, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
            os.chmod(path, 0o644)
            return path
        a = put("a.txt", b"hello\n")
        os.utime(a, (1577934245, 1577934245))       # 2020-01-02 03:04:05
        os.chmod(put("b.txt", b"world\nline2\n"), 0o640)
        put("empty", b"")
        put("dir/x.txt", b"one\ntwo\nthree\n")
        put("dir/sub/y.txt", b"deep\n")
        put("k3", bytes((i * 7) % 251 for i in range(3000)))
        put("m1", bytes((i * 7 + i // 251) % 251 for i in range(1048576)))
        put("lines", b"".join(b"line %04d\n" % i for i in range(300)))
        import bz2
        packed = io.BytesIO()
        with gzip.GzipFile("t", "wb", fileobj=packed, mtime=0) as f:
            f.write(b"gzipped text\n")
        put("t.gz", packed.getvalue())
        put("t.bz2", bz2.compress(b"bzipped text\n"))

    def run(self, argv, user="root", stdin=b""):
        env = dict(os.environ, MILLRACE_CONF=self.cluster.conf, HADOOP_USER_NAME=user, TZ="UTC", LC_ALL="C.UTF-8")
        r = subprocess.run([self.dfs_program] + argv, env=env, input=stdin, capture_output=True, timeout=120)
        return r.returncode, r.stdout, r.stderr.decode(errors="replace")

    def set_up(self, text):
        """What the recording did between two invocations."""
        if text.startswith("cp "):
            shutil.copy(os.path.join(self.local, "a.txt"), os.path.join(self.local, "mv.txt"))
        elif "/t/seq" in text:
            path = os.path.join(self.local, "seq")
            with open(path, "wb") as f:
                f.write(b"\0" * 203)                # a file of the same length: only its size is looked at
            self.run(["-put", path, "/t/seq"])
        elif text.startswith("overwrite 4 bytes"):
            self.spoil_first_block()
        elif "reportBadBlocks" in text:
            self.wait_for_three_corrupt("/t/bad")

    def wait_for_three_corrupt(self, path):
        """What a reader found stands in the roster as a suspicion until the DataNode has looked at its replica; lists and
        counts follow the roster a moment later."""
        end = time.monotonic() + 60
        while (self.run(["fsck", path, "-files", "-blocks", "-replicaDetails"])[1].count(b"(CORRUPT)") < 3
               or path.encode() not in self.run(["fsck", "/", "-list-corruptfileblocks"])[1]):
            if time.monotonic() > end:
                raise SystemExit(f"the three replicas of the first block of {path} are not all known to be corrupt after 60 s")

    def spoil_first_block(self):
        _, out, _ = self.run(["-stat", "%b", "/t/bad"])
        for folder in self.cluster.data_dirs:
            found = []
            for top, _, names in os.walk(folder):
                for n in names:
                    path = os.path.join(top, n)
                    if n.startswith("blk_") and not n.endswith(".meta") and os.path.getsize(path) == 1024:
                        with open(path, "rb") as f:
                            if f.read(9) == b"line 0000":
                                found.append(path)
            for path in found:
                with open(path, "r+b") as f:
                    f.seek(10)
                    f.write(b"XXXX")

    def stand_in(self, entry):
        """Do by other means what a recorded success changed and we cannot, so that later invocations meet the same names."""
        argv = entry["argv"]
        if entry["exit"] == 0 and argv:
            self.do_stand_in(argv, entry)

    def do_stand_in(self, argv, entry):
        if argv[0] == "-appendToFile":
            dst = argv[-1]
            _, old, _ = self.run(["-cat", dst])
            for src in argv[1:-1]:
                if src == "-":
                    old += entry.get("stdin", "").encode()
                elif src != "-n":
                    with open(src.replace("@LOCAL@", self.local), "rb") as f:
                        old += f.read()
            self.run(["-put", "-f", "-", dst], stdin=old)
        elif argv[0] == "-truncate":
            _, old, _ = self.run(["-cat", argv[-1]])
            self.run(["-put", "-f", "-", argv[-1]], stdin=old[:int(argv[-2])])
        elif argv[0] == "-cp" and "/.snapshot/" in argv[1]:
            self.run(["-put", "-", argv[2]], stdin=b"hello\nworld\nline2\nhello\n")
        elif argv[0] == "-concat":
            whole = b"".join(self.run(["-cat", p])[1] for p in argv[1:])
            self.run(["-put", "-f", "-", argv[1]], stdin=whole)
            self.run(["-rm", "-skipTrash"] + argv[2:])

    def replace_all(self, text):
        for name, value in self.addresses.items():
            text = text.replace(name, value)
        return text

    def play(self, entry):
        """None when all is as recorded, else what differs."""
        argv = [self.replace_all(a) for a in entry["argv"]]
        squeeze = "-df" in argv
        exit_code, out, err = self.run(TOOLS[entry["tool"]] + argv, entry.get("user", "root"),
                                  (entry.get("stdin") or "").encode())
        out = out.decode(errors="replace")
        found = []
        if exit_code != entry["exit"]:
            found.append(f"exit {exit_code}, recorded {entry['exit']}")
        for what, ours, golden in (("stdout", out, entry["stdout"]), ("stderr", err, entry["stderr"])):
            if squeeze:
                ours = re.sub(" +", " ", ours)
            if not re.fullmatch(pattern_of(golden, self.addresses, squeeze), ours):
                lines = difflib.unified_diff(golden.splitlines(), ours.splitlines(), f"recorded {what}", f"our {what}", "", "", 0, "")
                found.append("\n".join(list(lines)[:12]))
        if found:
            self.stand_in(entry)
        return found or None


def read_differences():
    """Number of an invocation, or a whole command, to the reason why it differs; the numbers that are not played at all."""
    by_number, by_command, skipped = {}, {}, set()
    with open(DIFFERENCES) as f:
        for line in f:
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            key, reason = line.split(None, 1)
            if key[0] == "!":
                skipped.add(int(key[1:]))
            elif key[0].isdigit():
                for part in key.split(","):
                    low, _, high = part.partition("-")
                    for n in range(int(low), int(high or low) + 1):
                        by_number[n] = reason
            else:
                by_command[key] = reason
    return by_number, by_command, skipped


def command_of(entry):
    name = next((a for a in entry["argv"] if not a.startswith("-D") and a != "-fs" and not a.startswith("hdfs:")), "")
    return f"{entry['tool']}{name if name.startswith('-') else ''}"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bin", default=os.environ.get("BIN", os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "bin")))
    p.add_argument("--verbose", action="store_true", help="show every difference, known ones too")
    p.add_argument("--only", help="show only these invocations")
    options = p.parse_args()
    by_number, by_command, skipped = read_differences()
    only = {int(n) for n in options.only.split(",")} if options.only else None
    folder = tempfile.mkdtemp(prefix="millrace-golden-")
    os.chmod(folder, 0o755)
    local = os.path.join(folder, "local")
    os.mkdir(local)
    cluster = Cluster(os.path.abspath(options.bin), folder)
    same, total, unknown, healed = collections.Counter(), collections.Counter(), [], []
    try:
        player = Player(options, cluster.start(), local)
        player.make_local_files()
        with gzip.open(GOLDEN, "rt") as f:
            entries = [json.loads(line) for line in f]
        began, n = time.monotonic(), 0
        for entry in entries:
            if "setup" in entry:
                player.set_up(entry["setup"])
            if "argv" not in entry:
                continue
            n += 1
            command = command_of(entry)
            if entry["tool"] not in TOOLS:
                continue
            if command in by_command or n in skipped:
                player.stand_in(entry)
                continue
            total[command] += 1
            found = player.play(entry)
            if found is None:
                same[command] += 1
                if n in by_number:
                    healed.append(n)
            elif n not in by_number:
                unknown.append(n)
            show = found and (n in only if only else options.verbose or n not in by_number)
            if show:
                print(f"{n}: {entry['tool']} {' '.join(map(repr, entry['argv']))} (user {entry.get('user', 'root')})")
                for text in found:
                    print("    " + text.replace("\n", "\n    "))
        print(f"{sum(same.values())} of {sum(total.values())} invocations are as recorded, {time.monotonic() - began:.1f} s")
        print("  " + ", ".join(f"{c} {same[c]}/{total[c]}" for c in sorted(total)))
        if healed:
            print(f"listed as different but the same now: {healed}")
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if unknown:
        print(f"FAILED: {len(unknown)} differences that are not listed: {unknown}")
    passed = sum(same.values())
    print(f"test_golden_shell: {passed} passed, {len(unknown)} failed, {sum(total.values()) - passed - len(unknown)} skipped")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
