"""jobs -- select and GROUP BY against SQLite, word count against a plain count; on a cluster and in one process."""
import collections
import math
import os
import random
import sqlite3
import subprocess
import unittest

from harness import BIN, JOBS, ClusterTest, Failed, main, program


def rows(n):
    rng = random.Random(11)
    return [(f"city{rng.randrange(400)}", rng.randrange(-1000, 100000) / 8, rng.randrange(5)) for _ in range(n)]


def csv_of(table):
    return "".join(f"{a},{b!r},{c}\n" for a, b, c in table).encode()


def database(table):
    db = sqlite3.connect(":memory:")
    db.execute("create table t (city text, amount real, kind integer)")
    db.executemany("insert into t values (?, ?, ?)", table)
    return db


class OnACluster(ClusterTest):
    nodes = 2
    settings = ["dfs.replication=2", "dfs.blocksize=256k", "dfs.namenode.fs-limits.min-block-size=4k"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.table = rows(60000)
        path = os.path.join(cls.cluster.folder, "table.csv")
        with open(path, "wb") as f:
            f.write(csv_of(cls.table))
        cls.cluster.dfs("put", path, "/table.csv")
        cls.db = database(cls.table)

    def output(self, path):
        return self.dfs("cat", f"{path}/part-*").stdout

    def test_group_by_sums_are_those_of_sqlite(self):
        self.mr("run", "groupby", "-D", "mapreduce.job.reduces=3", "-input", "/table.csv", "-output", "/sums")
        got = dict(line.split("\t") for line in self.output("/sums").splitlines())
        want = dict(self.db.execute("select city, sum(amount) from t group by city"))
        self.assertEqual(sorted(got), sorted(want))
        for city, amount in want.items():
            self.assertTrue(math.isclose(float(got[city]), amount, rel_tol=1e-12), (city, got[city], amount))

    def test_select_gives_the_lines_unchanged(self):
        self.mr("run", "select", "-D", "select.field=2", "-D", "select.op=gt", "-D", "select.value=9000.5", "-input",
                "/table.csv", "-output", "/large")
        want = [f"{a},{b!r},{c}" for a, b, c in self.db.execute("select * from t where amount > 9000.5")]
        self.assertEqual(self.output("/large").splitlines(), want)
        self.mr("run", "select", "-D", "select.value=city7", "-input", "/table.csv", "-output", "/city7")
        self.assertEqual(len(self.output("/city7").splitlines()),
                         self.db.execute("select count(*) from t where city = 'city7'").fetchone()[0])

    def test_a_wrong_option_is_told_in_the_jobs_own_words(self):
        r = self.mr("run", "select", "-D", "select.op=like", "-D", "select.value=x", "-input", "/table.csv", "-output", "/no",
                    check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("select.op must be one of", r.stderr)


class InOneProcess(unittest.TestCase):
    def setUp(self):
        import tempfile
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)

    def run_mr(self, *args, check=True):
        r = subprocess.run([program("mr"), *args], cwd=self.dir.name, capture_output=True, text=True, timeout=120,
                           env={**os.environ, "PATH": BIN + ":" + os.environ["PATH"]})
        if check and r.returncode:
            raise Failed(f"mr {args}: {r.returncode} {r.stderr}")
        return r

    def write(self, name, data):
        with open(os.path.join(self.dir.name, name), "wb") as f:
            f.write(data)

    def read(self, name):
        with open(os.path.join(self.dir.name, name), "rb") as f:
            return f.read()

    def test_a_new_job_compiles_and_counts_right(self):
        self.run_mr("new", "mine")
        subprocess.run([program("mrcc"), "mine.c"], cwd=self.dir.name, check=True)
        text = self.read("mine.c") * 50
        self.write("in", text)
        self.run_mr("run", "--local", "mine.so", "-D", "mapreduce.input.fileinputformat.split.maxsize=1000", "-input", "in",
                    "-output", "out")
        got = dict(line.rsplit(b"\t", 1) for line in self.read("out/part-r-00000").splitlines())
        self.assertEqual({k: int(v) for k, v in got.items()}, collections.Counter(text.split()))
        self.assertEqual(sorted(os.listdir(os.path.join(self.dir.name, "out"))), ["_SUCCESS", "part-r-00000"])

    def test_output_that_exists_is_refused_and_kept(self):
        self.write("in", b"a b\n")
        os.mkdir(os.path.join(self.dir.name, "out"))
        self.write("out/precious", b"x")
        r = self.run_mr("run", "--local", os.path.join(JOBS, "wordcount.so"), "-input", "in", "-output", "out", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("exists", r.stderr)
        self.assertEqual(self.read("out/precious"), b"x")

    def test_it_equals_a_count_in_python(self):
        text = b"".join(b"%d %s\n" % (i % 91, b"x" * (i % 7)) for i in range(20000))
        self.write("in", text)
        self.run_mr("run", "--local", os.path.join(JOBS, "wordcount.so"), "-D", "mapreduce.job.reduces=4", "-D",
                    "mapreduce.task.io.sort.mb=1", "-input", "in", "-output", "out")
        got = {}
        for i in range(4):
            got.update(line.rsplit(b"\t", 1) for line in self.read(f"out/part-r-0000{i}").splitlines())
        self.assertEqual({k: int(v) for k, v in got.items()}, collections.Counter(text.split()))


if __name__ == "__main__":
    main()
