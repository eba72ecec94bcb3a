"""measure -- run contestants in turn, take their figures, print a table.

A contestant is anything with a name, run() -> Sample and result() -> bytes or None. What counts is the wall time of
run(), or the figures that it puts into `extra` itself.
"""
import json
import os
import statistics
import subprocess
import threading
import time


class Sample:
    """One run: seconds of wall and CPU, peak resident bytes, bytes moved, and a row's own figures."""

    def __init__(self, wall, cpu=None, rss=None, moved=None, extra=None):
        self.wall, self.cpu, self.rss, self.moved, self.extra = wall, cpu, rss, moved, extra or {}

    def as_dict(self):
        return {"wall": self.wall, "cpu": self.cpu, "rss": self.rss, "moved": self.moved, **self.extra}


class Command:
    """A contestant that is one command; its output file, normalised, is its result. Words "NAME SECONDS" that it
    prints, one pair a line, become figures."""

    def __init__(self, name, args, output=None, normal=None, env=None, before=None):
        self.name, self.args, self.output, self.normal = name, args, output, normal or (lambda data: data)
        self.env, self.before = env, before

    def run(self):
        if self.output and os.path.isfile(self.output):
            os.unlink(self.output)
        if self.before:
            self.before()
        worked, began = machine_cpu(), time.monotonic()
        child = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=dict(os.environ, **(self.env or {})))
        peak = Peak(lambda: tree(child.pid)).start()
        out, err = child.communicate()
        wall = time.monotonic() - began
        rss = peak.stop()
        cpu = machine_cpu() - worked
        if child.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, self.args))}: exit {child.returncode}\n{err[-3000:]}")
        return Sample(wall, cpu, rss, extra=figures(out))

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


def tree(root):
    """root and everything below it."""
    kids, out, left = children(), [], [root]
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
    """The largest sum of the resident memory that processes do not share (looked at every 50 ms)."""

    def __init__(self, pids):
        self.pids, self.peak, self.ended = pids, 0, threading.Event()

    def start(self):
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self):
        while not self.ended.wait(0.05):
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


def in_turn(contestants, rounds, say=print):
    """Run A B C A B C ...; returns {name: [Sample]}. One that fails is left out, and said."""
    samples, out = {c.name: [] for c in contestants}, set()
    for i in range(rounds):
        for c in contestants:
            if c.name in out:
                continue
            try:
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
    lines = [f"| | {figure} | CPU s | peak RSS | moved | against ours |", "|---|---|---|---|---|---|"]
    for name, s in samples.items():
        v = middle(s, figure)
        if v is None:
            continue
        ratio = (base / v if more_is_better else v / base) if base else None
        lines.append(f"| {name} | {number(v)} | {number(middle(s, 'cpu'))} | {number(middle(s, 'rss'), 'bytes')} | "
                     f"{number(middle(s, 'moved'), 'bytes')} | {number(ratio)} |")
    return lines


def save(path, results):
    with open(path, "w") as f:
        json.dump(results, f, indent=1, sort_keys=True)
        f.write("\n")
