"""A NameNode with more callers than it can serve: it serves them slowly, and when they leave it is as fast as before."""
import os
import sys
import time

from harness import TOP, ClusterTest, main, wait_for
from loads import Load

sys.path.insert(0, os.path.join(TOP, "tests", "results"))
from record import record   # noqa: E402

WINDOW = 3                      # seconds over which calls are counted
SHARE = 0.9                     # of the rate before
BACK = 30                       # seconds until that


class Overload(ClusterTest):
    nodes = 1
    settings = ["dfs.replication=1", "dfs.namenode.name.dir={dir}/nn,{dir}/copy"]

    def rate(self, load, seconds=WINDOW):
        before, began = load.done(), time.monotonic()
        time.sleep(seconds)
        return (load.done() - before) / (time.monotonic() - began)

    def test_goodput_is_back_after_an_overload(self):
        steady = Load(self.cluster, "steady", creators=4, putters=0, appenders=0, getters=0).start()
        self.addCleanup(lambda: steady.process.poll() is None and steady.kill())
        steady.warm_up(50)
        before = self.rate(steady)
        crowd = [Load(self.cluster, f"crowd{i}", creators=50, putters=0, appenders=0, getters=0).start() for i in range(3)]
        for load in crowd:
            self.addCleanup(lambda x=load: x.process.poll() is None and x.kill())
        for load in crowd:
            load.warm_up(50)
        during = self.rate(steady)
        self.assertGreater(during, 0, "the crowd keeps others out")
        for load in crowd:
            load.kill()
        began = time.monotonic()
        after = wait_for(f"{SHARE:.0%} of {before:.0f} calls a second", lambda: (lambda r: r if r >= SHARE * before else 0)(
            self.rate(steady)), BACK)
        took = time.monotonic() - began
        steady.stop()
        self.assertEqual(steady.errors(), [])
        steady.verify()
        record("overload", "tests/cluster/test_overload.py",
               {"calls a second before": round(before), "with 150 more callers": round(during), "afterwards": round(after), "lost": 0,
                "seconds": round(took, 1)}, long=True)
        print(f"calls a second of 4 workers: {before:.0f}, with 150 more {during:.0f}, {took:.1f} s later {after:.0f}",
              file=sys.stderr)


if __name__ == "__main__":
    main()
