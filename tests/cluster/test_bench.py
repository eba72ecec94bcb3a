"""mr bench: a job on 1, 2 and 4 of four nodes; its parts and its straggler."""
import json
import os
import random
import subprocess
import xml.etree.ElementTree as ET

from harness import JOBS, TOP, ClusterTest, main, program

SPLIT = "mapreduce.input.fileinputformat.split.maxsize=64k"
PARTS = ["client", "start-up", "map", "shuffle", "reduce", "barrier", "straggler", "redone", "commit"]


class Bench(ClusterTest):
    nodes = 4

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        c = cls.cluster
        r = random.Random(3)
        cls.rounds = os.path.join(c.folder, "rounds.so")
        subprocess.run([program("mrcc"), "-o", cls.rounds, os.path.join(TOP, "tests/cluster/jobs/rounds.c")], check=True)
        c.dfs("put", "-", "/text", stdin="".join(f"w{r.randrange(500)} w{r.randrange(500)}\n" for _ in range(50000)))
        c.dfs("put", "-", "/points", stdin="".join(f"{r.gauss(0, 1):.6f},{r.gauss(0, 1):.6f},{r.gauss(0, 1):.6f}\n"
                                                   for _ in range(10000)))

    def jobs_of(self, name):
        return [j for j in json.loads(self.mr("ps", "--all", "--json").stdout) if j["name"].startswith(name)]

    def check(self, bench, counts, rounds):
        runs = bench["runs"]
        self.assertEqual([r["nodes"] for r in runs], counts)
        for r in runs:
            self.assertEqual(len(r["rounds"]), rounds)
            self.assertEqual(r["seconds"], sorted(r["rounds"])[(rounds - 1) // 2])
            self.assertEqual(list(r["parts"]), PARTS)
            for name, seconds in r["parts"].items():
                self.assertGreaterEqual(seconds, -1e-9, name)
            self.assertAlmostEqual(sum(r["parts"].values()), r["seconds"], places=6)
            self.assertAlmostEqual(r["speed_up"], runs[0]["seconds"] / r["seconds"], places=6)
            self.assertEqual((r["map_slots"], r["reduce_slots"]), (2 * r["nodes"], 2 * r["nodes"]))
            self.assertGreater(r["parts"]["client"], 0)
            self.assertGreater(r["parts"]["start-up"] + r["parts"]["map"], 0)
            self.assertEqual(r["parts"]["redone"], 0)
            if "straggler" in r:
                self.assertIn("attempt_", r["straggler"]["attempt"])
                self.assertGreater(r["parts"]["straggler"], 0)
                self.assertLessEqual(r["straggler"]["cost_seconds"], r["parts"]["straggler"] + 1e-9)
                self.assertGreater(r["straggler"]["seconds"], 0)
            else:
                self.assertEqual(r["parts"]["straggler"], 0)

    def test_word_count_keeps_to_its_nodes_and_its_parts_sum_to_its_time(self):
        plot = os.path.join(self.cluster.folder, "bench.svg")
        r = self.mr("bench", os.path.join(JOBS, "wordcount.so"), "--nodes", "1,2,4", "--rounds", "2", "--json", "--plot", plot, "-D",
                    SPLIT, "-D", "mapreduce.job.reduces=3", "-input", "/text")
        bench = json.loads(r.stdout)
        self.assertEqual(bench["job"], "wordcount.so")
        self.check(bench, [1, 2, 4], 2)
        names = sorted(n["name"] for n in json.loads(self.mr("nodes", "--json").stdout))
        used = []
        for job in self.jobs_of("wordcount.so"):
            s = json.loads(self.mr("status", job["id"], "--json").stdout)
            used.append({a["node"] for a in s["attempts"]})
            for a in s["attempts"]:
                self.assertLessEqual(a["shuffle_ms"], a["run_ms"])
                self.assertLessEqual(a["run_ms"], a["ended_ms"] - a["started_ms"] + 5)
        self.assertEqual(len(used), 6)
        for i, nodes in enumerate(used):        # 1, 2, 4 nodes in turn
            self.assertLessEqual(nodes, set(names[:(1, 2, 4)[i % 3]]))
        self.assertEqual(used[0], {names[0]})
        svg = ET.parse(plot).getroot()
        self.assertTrue(svg.tag.endswith("svg"))
        titles = [t.text for t in svg.iter("{http://www.w3.org/2000/svg}title")]
        self.assertEqual(len(titles), 3 * len(PARTS))
        self.assertEqual(self.dfs("ls", "-a", ".", check=False).stdout.count(".mr-bench"), 0)

    def test_driver_is_measured_as_a_whole(self):
        args = ["-D", SPLIT, "-D", "rounds=3", "-input", "/points"]
        bench = json.loads(self.mr("bench", self.rounds, "--nodes", "1,3", "--rounds", "1", "--json", *args).stdout)
        self.check(bench, [1, 3], 1)
        self.assertEqual(len(self.jobs_of("rounds.so:epoch")), 6)
        self.assertEqual([r["jobs"] for r in bench["runs"]], [len(self.jobs_of("rounds.so")) / 2] * 2)
        r = self.mr("bench", self.rounds, "--nodes", "2", "--rounds", "1", *args)
        lines = r.stdout.splitlines()
        head = next(l for l in lines if l.strip().startswith("NODES")).split()
        row = lines[lines.index(next(l for l in lines if l.strip().startswith("NODES"))) + 1].split()
        self.assertEqual(head, ["NODES", "SECONDS", "SPEED-UP"] + PARTS)
        self.assertEqual((row[0], row[2]), ("2", "1.00"))
        self.assertAlmostEqual(sum(map(float, row[3:])), float(row[1]), delta=0.006)
        self.assertIn("straggler", lines[-1])

    def test_what_cannot_be_measured_is_said_and_nothing_is_left(self):
        so = os.path.join(JOBS, "wordcount.so")
        r = self.mr("bench", so, "--nodes", "9", "-input", "/text", check=False)
        self.assertEqual(r.returncode, 2, r.stderr)
        self.assertIn("4 TaskTrackers are alive", r.stderr)
        r = self.mr("bench", so, "--nodes", "2", "-input", "/no/such", check=False)
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertIn("/no/such", r.stderr)
        for words in (["--nodes", "2,1"], ["--nodes", "x"], ["--nodes", "1", "-output", "/x"], ["--nodes", "1", "--rounds", "0"], []):
            r = self.mr("bench", so, *words, "-input", "/text", check=False)
            self.assertEqual(r.returncode, 2, words)
        self.assertNotIn(".mr-bench", self.dfs("ls", ".", check=False).stdout)


if __name__ == "__main__":
    main()
