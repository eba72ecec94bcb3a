"""rows_namenode -- calls a second of a NameNode, ours and Hadoop's, from one generator; and how soon one serves after a start."""
import getpass
import os
import re
import shutil
import signal
import subprocess
import time

from inputs import CACHE, TOP, scratch
from measure import Sample, Watch, cpu_of, figures

BUILD = os.path.join(TOP, "build")


def program(name):
    """A program of bench/ that is linked with the daemons' libraries."""
    subprocess.run(["make", "-s", "-C", BUILD, f"bench/{name}"], check=True)
    return os.path.join(BUILD, "bench", name)


def status(pid, field):
    """Bytes of a line of /proc/PID/status."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(rf"^{field}:\s*(\d+)", f.read(), re.M).group(1)) * 1024


class NameNode:
    """One NameNode of ours on a folder, without DataNodes."""

    def __init__(self, folder):
        self.folder, self.child = folder, None

    def start(self):
        self.log = scratch("namenode.log")
        with open(self.log, "w") as out:
            self.child = subprocess.Popen([os.path.join(BUILD, "bin", "namenode"), "--set", "dfs.namenode.name.dir=" + self.folder,
                                           "--set", "dfs.namenode.rpc-address=127.0.0.1:0",
                                           "--set", "dfs.namenode.http-address=127.0.0.1:0"], stdout=out, stderr=out)
        self.pid = self.child.pid
        return self

    def address(self):
        """As its log says; asked for every millisecond, which is part of what a start takes."""
        end = time.monotonic() + 300
        while time.monotonic() < end:
            with open(self.log) as f:
                found = re.search(r"namenode_serves rpc=(\S+) ", f.read())
            if found:
                return found.group(1)
            if self.child.poll() is not None:
                break
            time.sleep(0.001)
        with open(self.log) as f:
            raise RuntimeError("the NameNode does not serve: " + f.read()[-2000:])

    def stop(self, how=signal.SIGTERM):
        if self.child:
            self.child.send_signal(how)
            self.child.wait()
        self.child = None


class Load:
    """A contestant: the calls of bench/nn_load."""

    def __init__(self, name, address, pid, user, callers, seconds):
        self.name, self.address, self.pid, self.user, self.callers, self.seconds = name, address, pid, user, callers, seconds
        self.number = 0

    def run(self):
        self.number += 1
        watch = Watch([self.pid])
        r = subprocess.run([program("nn_load"), self.address, str(self.callers), str(self.seconds), f"/load{self.number}",
                            str(self.pid)], env={**os.environ, "HADOOP_USER_NAME": self.user}, capture_output=True, text=True)
        sample = watch.stop()
        if r.returncode:
            raise RuntimeError(f"{self.name}: {r.stdout}{r.stderr}")
        sample.extra = said = figures(r.stdout)
        for phase in ("create", "stat", "open", "rename", "delete"):    # what a noisy machine does not change
            said[phase + "_per_cpu_s"] = 1e6 / max(said[phase + "_cpu_us"], 0.1)
        return sample

    def result(self):
        return None


class Calls:
    figures = ("create", "stat", "open", "rename", "delete", "create_per_cpu_s", "stat_per_cpu_s", "open_per_cpu_s")
    more_is_better = True

    def __init__(self):
        self.ours = self.peer = None

    def equal(self, a, b):
        return a == b

    def contestants(self, o):
        seconds = max(1, int(5 * o.scale))
        folder = os.path.join(BUILD, f"bench-namenode-{os.getpid()}")
        shutil.rmtree(folder, ignore_errors=True)
        self.ours = NameNode(folder).start()
        all_of = [Load("millrace", self.ours.address(), self.ours.pid, getpass.getuser(), self.callers, seconds)]
        if not o.no_peers:
            import hadoop
            self.peer = hadoop.Hadoop(datanodes=0, heap="3g").start()
            all_of.append(Load("Hadoop", self.peer.namenode, self.peer.processes["namenode"].pid, hadoop.USER, self.callers,
                               seconds))
        for c in all_of:        # not counted: Java has compiled then, and pages have been touched
            c.run()
        return all_of

    def close(self):
        if self.ours:
            self.ours.stop()
            shutil.rmtree(self.ours.folder, ignore_errors=True)
        if self.peer:
            self.peer.stop()


class Calls64(Calls):
    name, callers = "namenode", 64
    what = "calls a second of a NameNode without DataNodes, 64 callers; what is acknowledged is on disk"


class Calls8(Calls):
    name, callers = "namenode8", 8
    what = "the same with 8 callers"


class Calls1(Calls):
    name, callers = "namenode1", 1
    what = "the same with 1 caller"


class Start:
    """A contestant: from the start of the process to its first answer. Its files are not in the page cache when `cold`."""

    def __init__(self, name, folder, path, cold):
        self.name, self.folder, self.path, self.cold = name, folder, path, cold

    def run(self):
        for entry in os.scandir(self.folder):
            fd = os.open(entry.path, os.O_RDONLY)
            os.fsync(fd)
            if self.cold:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            else:
                while os.read(fd, 1 << 20):
                    pass
            os.close(fd)
        began = time.monotonic()
        server = NameNode(self.folder).start()
        try:
            r = subprocess.run([program_first(), server.address(), self.path], capture_output=True, text=True,
                               env={**os.environ, "HADOOP_USER_NAME": getpass.getuser()})
            if r.returncode:
                raise RuntimeError(f"{self.name}: {r.stderr}")
            said, rss = figures(r.stdout), status(server.pid, "VmHWM")
            time.sleep(5)       # what it does behind the answers
            sample = Sample(said["answered"] - began, cpu_of([server.pid]), status(server.pid, "VmHWM"),
                            extra={"then_us": said["then_us"], "rss_at_answer_mb": rss / 1e6})
        finally:
            server.stop(signal.SIGKILL)
        return sample

    def result(self):
        return None


FIRST = []


def program_first():
    if not FIRST:
        FIRST.append(program("nn_first"))
    return FIRST[0]


class Restart:
    figures, more_is_better = ("wall", "then_us", "rss_at_answer_mb"), False

    def equal(self, a, b):
        return a == b

    def contestants(self, o):
        files = max(1000, int(self.files * o.scale))
        folder = os.path.join(CACHE, f"nn-{files}")
        if not os.path.exists(folder):
            os.makedirs(CACHE, exist_ok=True)
            shutil.rmtree(folder + ".part", ignore_errors=True)
            subprocess.run([program("nn_fill"), folder + ".part", str(files)], check=True, stderr=subprocess.DEVNULL)
            os.rename(folder + ".part", folder)
        program_first()
        path = f"/fill/d{files // 2000}/f{files // 2000 * 1000}"
        return [Start("millrace", folder, path, False), Start("millrace, cold files", folder, path, True)]

    def close(self):
        pass


class Restart1(Restart):
    name, files = "restart", 1_000_000
    what = "from the start of a NameNode with 1 M files to its first answer"


class Restart10(Restart):
    name, files = "restart10m", 10_000_000
    what = "the same with 10 M files"


ROWS = [Calls64, Calls8, Calls1, Restart1, Restart10]
