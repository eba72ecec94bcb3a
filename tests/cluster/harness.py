"""harness -- a real cluster for a test: daemons as processes, driven by the commands that people use.

    class Put(ClusterTest):
        nodes = 3
        def test_small_file_comes_back(self): self.dfs("put", ...)

BIN in the environment is the folder of the programs (default build/bin). One cluster a test class; {dir} in a setting
is the folder of its daemons.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("BIN", os.path.join(TOP, "build", "bin"))
JOBS = os.path.join(os.path.dirname(BIN), "jobs")
SLOW = float(os.environ.get("SLOW", "1"))     # how much longer to wait for events (sanitizers)


class Failed(AssertionError):
    pass


def program(name):
    return os.path.join(BIN, name)


def wait_for(what, condition, seconds=30):
    """Wait until condition() is true; its last value is returned. Fails with `what` after the time."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {seconds * SLOW:.0f} s for: {what}")
        time.sleep(0.02)


class Cluster:
    def __init__(self, nodes=3, settings=(), folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix="millrace-test-")
        os.chmod(self.folder, 0o755)
        self.dir = os.path.join(self.folder, "c")
        self.nodes, self.settings = nodes, [s.replace("{dir}", self.dir) for s in settings]

    def start(self):
        args = [program("millrace"), "mini", self.dir, "--nodes", str(self.nodes), "--detach"]
        for s in self.settings:
            args += ["-D", s]
        r = subprocess.run(args, capture_output=True, text=True, timeout=120 * SLOW)
        if r.returncode:
            raise Failed(f"mini: {r.stdout}{r.stderr}\n{self.log_tails()}")
        self.started = r.stdout
        return self

    def env(self, user=None):
        e = dict(os.environ)
        e["PATH"] = BIN + ":" + e["PATH"]
        e["MILLRACE_CONF"] = os.path.join(self.dir, "conf", "millrace.conf")
        if user:
            e["HADOOP_USER_NAME"] = user
        return e

    def run(self, *args, check=True, stdin=None, user=None, timeout=120, binary=False):
        """A command of ours. Returns the completed process."""
        args = [program(args[0])] + [str(a) for a in args[1:]]
        r = subprocess.run(args, capture_output=True, text=not binary, input=stdin, env=self.env(user),
                           timeout=timeout * SLOW)
        if check and r.returncode:
            raise Failed(f"{' '.join(args)}: exit {r.returncode}\n{r.stdout}\n{r.stderr}\n{self.log_tails()}")
        return r

    def dfs(self, *args, **kw):
        return self.run("dfs", *args, **kw)

    def mr(self, *args, **kw):
        return self.run("mr", *args, **kw)

    def popen(self, *args, **kw):
        return subprocess.Popen([program(args[0])] + [str(a) for a in args[1:]], env=self.env(), **kw)

    def ps(self):
        r = subprocess.run([program("millrace"), "ps", self.dir, "--json"], capture_output=True, text=True, check=True)
        return {m["name"]: m for m in json.loads(r.stdout)}

    def kill(self, name, sig=signal.SIGKILL):
        os.kill(self.ps()[name]["pid"], sig)
        if sig == signal.SIGKILL:
            wait_for(f"{name} to be reported dead", lambda: self.ps()[name]["state"] == "died")

    def start_daemon(self, name):
        subprocess.run([program("millrace"), "start", self.dir, name], check=True, timeout=60 * SLOW)

    def stop_daemon(self, name):
        subprocess.run([program("millrace"), "stop", self.dir, name], check=True, timeout=60 * SLOW)

    def log(self, name):
        with open(os.path.join(self.dir, "log", name + ".log"), errors="replace") as f:
            return f.read()

    def log_tails(self):
        out = []
        folder = os.path.join(self.dir, "log")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), errors="replace") as f:
                out.append(f"--- {name}\n" + "".join(f.readlines()[-12:]))
        return "\n".join(out)

    def sanitizer_reports(self):
        found = []
        folder = os.path.join(self.dir, "log")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), errors="replace") as f:
                text = f.read()
            if "Sanitizer" in text or "runtime error:" in text:
                found.append(f"--- {name}\n{text[-6000:]}")
        return found

    def stop(self):
        subprocess.run([program("millrace"), "stop", self.dir], capture_output=True, timeout=120 * SLOW)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class ClusterTest(unittest.TestCase):
    nodes = 3
    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(cls.nodes, cls.settings)
        try:
            cls.cluster.start()
        except BaseException:
            cls.cluster.stop()
            cls.cluster.remove()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        reports = cls.cluster.sanitizer_reports()
        cls.cluster.remove()
        if reports:
            raise Failed("\n".join(reports))

    def dfs(self, *args, **kw):
        return self.cluster.dfs(*args, **kw)

    def mr(self, *args, **kw):
        return self.cluster.mr(*args, **kw)

    def temp(self, name, data=b""):
        path = os.path.join(self.cluster.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path


def pattern(n, seed=1):
    """n bytes that are the same for the same seed and compress badly."""
    import random
    return random.Random(seed).randbytes(n)


def main():
    """Run the module's tests; the last line says how many passed, failed and were skipped."""
    result = unittest.main(exit=False, verbosity=2).result
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    print(f"{os.path.basename(sys.argv[0])}: {result.testsRun - failed - len(result.skipped)} passed, {failed} failed, "
          f"{len(result.skipped)} skipped", flush=True)
    sys.exit(1 if failed else 0)
