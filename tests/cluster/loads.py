"""loads -- the program `load` (load.h) under a cluster: started, stopped, compared, and what its journal says of gaps."""
import json
import os
import subprocess
import time

from harness import BIN, SLOW, Failed, wait_for

PROGRAM = os.path.join(os.path.dirname(BIN), "load")
LOST = ("lost_names", "lost_bytes", "risen", "wrong", "unreadable")


class Line:
    __slots__ = ("worker", "kind", "op", "began", "ended", "text")

    def __init__(self, text):
        words = text.split()
        self.worker, self.kind = int(words[0]), words[1]
        self.text = text.strip()
        self.op = words[2]
        self.began = self.ended = None
        if self.kind in "+!":
            self.began, self.ended = int(words[3]) / 1000, int(words[4]) / 1000


class Load:
    """One run: a folder of its own in the filesystem and a journal."""

    def __init__(self, cluster, name, **numbers):
        self.cluster, self.dir = cluster, "/" + name
        self.journal = os.path.join(cluster.folder, name + ".journal")
        self.args = [f"{k}={v}" for k, v in numbers.items()]
        self.prefix = getattr(cluster, "prefix", [])    # what puts a command on another host
        self.process = None

    def start(self):
        cluster = self.cluster
        self.process = subprocess.Popen(self.prefix + [PROGRAM, "run", self.dir, self.journal] + self.args, stdin=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=cluster.env())
        return self

    def lines(self):
        with open(self.journal) as f:
            return [Line(x) for x in f if x.endswith("\n")]

    def done(self):
        """Operations that succeeded so far."""
        try:
            with open(self.journal) as f:
                return sum(1 for x in f if " + " in x)
        except FileNotFoundError:
            return 0

    def warm_up(self, operations=100):
        wait_for("the load to work", lambda: self.done() >= operations or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise Failed(f"load ended: {self.process.stderr.read()}")

    def stop(self, timeout=60):
        """Let every worker end its turn. Wrong bytes that a reader saw fail here."""
        try:
            _, error = self.process.communicate(timeout=timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise Failed(f"load hangs\n{self.cluster.log_tails()}") from None
        if self.process.returncode:
            wrong = "\n".join(x.text for x in self.lines() if x.kind == "X")
            raise Failed(f"load: exit {self.process.returncode}\n{wrong}\n{error}")

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def errors(self):
        """Operations that failed."""
        return [x.text for x in self.lines() if x.kind == "!"]

    def verify(self, *how):
        """Compare; the counts. Whatever is lost fails."""
        r = subprocess.run(self.prefix + [PROGRAM, "verify", self.journal] + list(how), capture_output=True, text=True,
                           env=self.cluster.env(), timeout=300 * SLOW)
        if r.returncode not in (0, 1) or not r.stdout:
            raise Failed(f"load verify: {r.stdout}{r.stderr}")
        counts = json.loads(r.stdout)
        if r.returncode or any(counts[k] for k in LOST):
            raise Failed(f"{self.dir}: {counts}\n{r.stderr}\n{self.cluster.log_tails()}")
        return counts

    def service_after(self, when, ops):
        """Seconds from `when` until an operation of ops that began after it succeeded; None: none has yet."""
        good = [x.ended for x in self.lines() if x.kind == "+" and x.op in ops and x.began >= when]
        return min(good) - when if good else None

    def wait_service(self, when, ops="CG", seconds=40):
        """The same for each of ops; the longest."""
        return max(wait_for(f"{self.dir}: {op} to succeed again", lambda op=op: self.service_after(when, op), seconds)
                   for op in ops)


    def longest_wait(self, when, ops="MCAHSZRDG"):
        """Seconds that the longest of the operations took from `when` on that were under way then."""
        return max([x.ended - when for x in self.lines() if x.kind == "+" and x.op in ops and x.began < when < x.ended] or [0])


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC)
