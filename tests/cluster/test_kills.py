"""Jobs one after the other while daemons are killed at random: every output has the same, right bytes.

    test_kills.py [SEED [SECONDS]]
"""
import os
import random
import signal
import subprocess
import sys
import time

from harness import SLOW, TOP, ClusterTest, main, program, wait_for
from test_engine import counted, text

SEED = int(sys.argv.pop(1)) if len(sys.argv) > 1 else int(time.time())
SECONDS = float(sys.argv.pop(1)) if len(sys.argv) > 1 else 25


class Kills(ClusterTest):
    nodes = 3
    settings = ["dfs.blocksize=256k", "dfs.namenode.fs-limits.min-block-size=64k", "dfs.heartbeat.interval=200ms",
                "mapreduce.jobtracker.expire.trackers.interval=1500ms"]

    def kill_and_start(self, name):
        os.kill(self.cluster.ps()[name]["pid"], signal.SIGKILL)
        time.sleep(self.random.random() * 0.3)
        wait_for(f"{name} to be seen dead", lambda: self.cluster.ps()[name]["state"] == "died")
        self.cluster.start_daemon(name)

    def run_job(self, job, out):
        r, killed = self.random, []
        process = self.cluster.popen("mr", "run", job, "-input", "/text", "-output", out,
                                     "-D", f"sleep.ms={r.choice([0, 50, 200])}", "-D", f"reduce.sleep.ms={r.choice([0, 200])}",
                                     "-D", "mapreduce.job.reduces=3", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(r.randrange(1, 4)):
            time.sleep(r.random() * 0.8)
            if process.poll() is not None:
                break
            killed.append(r.choice(["jt", "jt", "tt1", "tt2", "tt3", "nn"]))
            self.kill_and_start(killed[-1])
        try:
            stdout, stderr = process.communicate(timeout=90 * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            self.fail(f"seed {SEED}: {out} hangs after {killed}\n{self.cluster.log_tails()}")
        self.assertEqual(process.returncode, 0, f"seed {SEED}: {killed}\n{stdout}{stderr}{self.cluster.log_tails()}")
        return killed

    def test_output_is_the_same_whoever_dies(self):
        self.random = random.Random(SEED)
        job = os.path.join(self.cluster.folder, "trouble.so")
        subprocess.run([program("mrcc"), "-o", job, os.path.join(TOP, "tests/cluster/jobs/trouble.c")], check=True)
        data = text(4 << 20)
        self.dfs("put", "-", "/text", stdin=data, binary=True)
        want, end, jobs, kills = None, time.monotonic() + SECONDS, 0, 0
        while time.monotonic() < end:
            jobs += 1
            killed = self.run_job(job, f"/out-{jobs}")
            kills += len(killed)
            got = b"".join(self.dfs("cat", f"/out-{jobs}/part-r-0000{i}", binary=True).stdout for i in range(3))
            if want is None:
                pairs = [line.rsplit(b"\t", 1) for line in got.split(b"\n")[:-1]]
                self.assertEqual({w: int(n) for w, n in pairs}, dict(counted(data)))
                want = got
            self.assertEqual(got, want, f"seed {SEED}: job {jobs} after {killed}")
        wait_for("attempts' directories to be gone", lambda: "/.out" not in self.dfs("ls", "-C", "/").stdout)
        print(f"seed {SEED}: {jobs} jobs, {kills} kills", file=sys.stderr)


if __name__ == "__main__":
    main()
