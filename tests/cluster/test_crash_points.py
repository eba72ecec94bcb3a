"""Some of the crash points, others in each run; crash_points.py takes them all."""
import os
import time
import unittest

import crash_points             # first: it says which programs are meant
from harness import BIN, main

SECONDS = int(os.environ.get("SECONDS_EACH", "35"))


@unittest.skipUnless(os.path.exists(os.path.join(BIN, "namenode")), "skipped: no build with --enable-faults in build-faults/")
class CrashPoints(unittest.TestCase):
    def test_nothing_acknowledged_is_lost_at_the_points_whose_turn_it_is(self):
        figures, failed = crash_points.run([], SECONDS, int(time.time()))
        self.assertEqual(failed, [])
        self.assertGreater(sum(f["crash points"] for f in figures.values()), 3)
        for row, f in figures.items():
            crash_points.record(row, "tests/cluster/crash_points.py", f)


if __name__ == "__main__":
    main()
