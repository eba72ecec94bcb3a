"""rows_files -- the filesystem beside HDFS, beside plain system calls, and how fast a cluster is there.

Each row has three DataNodes, ours and Hadoop's. What HDFS says is stored is in the page cache, not on the disk
(dfs.datanode.synconclose is off, its default), but for the contestant that has it on; ours is on the disk. get leaves
out the local copy: it ends in /dev/null.
"""
import hashlib
import os
import shutil
import subprocess
import time

import hadoop
import inputs
import moosefs
from cluster import Measured, program
from measure import Command, Sample, Watch


class Ours:
    """A contestant: one of our commands on a cluster, from the shell to the prompt."""

    def __init__(self, name, cluster, words, content=None):
        self.name, self.cluster, self.words, self.content = name, cluster, words, content

    def run(self):
        watch = Watch(self.cluster.daemons())
        r = subprocess.run([program(self.words[0]), *self.words[1:]], env=self.cluster.env(), text=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        sample = watch.stop()
        if r.returncode:
            raise RuntimeError(f"{self.name}: {r.stderr[-2000:]}")
        return sample

    def result(self):
        return self.content() if self.content else None


class Theirs(Command):
    """A command on Hadoop, or a floor; content() is what it has made. wall is `seconds` that it says, if it says any."""

    def __init__(self, name, words, env=None, content=None, before=None, daemons=None):
        super().__init__(name, words, env=env, before=before, daemons=daemons)
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

    def ours(self, name, *words, path=None):
        return Ours(name, self.cluster, words, (lambda: digest([program("dfs"), "cat", path], self.cluster.env())) if path else None)

    def theirs(self, name, words, path=None, on=None):
        h = on or self.hadoop
        return Theirs(name, words, h.env, (lambda: digest(h.shell("-cat", path), {**os.environ, **h.env})) if path else None,
                      daemons=h.pids)

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


class PutSmall(Ours):
    """A contestant: a directory of small files put into a new one by 8 threads, from the shell to the prompt."""

    def __init__(self, name, cluster, source, files):
        super().__init__(name, cluster, ["dfs", "put", "-d", "-t", "8", source, "/"])
        self.source, self.files, self.number = source, files, 0

    def run(self):
        self.number += 1
        self.words[-1] = f"/small{self.number}"
        sample = super().run()
        sample.extra["files_s"] = self.files / sample.wall
        return sample

    def result(self):
        """There is nothing to compare with but what was put."""
        put = hashlib.md5()
        for name in sorted(os.listdir(self.source)):
            with open(os.path.join(self.source, name), "rb") as f:
                put.update(f.read())
        if digest([program("dfs"), "cat", self.words[-1] + "/*"], self.cluster.env()) != put.hexdigest():
            raise RuntimeError(f"{self.name}: what dfs cat reads of {self.words[-1]} is not what was put")
        return None


class WriteSmall(Theirs):
    """A contestant: the floor's program, in a new directory each time."""

    def __init__(self, name, folder, files, copies, daemons=None):
        super().__init__(name, [], daemons=daemons)
        self.folder, self.files, self.copies, self.number = folder, files, copies, 0

    def run(self):
        self.number += 1
        self.args = [inputs.floor("files"), "small", os.path.join(self.folder, f"small{self.number}"), "8", str(self.files), "4096",
                     str(self.copies)]
        return super().run()


class OnMooseFS(WriteSmall):
    """The same on a mounted MooseFS, which is started for the first round."""

    def __init__(self, name, syncs, files):
        self.fs = moosefs.MooseFS(syncs)
        super().__init__(name, self.fs.folder, files, 1, self.fs.pids)

    def run(self):
        if not self.fs.processes:
            self.fs.start()
        return super().run()


class SmallFiles(Row):
    """For six minutes a create on an ext4 without a journal looks at each inode that was deleted near by, whoever did: so
    nothing is deleted before the end, and what was deleted before is waited for."""
    name, what, replicas = "smallfiles", "files of 4 KB a second, 8 writers, three replicas", 3
    figures, more_is_better = ("files_s",), True

    def contestants(self, o):
        self.folder = inputs.scratch(f"small-{os.getpid()}")
        self.start(o)
        n = max(80, int(10000 * o.scale))
        source = os.path.join(self.folder, "source")
        os.makedirs(source)
        for i in range(n):
            with open(os.path.join(source, f"f{i}"), "wb") as f:
                f.write(i.to_bytes(8, "little") * 512)
        print("    waiting until the disk has forgotten what was deleted", flush=True)
        time.sleep(400 * min(1, o.scale))
        all_of = [PutSmall("millrace", self.cluster, source, n), WriteSmall("floor: three durable files", self.folder, n, 3)]
        if self.hadoop:
            all_of.append(self.theirs("HDFS Java client", self.hadoop.java("Files", "small", "/s", 8, max(80, n // 20), 4096)))
            self.others = [OnMooseFS("MooseFS", False, n), OnMooseFS("MooseFS, syncs later", True, n)]
            all_of += self.others
        return all_of

    def close(self):
        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)


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
