#!/usr/bin/env python3
"""Daemons killed at random times while clients work and jobs run: nothing acknowledged is lost, nothing fails.

    random_kills.py [SECONDS] [--seed N]        600 seconds

One daemon at a time, any of them; after a moment it is started again. Every ten kills or so the load ends and is compared
with its journal.
"""
import os
import random
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "cluster"))

from crash_points import Points, record     # noqa: E402
from harness import SLOW, Failed            # noqa: E402
from loads import Load, now                 # noqa: E402


class Kills(Points):
    def kill_one(self, load):
        r = self.random
        name = r.choice(["nn", "nn", "dn1", "dn2", "dn3", "dn4", "dn1", "dn2", "jt", "tt1", "tt2"])
        pause = r.choice([0, 0, 0.1, 0.5, 1.5])
        self.cluster.kill(name)
        time.sleep(pause)
        started = now()
        self.restart(name)
        return f"{name}({pause})", load.wait_service(started)

    def part(self, end):
        """Some kills under one load; what was killed, the longest time without service, the counts."""
        self.rounds += 1
        load = Load(self.cluster, f"load{self.rounds}", seed=self.rounds).start()
        killed, longest, result = [], 0.0, []
        job = threading.Thread(target=self.job_thread, args=(f"/out{self.rounds}", result))
        try:
            load.warm_up()
            job.start()
            for _ in range(10):
                time.sleep(self.random.random() * 0.5)
                name, seconds = self.kill_one(load)
                killed.append(name)
                longest = max(longest, seconds)
                if time.monotonic() > end:
                    break
            job.join(150 * SLOW)
            load.stop()
            counts = load.verify()
            if load.errors():
                raise Failed("operations failed:\n" + "\n".join(load.errors()[:5]))
            if not result or result[0] != self.want:
                raise Failed(f"the job: {result}")
        except Failed as e:
            raise Failed(f"seed {self.seed}, part {self.rounds}: {' '.join(killed)}: {e}\n{self.cluster.log_tails()}") from None
        finally:
            if load.process.poll() is None:
                load.kill()
            if job.ident:
                job.join()
        self.cluster.dfs("rm", "-r", "-skipTrash", load.dir, f"/out{self.rounds}")
        return killed, longest, counts


def run(seconds, seed):
    """Figures of the row random-kills."""
    figures = {"kills": 0, "lost": 0, "names": 0, "MB": 0, "seconds": 0.0}
    end = time.monotonic() + seconds
    with Kills(seed) as k:
        while time.monotonic() < end:
            killed, longest, counts = k.part(end)
            figures["kills"] += len(killed)
            figures["names"] += counts["names"]
            figures["MB"] += counts["bytes"] >> 20
            figures["seconds"] = max(figures["seconds"], round(longest, 2))
            print(f"{' '.join(killed)}: service after {longest:.2f} s, {counts}", file=sys.stderr, flush=True)
    return figures


def main(args):
    seconds, seed = 600, int(time.time())
    while args:
        if args[0] == "--seed":
            seed, args = int(args[1]), args[2:]
        else:
            seconds, args = int(args[0]), args[1:]
    figures = run(seconds, seed)
    record("random-kills", "tests/cluster/random_kills.py", figures, long=seconds >= 300)
    print(f"random_kills: seed {seed}: {figures}")


if __name__ == "__main__":
    main(sys.argv[1:])
