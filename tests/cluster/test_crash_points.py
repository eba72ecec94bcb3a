"""Some of the crash points, others in each run; crash_points.py takes them all."""
import os
import time
import unittest

import crash_points             # first: it says which programs are meant
from harness import BIN, main

COUNT = 6


@unittest.skipUnless(os.path.exists(os.path.join(BIN, "namenode")), "skipped: no build with --enable-faults in build-faults/")
class CrashPoints(unittest.TestCase):
    def test_nothing_acknowledged_is_lost_at_the_points_whose_turn_it_is(self):
        figures, failed = crash_points.run([], COUNT, int(time.time()))
        self.assertEqual(failed, [])
        self.assertEqual(sum(f["crash points"] for f in figures.values()), COUNT)
        for row, f in figures.items():
            crash_points.record(row, "tests/cluster/crash_points.py", f)


if __name__ == "__main__":
    main()
