"""dfs bench: rates of a small run, and nothing is left of it, also when it is interrupted."""
import json
import signal
import subprocess

from harness import SLOW, ClusterTest, main, wait_for


class Bench(ClusterTest):
    nodes = 2
    settings = ["dfs.replication=2"]

    def setUp(self):
        self.dfs("mkdir", "-p", "/b")

    def left(self):
        return [line.split()[-1] for line in self.dfs("ls", "/b").stdout.splitlines() if "bench" in line]

    def test_every_phase_gives_a_rate(self):
        rows = json.loads(self.dfs("bench", "-json", "-t", "2", "-size", "3m", "-files", "20", "-dir", "/b").stdout)
        self.assertEqual([r["name"] for r in rows], ["write", "read", "put", "get", "mkdir", "stat", "rename", "delete"])
        for r in rows:
            self.assertEqual(r["operations"], 6 if r["name"] in ("write", "read") else 20)
            self.assertEqual(r["bytes"], {"write": 6 << 20, "read": 6 << 20, "put": 20 << 12, "get": 20 << 12}.get(r["name"], 0))
            self.assertGreater(r["per_second"], 0)
            self.assertLessEqual(r["p50_ms"], r["p99_ms"])
            self.assertLessEqual(r["p99_ms"], r["max_ms"])
        self.assertEqual(self.left(), [])

    def test_table_has_the_phases_that_were_asked_for(self):
        lines = self.dfs("bench", "-files", "8", "-small", "100k", "-dir", "/b", "small").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["times", "put", "get"])
        self.assertEqual(self.left(), [])

    def test_interrupted_run_leaves_nothing(self):
        bench = self.cluster.popen("dfs", "bench", "-files", "1000000", "-dir", "/b", "small", stdout=subprocess.DEVNULL)
        wait_for("the first file", lambda: "small0" in self.dfs("ls", "-R", "/b").stdout)
        bench.send_signal(signal.SIGINT)
        self.assertEqual(bench.wait(60 * SLOW), 130)
        self.assertEqual(self.left(), [])

    def test_wrong_words_are_refused(self):
        for words in (["-t", "0"], ["-size", "x"], ["-files", "9999999999"], ["reads"]):
            self.assertEqual(self.dfs("bench", *words, check=False).returncode, 255, words)


if __name__ == "__main__":
    main()
