"""The client library's streams against real daemons: flushed bytes, odd sizes, reads out of order."""
import os
import subprocess
import unittest

from harness import SLOW, BIN, ClusterTest, main

PROGRAM = os.path.join(os.path.dirname(BIN), "client_stream")


@unittest.skipUnless(os.path.exists(PROGRAM), "skipped: client_stream is not built (make client_stream)")
class Streams(ClusterTest):
    nodes = 3

    def test_what_was_flushed_is_seen_and_nothing_is_lost(self):
        uri = self.dfs("getconf", "-confKey", "fs.defaultFS").stdout.strip()
        r = subprocess.run([PROGRAM, uri, "/streams"], capture_output=True, text=True, timeout=120 * SLOW,
                           env=self.cluster.env())
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertIn("ok after an abandoned writer", r.stdout)
        self.assertIn("ok deleted while it is opened", r.stdout)


if __name__ == "__main__":
    main()
