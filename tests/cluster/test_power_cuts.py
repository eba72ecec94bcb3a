"""Ten power cuts; power_cuts.py makes as many as one likes."""
import time
import unittest

import power_cuts               # first: it says which programs are meant
from harness import main
from record import record

REASON = power_cuts.why_not()


@unittest.skipIf(REASON, f"skipped: {REASON}")
class PowerCuts(unittest.TestCase):
    def test_nothing_acknowledged_is_lost_when_the_power_goes(self):
        figures = power_cuts.run(10, "ext4", int(time.time()))
        self.assertGreater(figures["names"], 50)
        record("power-cut", "tests/cluster/power_cuts.py", figures)


if __name__ == "__main__":
    main()
