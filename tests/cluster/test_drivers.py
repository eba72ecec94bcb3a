"""Stages, drivers and what they use: results that come back, side data, a second input, several outputs, ranges."""
import json
import os
import random
import re
import subprocess

from harness import SLOW, TOP, ClusterTest, main, program

SPLIT = "mapreduce.input.fileinputformat.split.maxsize=64k"


class Drivers(ClusterTest):
    nodes = 3
    settings = ["mapreduce.jobtracker.expire.trackers.interval=2s"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        c = cls.cluster
        for job in ("rounds", "pieces"):
            so = os.path.join(c.folder, job + ".so")
            subprocess.run([program("mrcc"), "-o", so, os.path.join(TOP, f"tests/cluster/jobs/{job}.c")], check=True)
            setattr(cls, job, so)
        r = random.Random(5)
        lines = []
        for i in range(20000):
            a, b = r.gauss(0, 1), r.gauss(0, 1)
            lines.append(f"{a:.6f},{b:.6f},{3 * a - 2 * b + r.gauss(0, .1):.6f}\n")
        cls.points = "".join(lines).encode()
        cls.numbers = "".join(f"{r.randrange(10**6)}\n" for _ in range(30000)).encode()
        keys = [f"k{int(r.gauss(5e5, 1e5)):07d}" for _ in range(20000)]
        cls.pairs = "".join(f"{k}\t{i}\n" for i, k in enumerate(keys)).encode()
        for name in ("points", "numbers", "pairs"):
            with open(os.path.join(c.folder, name), "wb") as f:
                f.write(getattr(cls, name))
            c.dfs("put", os.path.join(c.folder, name), "/" + name)

    def local(self, name):
        return os.path.join(self.cluster.folder, name)

    def rounds_run(self, *args):
        r = self.mr("run", self.rounds, "-D", SPLIT, *args)
        return re.findall(r"round .*", r.stdout)

    def test_driver_goes_the_same_way_on_a_cluster_and_in_one_process(self):
        here = self.rounds_run("--local", "-D", "rounds=4", "-input", self.local("points"), "-output", self.local("w"))
        there = self.rounds_run("-D", "rounds=4", "-input", "/points", "-output", "/w")
        self.assertEqual(len(here), 4)
        self.assertLess(float(here[3].split()[3]), float(here[0].split()[3]) / 10)
        # The cluster packs nothing here, so the splits are the same: the same bits.
        self.assertEqual(here, there)
        with open(self.local("w")) as f:
            self.assertEqual(self.dfs("cat", "/w").stdout, f.read())

    def test_loss_of_a_tracker_and_a_jobtracker_in_between_changes_no_bit(self):
        want = self.rounds_run("-D", "rounds=30", "-input", "/points")
        process = self.cluster.popen("mr", "run", self.rounds, "-D", SPLIT, "-D", "rounds=30", "-input", "/points",
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = process.stdout.readline()
        self.cluster.kill("tt1")
        self.cluster.kill("jt")
        self.cluster.start_daemon("jt")
        out, err = process.communicate(timeout=120 * SLOW)
        self.cluster.start_daemon("tt1")
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(re.findall(r"round .*", first + out), want)

    def test_side_file_of_the_filesystem_is_mapped_by_every_task(self):
        self.dfs("put", "-", "/side", stdin=b"x" * 3000000 + b"\x03", binary=True)
        r = self.mr("run", self.rounds, "-D", SPLIT, "-D", "rounds=1", "-D", "side=/side", "-input", "/points")
        n = -(-len(self.points) // 65536)
        self.assertIn(int(re.search(r"last byte (\d+)", r.stdout)[1]), (3 * n, 3 * n + 3))     # each map and the reduce

    def test_side_file_that_is_not_there_fails_the_job_and_is_named(self):
        r = self.mr("run", self.rounds, "-D", "rounds=1", "-D", "side=/no/such", "-input", "/points", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("side file /no/such", r.stderr)

    def test_the_second_input_is_read_split_by_split(self):
        r = self.mr("run", self.pieces, "-D", SPLIT, "-input", "/numbers", "-output", "/numbers")
        self.assertEqual(r.stdout, "same 30000\n")
        r = self.mr("run", self.pieces, "--local", "-D", SPLIT, "-input", self.local("numbers"), "-output", self.local("numbers"))
        self.assertEqual(r.stdout, "same 30000\n")

    def test_further_outputs_lie_beside_the_parts(self):
        self.mr("run", self.pieces, "-stage", "parity", "-D", SPLIT, "-input", "/numbers", "-output", "/parity")
        names = self.dfs("ls", "/parity").stdout
        self.assertIn("/parity/_SUCCESS", names)
        for name, rest in (("even", 0), ("odd", 1)):
            want = [x for x in self.numbers.split() if int(x) % 2 == rest]
            got = self.dfs("cat", f"/parity/{name}-m-*", binary=True).stdout.split()
            self.assertEqual(sorted(got), sorted(want))

    def test_ranges_put_the_reduces_in_order(self):
        self.mr("run", self.pieces, "-stage", "sorted", "-D", SPLIT, "-D", "mapreduce.job.reduces=4", "-input", "/pairs", "-output",
                "/sorted")
        parts = [self.dfs("cat", f"/sorted/part-r-0000{i}", binary=True).stdout for i in range(4)]
        want = sorted(self.pairs.splitlines(), key=lambda l: l.split(b"\t")[0])
        self.assertEqual(b"".join(parts).splitlines(), want)
        for p in parts:
            self.assertGreater(len(p), len(self.pairs) / 6)

    def test_stage_that_is_not_there_is_named(self):
        r = self.mr("run", self.pieces, "-stage", "nope", "-input", "/pairs", "-output", "/x", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn('has no stage "nope"', r.stderr)

    def test_jobs_of_a_driver_are_listed_by_stage(self):
        self.rounds_run("-D", "rounds=1", "-input", "/points")
        jobs = json.loads(self.mr("ps", "--all", "--json").stdout)
        self.assertIn("rounds.so:epoch", [j["name"] for j in (jobs if isinstance(jobs, list) else jobs["jobs"])])


if __name__ == "__main__":
    main()
