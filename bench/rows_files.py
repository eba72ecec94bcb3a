"""rows_files -- the filesystem beside HDFS, beside plain system calls, and how fast a cluster is there.

Each row has three DataNodes, ours and Hadoop's. What HDFS says is stored is in the page cache, not on the disk
(dfs.datanode.synconclose is off, its default), but for the contestant that has it on; ours is on the disk. get leaves
out the local copy: it ends in /dev/null.
"""
import hashlib
import os
import re
import shutil
import subprocess
import time

import hadoop
import inputs
import moosefs
from cluster import Measured, program
from measure import Command, Sample, machine_cpu


class Ours:
    """A contestant: one of our commands on a cluster, from the shell to the prompt; figures of a pattern in what it prints."""

    def __init__(self, name, cluster, words, content=None, figures=None):
        self.name, self.cluster, self.words, self.content, self.figures = name, cluster, words, content, figures or {}

    def run(self):
        worked, began = machine_cpu(), time.monotonic()
        r = subprocess.run([program(self.words[0]), *self.words[1:]], env=self.cluster.env(), text=True,
                           stdout=subprocess.PIPE if self.figures else subprocess.DEVNULL, stderr=subprocess.PIPE)
        wall, cpu = time.monotonic() - began, machine_cpu() - worked
        if r.returncode:
            raise RuntimeError(f"{self.name}: {r.stderr[-2000:]}")
        return Sample(wall, cpu, extra={k: float(re.search(p, r.stdout).group(1)) for k, p in self.figures.items()})

    def result(self):
        return self.content() if self.content else None


class Theirs(Command):
    """A command on Hadoop, or a floor; content() is what it has made. wall is `seconds` that it says, if it says any."""

    def __init__(self, name, words, env=None, content=None, before=None):
        super().__init__(name, words, env=env, before=before)
        self.content = content

    def run(self):
        s = super().run()
        s.wall = s.extra.pop("seconds", s.wall)
        return s

    def result(self):
        return self.content() if self.content else None


def digest(words, env=None):
    """MD5 of what a command prints."""
    md5 = hashlib.md5()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env) as p:
        while piece := p.stdout.read(1 << 20):
            md5.update(piece)
    return md5.hexdigest() if p.returncode == 0 else f"{words[0]} failed"


class Row:
    figures, more_is_better, replicas = ("wall",), False, 1

    def __init__(self):
        self.cluster = self.hadoop = self.durable = None
        self.others = []

    def equal(self, a, b):
        return a == b

    def source(self, options):
        path = inputs.made("text", max(1, int(2_000_000_000 * options.scale)))
        inputs.warm(path)
        return path

    def start(self, options):
        self.cluster = Measured(3, [f"dfs.replication={self.replicas}"]).start()
        self.hadoop = None if options.no_peers else hadoop.Hadoop(3, self.replicas)
        if self.hadoop:
            self.hadoop.start()

    def ours(self, name, *words, path=None, figures=None):
        return Ours(name, self.cluster, words, (lambda: digest([program("dfs"), "cat", path], self.cluster.env())) if path else None,
                    figures)

    def theirs(self, name, words, path=None, on=None):
        h = on or self.hadoop
        return Theirs(name, words, h.env, (lambda: digest(h.shell("-cat", path), {**os.environ, **h.env})) if path else None)

    def close(self):
        for h in filter(None, (self.hadoop, self.durable)):
            h.stop()
        for c in self.others:
            c.fs.stop()
        if self.cluster:
            self.cluster.close()


class Put(Row):
    name, what = "put", "put 2 GB, one replica"

    def contestants(self, o):
        source = self.source(o)
        self.start(o)
        copies = [inputs.scratch(f"copy-{i}") for i in range(self.replicas)]
        all_of = [self.ours("millrace", "dfs", "put", "-f", source, "/x", path="/x"),
                  Theirs("floor: write, fdatasync", [inputs.floor("files"), "put", source, *copies],
                         content=lambda: digest(["cat", copies[0]]))]
        if self.hadoop:
            all_of += [self.theirs("HDFS shell", self.hadoop.shell("-put", "-f", source, "/x"), "/x"),
                       self.theirs("HDFS Java client", self.hadoop.java("Files", "put", source, "/y"), "/y")]
            self.durable = h = hadoop.Hadoop(3, self.replicas, settings={"dfs.datanode.synconclose": "true"}).start()
            all_of += [self.theirs("HDFS shell, synconclose", h.shell("-put", "-f", source, "/x"), "/x", on=h)]
        return all_of


class Put3(Put):
    name, what, replicas = "put3", "put 2 GB, three replicas", 3


class Get(Row):
    name, what, options = "get", "get 2 GB, reader on the machine of the replica", ()
    floor, floor_name = "read", "floor: read"

    def contestants(self, o):
        source = self.source(o)
        self.start(o)
        self.cluster.put(source, "/d/x")
        words = ["dfs", *self.options, "cat", "/d/x"]
        all_of = [self.ours("millrace", *words, path="/d/x"),
                  Theirs(self.floor_name, [inputs.floor("files"), self.floor, source], content=lambda: digest(["cat", source]))]
        if self.hadoop:
            self.hadoop.dfs("-put", source, "/x")
            all_of += [self.theirs("HDFS shell", self.hadoop.shell("-cat", "/x"), "/x"),
                       self.theirs("HDFS Java client", self.hadoop.java("Files", "get", "/x"))]
            for c in all_of[2:3]:
                c.args = ["sh", "-c", 'exec "$@" > /dev/null', "sh", *c.args]
        return all_of


class GetRemote(Get):
    name, what = "getremote", "get 2 GB over TCP, as from another machine"
    options, floor, floor_name = ("-D", "dfs.client.read.shortcircuit=false"), "tcp", "floor: TCP"


class OnMooseFS(Theirs):
    """The floor's program on a mounted MooseFS, which is started for the first round."""

    def __init__(self, name, syncs, words):
        self.fs = moosefs.MooseFS(syncs)
        super().__init__(name, words(os.path.join(self.fs.folder, "small")), before=self.begin)

    def begin(self):
        if not self.fs.processes:
            self.fs.start()
        shutil.rmtree(os.path.join(self.fs.folder, "small"), ignore_errors=True)


class SmallFiles(Row):
    name, what, replicas = "smallfiles", "files of 4 KB a second, 8 writers, three replicas", 3
    figures, more_is_better = ("files_s",), True

    def contestants(self, o):
        self.start(o)
        n, folder = max(80, int(10000 * o.scale)), inputs.scratch("small")
        shutil.rmtree(folder, ignore_errors=True)
        all_of = [self.ours("millrace", "dfs", "bench", "-json", "-t", "8", "-files", str(n), "small",
                            figures={"files_s": r'"put".*"per_second": ([0-9.]+)'}),
                  Theirs("floor: three durable files", [inputs.floor("files"), "small", folder, "8", str(n), "4096", "3"],
                         before=lambda: shutil.rmtree(folder, ignore_errors=True))]
        if self.hadoop:
            all_of.append(self.theirs("HDFS Java client", self.hadoop.java("Files", "small", "/s", 8, max(80, n // 20), 4096)))
            self.others = [OnMooseFS(name, syncs, lambda where: [inputs.floor("files"), "small", where, "8", str(max(80, n // 5)),
                                                                   "4096", "1"])
                           for name, syncs in (("MooseFS", False), ("MooseFS, syncs later", True))]
            all_of += self.others
        return all_of


class Ls(Row):
    name, what = "ls", "dfs ls / from the shell"

    def contestants(self, o):
        self.start(o)
        self.cluster.dfs("mkdir", "/d")
        return [self.ours("millrace", "dfs", "ls", "/")] + \
            ([self.theirs("HDFS shell", self.hadoop.shell("-ls", "/"))] if self.hadoop else [])


class Cold:
    """A contestant: a new cluster, from nothing to ready, and to the result of a word count (first_result)."""
    name = "millrace"

    def __init__(self, text):
        self.text = text

    def run(self):
        began = time.monotonic()
        c = Measured(3).start()
        try:
            ready = time.monotonic() - began
            c.dfs("put", self.text, "/text")
            c.mr("run", os.path.join(os.path.dirname(program("dfs")), "..", "jobs", "wordcount.so"), "-input", "/text", "-output", "/o")
            self.counted = c.dfs("cat", "/o/part-*").stdout
            return Sample(ready, extra={"first_result": time.monotonic() - began})
        finally:
            c.close()

    def result(self):
        return sorted(self.counted.splitlines())


class ColdHadoop(Cold):
    name = "Hadoop, local jobs"

    def run(self):
        began = time.monotonic()
        with hadoop.Hadoop(3, 1) as h:
            ready = time.monotonic() - began
            h.dfs("-put", self.text, "/text")
            subprocess.run(h.examples("wordcount", "/text", "/o"), env={**os.environ, **h.env}, check=True, capture_output=True)
            self.counted = h.dfs("-cat", "/o/part-*").decode()
            return Sample(ready, extra={"first_result": time.monotonic() - began})


class Start(Row):
    name, what = "start", "a new cluster of three nodes: ready; first result of a small job"
    figures = ("wall", "first_result")

    def contestants(self, o):
        text = inputs.made("text", 100_000)
        return [Cold(text)] + ([] if o.no_peers else [ColdHadoop(text)])


ROWS = [Put, Put3, Get, GetRemote, SmallFiles, Ls, Start]
