"""tables -- aggregate, groupby and matrix against SQLite and NumPy, on one machine and on four."""
import math
import random
import sqlite3

import numpy as np

from reference import JobTest, OnFour, main, near

CITIES = ["Oslo", "São Paulo", "a, b", 'say "x"', "Ålesund"]


def table(n):
    rng = random.Random(5)
    return [(rng.choice(CITIES) + str(rng.randrange(40)), rng.choice("xyz"), rng.randrange(-10**6, 10**6) / 64,
             rng.randrange(10**rng.randrange(1, 6))) for _ in range(n)]


def quoted(text):
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"') else text


class OnOne(JobTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rows = table(40000)
        cls.db = sqlite3.connect(":memory:")
        cls.db.execute("create table t (city text, kind text, amount real, visits integer)")
        cls.db.executemany("insert into t values (?, ?, ?, ?)", cls.rows)
        text = "city,kind,amount,visits\n" + "".join(f"{quoted(a)},{b},{c!r},{d}\n" for a, b, c, d in cls.rows)
        path = cls.cluster.folder + "/table.csv"
        with open(path, "w") as f:
            f.write(text)
        cls.cluster.dfs("put", path, "/table.csv")
        cls.matrix = np.random.default_rng(3).normal(5, 3, (20000, 12)) * 10.0 ** np.arange(-3, 9)
        path = cls.cluster.folder + "/matrix.csv"
        with open(path, "w") as f:
            f.write("\n".join(",".join(map(repr, map(float, r))) for r in cls.matrix) + "\n")
        cls.cluster.dfs("put", path, "/matrix.csv")

    def test_group_by_two_fields_shows_what_sqlite_shows(self):
        self.job("groupby", "/table.csv", "/two", "groupby.key=1,2", "groupby.value=3", "groupby.show=count,sum,avg,min,max",
                 "mr.csv.header=1", "mapreduce.job.reduces=3")
        got = self.numbers("/two")
        want = {f"{a},{b}": n for a, b, *n in self.db.execute(
            "select city, kind, count(*), sum(amount), avg(amount), min(amount), max(amount) from t group by city, kind")}
        self.assertEqual(sorted(k.replace('""', '"') for k in got), sorted(want))
        for key, numbers in got.items():
            self.assertTrue(near(numbers, want[key.replace('""', '"')]), key)

    def test_group_by_variance_is_that_of_numpy(self):
        self.job("groupby", "/table.csv", "/var", "groupby.key=2", "groupby.value=4", "groupby.show=var,stddev",
                 "mr.csv.header=1")
        for kind, numbers in self.numbers("/var").items():
            visits = [d for a, b, c, d in self.rows if b == kind]
            self.assertTrue(near(numbers, [np.var(visits, ddof=1), np.std(visits, ddof=1)]), kind)

    def test_aggregates_of_columns_are_those_of_sqlite(self):
        self.job("aggregate", "/table.csv", "/all", "mr.csv.header=1")
        got = {line.split("\t")[0]: line.split("\t")[1:] for line in self.lines("/all")}
        for column, name in ((3, "amount"), (4, "visits")):
            want = self.db.execute(f"select count({name}), sum({name}), avg({name}), min({name}), max({name}) from t").fetchone()
            values = [row[column - 1] for row in self.rows]
            self.assertTrue(near(got[str(column)][:5], want), (name, got[str(column)], want))
            self.assertTrue(near(got[str(column)][5:7], [np.var(values, ddof=1), np.std(values, ddof=1)]), name)
        self.assertEqual(got["1"][1:7], [""] * 6)       # a text has a count only
        for column, name in enumerate(("city", "kind", "amount", "visits"), 1):
            exact = self.db.execute(f"select count(distinct {name}) from t").fetchone()[0]
            self.assertTrue(math.isclose(float(got[str(column)][7]), exact, rel_tol=0.08), (name, got[str(column)], exact))

    def test_sums_of_squares_are_those_of_numpy(self):
        self.job("matrix", "/matrix.csv", "/squares")
        got, x = self.numbers("/squares"), self.matrix
        for j in range(x.shape[1]):
            c = x[:, j]
            want = [len(c), c.sum(), c.mean(), c.min(), c.max(), c.var(ddof=1), (c * c).sum()]
            self.assertTrue(near(got[str(j + 1)], want, 1e-11), j)
        self.assertTrue(near(got["all"], [np.linalg.norm(x) ** 2], 1e-11))

    def test_a_word_instead_of_a_number_is_named_with_its_place(self):
        self.put("/bad.csv", b"1,2\n3,x7\n")
        r = self.mr("run", "matrix", "-input", "/bad.csv", "-output", "/bad", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn('/bad.csv: in the line at byte 4, column 2, "x7", is not a number', r.stderr)


class OnFourMachines(OnFour, OnOne):
    pass


if __name__ == "__main__":
    main()
