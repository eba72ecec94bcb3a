"""graphs -- PageRank, item similarities, partitions and TeraSort against NumPy, on one machine and on four."""
import random
import re
import zlib

import numpy as np

from reference import JobTest, OnFour, main


def pagerank(edges, damping=0.85):
    names = sorted({n for e in edges for n in e})
    at = {n: i for i, n in enumerate(names)}
    m = np.zeros((len(names), len(names)))
    for a, b in edges:
        m[at[b], at[a]] += 1
    out = m.sum(axis=0)
    r = np.full(len(names), 1 / len(names))
    for _ in range(200):
        r = (1 - damping) / len(names) + damping * (m @ (r / np.where(out, out, 1)) + r[out == 0].sum() / len(names))
    return dict(zip(names, r))


class OnOne(JobTest):
    def test_pageranks_are_numpys(self):
        rng = random.Random(6)
        edges = [(f"page{min(rng.randrange(300), rng.randrange(300))}", f"page{min(rng.randrange(300), rng.randrange(300))}")
                 for _ in range(2000)] + [("a", "end")]
        self.put("/edges", "".join(f"{a} {b}\n" for a, b in edges).encode())
        self.job("pagerank", "/edges", "/pr", "pagerank.iterations=200", "pagerank.tolerance=1e-12", "mapreduce.job.reduces=2")
        got = {k: v[0] for k, v in self.numbers("/pr/ranks").items()}
        want = pagerank(edges)
        self.assertEqual(sorted(got), sorted(want))
        for name in want:
            self.assertAlmostEqual(got[name], want[name], delta=1e-9)

    def test_similarities_and_recommendations_are_numpys(self):
        rng = np.random.default_rng(12)
        users, items = 120, 40
        r = np.where(rng.random((users, items)) < 0.3, rng.integers(1, 6, (users, items)), 0).astype(float)
        rows = [f"u{u},i{i},{r[u, i]:.0f}\n" for u in range(users) for i in range(items) if r[u, i]]
        random.Random(1).shuffle(rows)
        self.put("/ratings", "".join(rows).encode())
        self.job("similar", "/ratings", "/cf", "similar.neighbours=1000", "similar.top=5", "mapreduce.job.reduces=2")
        length = np.sqrt((r * r).sum(axis=0))
        s = r.T @ r / np.outer(length, length)
        np.fill_diagonal(s, 0)
        got = {line.split("\t")[0]: dict(w.rsplit(":", 1) for w in line.split("\t")[1].split()) for line in
               self.lines("/cf/similarities")}
        for i in range(items):
            for j in range(items):
                self.assertAlmostEqual(float(got[f"i{i}"].get(f"i{j}", 0)), s[i, j], delta=1e-12)
        rated = r > 0
        score = (r @ s) / np.maximum(rated @ s, 1e-300)
        recommended = {line.split("\t")[0]: [w.rsplit(":", 1) for w in line.split("\t")[1].split()] for line in
                       self.lines("/cf/recommendations")}
        self.assertEqual(len(recommended), users)
        for u in range(users):
            best = np.sort(np.where(rated[u], -1, score[u]))[::-1][:5]
            self.assertTrue(np.allclose([float(v) for _, v in recommended[f"u{u}"]], best, atol=1e-9), u)
            self.assertTrue(all(not rated[u, int(i[1:])] for i, _ in recommended[f"u{u}"]))

    def test_partitions_hold_each_row_once(self):
        rng = random.Random(3)
        rows = [f"{rng.choice('abcde')}{int(rng.paretovariate(1.2))},{i}" for i in range(20000)]
        self.put("/rows", ("\n".join(rows) + "\n").encode())
        skews = {}
        for by in ("round", "hash", "range"):
            said = self.job("partition", "/rows", "/by-" + by, "partition.by=" + by, "partition.parts=4")
            skews[by] = float(re.search(r"skew (\S+)", said).group(1))
            parts = [self.dfs("cat", f"/by-{by}/table/part-r-0000{i}").stdout.splitlines() for i in range(4)]
            self.assertEqual(sorted(sum(parts, [])), sorted(rows), by)
            counted = [int(line.split("\t")[1]) for line in said.splitlines() if re.match(r"\d\t", line)]
            self.assertEqual(counted, [len(p) for p in parts], by)
            keys = [{line.split(",")[0] for line in p} for p in parts]
            if by != "round":
                self.assertEqual(sum(map(len, keys)), len(set().union(*keys)), by)
            if by == "range":
                for a, b in zip(keys, keys[1:]):
                    self.assertLess(max(a), min(b))
        self.assertLess(skews["round"], 1.01)

    def records(self, path):
        data = self.dfs("cat", path + "/part-*", binary=True).stdout
        return [data[i:i + 100] for i in range(0, len(data), 100)]

    def test_terasort_sorts_what_teragen_made(self):
        self.mr("run", "teragen", "-output", "/tera", "-D", "teragen.rows=30001", "-D", "teragen.maps=3")
        made = self.records("/tera")
        self.assertEqual(len(made), 30001)
        # The first three records of gensort's binary form.
        self.assertEqual([r[:10].hex() for r in made[:2]], ["4a696d47726179524950", "95e0e48262b3edfe0447"])
        self.assertEqual(int(made[30000][12:44], 16), 30000)
        self.job("terasort", "/tera", "/tera-sorted", "mapreduce.job.reduces=4")
        got = self.records("/tera-sorted")
        self.assertEqual(got, sorted(made, key=lambda r: r[:10]))
        sizes = [int(line.split()[4]) for line in self.dfs("ls", "/tera-sorted").stdout.splitlines() if "part-r" in line]
        self.assertEqual(len(sizes), 4)
        self.assertLess(max(sizes), 1.5 * sum(sizes) / 4)
        checksum = sum(zlib.crc32(r) for r in made)
        for source, bad in (("/tera-sorted", 0), ("/tera", None)):
            self.job("teravalidate", source, source + "-report")
            said = dict(line.split("\t") for line in self.lines(source + "-report"))
            self.assertEqual((said["rows"], said["checksum"]), ("30001", f"{checksum:x}"))
            if bad is None:
                wrong = sum(a[:10] > b[:10] for a, b in zip(made, made[1:]))
                self.assertEqual(int(said["out of order"]), wrong)
            else:
                self.assertEqual(said["out of order"], "0")
                self.assertNotIn("unordered", said)


class OnFourMachines(OnFour, OnOne):
    pass


if __name__ == "__main__":
    main()
