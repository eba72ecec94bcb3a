"""measure -- run contestants in turn, take their figures, print a table.

A contestant is anything with a name, run() -> Sample and result() -> bytes or None. What counts is the wall time of
run(), or the figures that it puts into `extra` itself.
"""
import json
import mmap
import os
import statistics
import subprocess
import threading
import time


class Sample:
    """One run: seconds of wall and CPU, peak resident bytes, bytes that the disk and the network moved, those that a job
    says it read and wrote (`moved`), and a row's own figures."""

    def __init__(self, wall, cpu=None, rss=None, disk=None, net=None, moved=None, extra=None):
        self.wall, self.cpu, self.rss, self.disk, self.net, self.moved = wall, cpu, rss, disk, net, moved
        self.extra = extra or {}

    def as_dict(self):
        return {"wall": self.wall, "cpu": self.cpu, "rss": self.rss, "disk": self.disk, "net": self.net, "moved": self.moved,
                **self.extra}


class Watch:
    """What the machine does from here on, and the memory of the processes in `roots` and of all below. Looking at that takes
    a hundredth of a processor; not with None."""

    def __init__(self, roots=()):
        self.roots = None if roots is None else list(roots)
        self.peak = None if roots is None else Peak(lambda: tree(*self.roots)).start()
        self.worked, self.disk, self.net, self.began = machine_cpu(), disk_bytes(), net_bytes(), time.monotonic()

    def stop(self):
        """The Sample so far. What the disk has yet to write counts as moved, but its time is not in the wall."""
        s = Sample(time.monotonic() - self.began, machine_cpu() - self.worked, net=net_bytes() - self.net)
        s.rss = self.peak.stop() if self.peak else None
        os.sync()
        s.disk = disk_bytes() - self.disk
        return s


class Command:
    """A contestant that is one command; its output file, normalised, is its result. Words "NAME SECONDS" that it
    prints, one pair a line, become figures."""

    def __init__(self, name, args, output=None, normal=None, env=None, before=None, daemons=None):
        self.name, self.args, self.output, self.normal = name, args, output, normal or (lambda data: data)
        self.env, self.before, self.daemons = env, before, daemons or (lambda: [])

    def run(self):
        if self.output and os.path.isfile(self.output):
            os.unlink(self.output)
        if self.before:
            self.before()
        watch = Watch(self.daemons())
        child = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=dict(os.environ, **(self.env or {})))
        watch.roots.append(child.pid)
        out, err = child.communicate()
        sample = watch.stop()
        if child.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, self.args))}: exit {child.returncode}\n{err[-3000:]}")
        sample.extra = figures(out)
        return sample

    def result(self):
        if not self.output:
            return None
        with open(self.output, "rb") as f:
            return self.normal(f.read())


def figures(text):
    """{"epoch": 0.1} of lines "epoch 0.1"; other lines are left out."""
    out = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2:
            try:
                out[words[0]] = float(words[1])
            except ValueError:
                pass
    return out


def children():
    """{parent: [pid]} of the whole machine."""
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                out.setdefault(int(f.read().rpartition(")")[2].split()[1]), []).append(int(pid))
        except OSError:
            pass
    return out


def tree(*roots):
    """These processes and all below them."""
    kids, out, left = children(), [], list(roots)
    while left:
        pid = left.pop()
        out.append(pid)
        left += kids.get(pid, [])
    return out


def machine_cpu():
    """Seconds that this machine's processors have worked since it started, for whom and for what ever. A contestant's CPU
    is the difference over its run: daemons, workers and JVMs that have ended, and the kernel's threads, are all in it."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq = map(int, f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def disk_bytes():
    """Bytes that this machine's disks have read and written since it started."""
    sectors = 0
    for name in os.listdir("/sys/block"):
        if not name.startswith(("loop", "ram", "zram", "dm-", "md")):      # they are made of others, or of memory
            with open(f"/sys/block/{name}/stat") as f:
                words = f.read().split()
            sectors += int(words[2]) + int(words[6])
    return sectors * 512


def net_bytes():
    """Bytes that this machine's interfaces have sent, loopback as well."""
    with open("/proc/net/dev") as f:
        return sum(int(line.rpartition(":")[2].split()[8]) for line in f.readlines()[2:])


def cpu_of(pids):
    """Seconds of CPU of these processes and of their children that have ended."""
    ticks = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                ticks += sum(map(int, f.read().rpartition(")")[2].split()[11:15]))
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


class Peak:
    """The largest sum of the resident memory that processes do not share (looked at every 100 ms)."""

    def __init__(self, pids):
        self.pids, self.peak, self.ended = pids, 0, threading.Event()

    def start(self):
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self):
        while not self.ended.wait(0.1):
            total = 0
            for pid in self.pids():
                try:
                    with open(f"/proc/{pid}/statm") as f:
                        words = f.read().split()
                    total += (int(words[1]) - int(words[2])) * os.sysconf("SC_PAGE_SIZE")
                except OSError:
                    pass
            self.peak = max(self.peak, total)

    def stop(self):
        self.ended.set()
        self.thread.join()
        return self.peak


def settle(seconds=60):
    """Wait until what the last contestant left behind is on the disk and the processors have next to nothing to do. Then touch
    the free memory: a virtual machine's host takes back what has been free for seconds, and gives it again at 1 GB/s, so
    that whoever frees memory and takes the same again would seem faster than whoever takes what others have freed."""
    os.sync()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        worked = machine_cpu()
        time.sleep(0.5)
        if machine_cpu() - worked < 0.1:
            break
    touch_free_memory()


def touch_free_memory(most=8 << 30, leave=512 << 20):
    with open("/proc/meminfo") as f:
        free = next(int(line.split()[1]) for line in f if line.startswith("MemFree:")) * 1024
    pieces = min(most, free - leave) >> 20
    if pieces > 0:
        with mmap.mmap(-1, pieces << 20) as m:
            zeros = bytes(1 << 20)
            for _ in range(pieces):
                m.write(zeros)


def in_turn(contestants, rounds, say=print):
    """Run A B C A B C ...; returns {name: [Sample]}. One that fails is left out, and said."""
    samples, out = {c.name: [] for c in contestants}, set()
    for i in range(rounds):
        for c in contestants:
            if c.name in out:
                continue
            try:
                settle()
                samples[c.name].append(c.run())
                say(f"    {c.name}: {describe(samples[c.name][-1])}")
            except (RuntimeError, subprocess.SubprocessError, OSError) as e:
                say(f"    {c.name}: LEFT OUT: {e}")
                out.add(c.name)
    return {name: s for name, s in samples.items() if name not in out}


def describe(s):
    return " ".join(f"{k}={v:.4g}" for k, v in s.as_dict().items() if v is not None)


def middle(samples, figure):
    values = [s.as_dict().get(figure) for s in samples]
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def number(v, unit=""):
    if v is None:
        return ""
    if unit == "bytes":
        return f"{v / 1e6:,.0f} MB"
    return f"{v:.3g}" if v < 1000 else f"{v:,.0f}"


def table(samples, figure, ours="millrace", more_is_better=False):
    """The row's table as Markdown lines: medians, ratio to ours."""
    base = middle(samples.get(ours, []), figure)
    lines = [f"| | {figure} | CPU s | peak RSS | disk | network | moved | against ours |", "|---|---|---|---|---|---|---|---|"]
    for name, s in samples.items():
        v = middle(s, figure)
        if v is None:
            continue
        ratio = (base / v if more_is_better else v / base) if base else None
        moved = " | ".join(number(middle(s, what), "bytes") for what in ("rss", "disk", "net", "moved"))
        lines.append(f"| {name} | {number(v)} | {number(middle(s, 'cpu'))} | {moved} | {number(ratio)} |")
    return lines


def save(path, results):
    with open(path, "w") as f:
        json.dump(results, f, indent=1, sort_keys=True)
        f.write("\n")
