#!/usr/bin/env python3
"""Power cuts: NameNode and DataNodes on filesystems of their own that lose, under load, what was not synced.

    power_cuts.py [ROUNDS] [--fs ext4|xfs] [--seed N]       200 rounds of ext4

Each daemon's folder is an image mounted through a loop device. A round: clients work; the filesystems of all machines, or of
one, are shut down with FS_IOC_SHUTDOWN (NOLOGFLUSH: the journal is not written, dirty pages are gone); the daemons on them
end by SIGKILL; the images are unmounted, mounted (which replays their journals) and the daemons started. Everything that was
acknowledged must be there: names, closed files, hsynced bytes. Needs root and loop devices.
"""
import concurrent.futures
import contextlib
import ctypes
import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if "FAULTS_BIN" in os.environ:      # the clients' part of a load takes too long under sanitizers
    os.environ["BIN"] = os.environ["FAULTS_BIN"]
sys.path.insert(0, os.path.join(TOP, "tests", "cluster"))
sys.path.insert(0, os.path.join(TOP, "tests", "results"))

from harness import SLOW, Cluster, Failed, program, wait_for    # noqa: E402
from loads import Load, now                             # noqa: E402
from record import record                               # noqa: E402

FS_IOC_SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2
IMAGE_BYTES = 2 << 30       # sparse
SETTINGS = ["dfs.blocksize=1m", "dfs.namenode.fs-limits.min-block-size=64k", "dfs.heartbeat.interval=200ms",
            "millrace.namenode.dead-node-interval=5s", "dfs.namenode.redundancy.interval=200ms",
            "dfs.client.socket-timeout=5s"]
MKFS = {"ext4": ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1"], "xfs": ["mkfs.xfs", "-q", "-f"]}


def sh(*args, check=True):
    r = subprocess.run(args, capture_output=True, text=True)
    if check and r.returncode:
        raise Failed(f"{' '.join(args)}: {r.stderr}")
    return r


class Disk:
    """One image, mounted over a daemon's folder."""

    def __init__(self, folder, mount, kind):
        self.image, self.mount, self.kind = os.path.join(folder, os.path.basename(mount) + ".img"), mount, kind
        with open(self.image, "wb") as f:
            f.truncate(IMAGE_BYTES)
        sh(*MKFS[kind], self.image)
        fresh = mount + ".was"
        os.rename(mount, fresh)
        os.mkdir(mount)
        self.attach()
        for name in os.listdir(fresh):
            shutil.move(os.path.join(fresh, name), os.path.join(mount, name))
        os.rmdir(fresh)
        sh("sync", "-f", mount)

    def attach(self):
        sh("mount", "-t", self.kind, "-o", "loop", self.image, self.mount)

    def cut(self):
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(fd)

    def detach(self):
        wait_for(f"umount {self.mount}", lambda: sh("umount", self.mount, check=False).returncode == 0, 20)


def own_mounts():
    """From here on this process and its children have mounts of their own: nobody else's namespace keeps them busy."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x20000) != 0:         # CLONE_NEWNS
        raise Failed(f"unshare: {os.strerror(ctypes.get_errno())}")
    sh("mount", "--make-rprivate", "/")


def why_not(kind="ext4"):
    """Why power cuts cannot be made here; None when they can."""
    if os.geteuid() != 0:
        return "loop mounts need root"
    if shutil.which(MKFS[kind][0]) is None:
        return f"{MKFS[kind][0]} is not installed"
    folder = subprocess.run(["mktemp", "-d", "/tmp/millrace-loop-XXXXXX"], capture_output=True, text=True).stdout.strip()
    image, mount = os.path.join(folder, "image"), os.path.join(folder, "mount")
    os.mkdir(mount)
    with open(image, "wb") as f:
        f.truncate(400 << 20)
    try:
        sh(*MKFS[kind], image)
        sh("mount", "-t", kind, "-o", "loop", image, mount)
        sh("umount", mount)
    except Failed as e:
        return f"no loop mounts: {e}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


def hold(pid):
    """From here on pid says nothing more: a machine without power does not. A sync that runs while FS_IOC_SHUTDOWN does may
    return 0 although nothing was written (ext4, seen with a program of ten lines on a slow disk)."""
    os.kill(pid, signal.SIGSTOP)

    def silent():
        states = []
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat") as f:
                states.append(f.read().rpartition(")")[2].split()[0])
        return all(s in "TtDXZ" for s in states)     # in a call that waits for the disk it cannot answer either
    wait_for(f"process {pid} to stop", silent)


class Machines:
    nodes = 3

    def __init__(self, kind, seed):
        self.random, self.seed = random.Random(seed), seed
        self.cluster = Cluster(self.nodes, SETTINGS)
        self.disks, self.kind, self.rounds = {}, kind, 0

    def __enter__(self):
        try:
            self.cluster.start()
            self.cluster.stop()
            for name in ["nn"] + [f"dn{i + 1}" for i in range(self.nodes)]:
                self.disks[name] = Disk(self.cluster.folder, os.path.join(self.cluster.dir, name), self.kind)
            self.cluster.start()
            for i in range(self.nodes):         # their workers' namespaces would hold the mounts
                self.cluster.stop_daemon(f"tt{i + 1}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.cluster.stop()
        for disk in self.disks.values():
            sh("umount", disk.mount, check=False)
        self.cluster.remove()

    def start(self, name):
        r = subprocess.run([program("millrace"), "start", self.cluster.dir, name], capture_output=True, text=True,
                           timeout=90 * SLOW)
        if r.returncode:
            raise Failed(f"{name}: {r.stdout}{r.stderr}\n{self.cluster.log_tails()}")

    def cut(self, names):
        """All at the same time; then the machines come up again, and every DataNode registers where it has to."""
        back = [n for n in self.disks if n != "nn" and (n in names or "nn" in names)]
        registered = {n: self.cluster.log(n).count(" registered ") for n in back}
        pids = {n: m["pid"] for n, m in self.cluster.ps().items()}
        for name in names:
            hold(pids[name])
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(lambda n: self.disks[n].cut(), names))
            for name in names:
                with contextlib.suppress(ProcessLookupError, TypeError):    # it may have ended by itself
                    os.kill(pids[name], signal.SIGKILL)
            wait_for("daemons to be dead", lambda: all(not self.cluster.ps()[n]["pid"] for n in names))
            for name in names:
                self.disks[name].detach()
                self.disks[name].attach()
            list(pool.map(self.start, names))
        wait_for("DataNodes to register", lambda: all(self.cluster.log(n).count(" registered ") > registered[n] for n in back))

    def round(self):
        self.rounds += 1
        victims = self.random.choice([list(self.disks)] * 3 + [["nn"], [f"dn{self.random.randrange(1, self.nodes + 1)}"],
                                     ["nn", "dn1"], ["dn1", "dn2", "dn3"]])
        what = f"seed {self.seed}, round {self.rounds}, {'+'.join(victims)}"
        load = Load(self.cluster, f"load{self.rounds}", seed=self.seed + self.rounds).start()
        try:
            load.warm_up(self.random.randrange(20, 200))
            time.sleep(self.random.random() * 0.2)
            if len(victims) > 1:
                load.kill()                     # its machine has no power either
            when = now()
            self.cut(victims)
            self.cluster.dfs("admin", "-safemode", "wait")
            seconds = now() - when
            if len(victims) == 1:
                seconds = load.wait_service(when)
                load.stop()
            counts = load.verify("power")
        except Failed as e:
            raise Failed(f"{what}: {e}") from None
        finally:
            if load.process.poll() is None:
                load.kill()
        if self.rounds > 3:                     # not all is kept: the images are small
            self.cluster.dfs("rm", "-r", "-skipTrash", f"/load{self.rounds - 3}")
        return what, seconds, counts


def run(rounds, kind, seed, log=sys.stderr):
    """Figures of the row power-cut."""
    own_mounts()
    figures = {"rounds": 0, "lost": 0, "names": 0, "MB": 0, "seconds": 0.0}
    with Machines(kind, seed) as m:
        for _ in range(rounds):
            what, seconds, counts = m.round()
            figures["rounds"] += 1
            figures["names"] += counts["names"]
            figures["MB"] += counts["bytes"] >> 20
            figures["seconds"] = max(figures["seconds"], round(seconds, 2))
            print(f"{what}: {seconds:.2f} s, {counts['names']} names, {counts['open']} open, {counts['bytes']} bytes, 0 lost",
                  file=log, flush=True)
    return figures


def main(args):
    kind, seed, rounds = "ext4", int(time.time()), 200
    while args:
        if args[0] == "--fs":
            kind, args = args[1], args[2:]
        elif args[0] == "--seed":
            seed, args = int(args[1]), args[2:]
        else:
            rounds, args = int(args[0]), args[1:]
    reason = why_not(kind)
    if reason:
        sys.exit(f"power_cuts: {reason}")
    figures = run(rounds, kind, seed)
    record("power-cut" if kind == "ext4" else "power-cut-xfs", "tests/cluster/power_cuts.py", figures, long=rounds >= 100)
    print(f"power_cuts: {kind}, seed {seed}: {figures}")


if __name__ == "__main__":
    main(sys.argv[1:])
