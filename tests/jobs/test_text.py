"""text -- grep, inverted index and join against plain Python and SQLite, on one machine and on four."""
import collections
import random
import re
import sqlite3

from reference import JobTest, OnFour, main


def letters(seed, lines):
    rng = random.Random(seed)
    words = ["alpha", "beta", "Gamma", "delta7", "été", "x"] + [f"w{i}" for i in range(300)]
    return "".join(" ".join(rng.choice(words) + rng.choice(["", ",", "!"]) for _ in range(rng.randrange(12))) + "\n"
                   for _ in range(lines))


class OnOne(JobTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.texts = {f"/texts/{i}": letters(i, 6000 + i) for i in range(3)}
        cls.cluster.dfs("mkdir", "/texts")
        for path, text in cls.texts.items():
            local = cls.cluster.folder + "/text"
            with open(local, "w") as f:
                f.write(text)
            cls.cluster.dfs("put", local, path)

    def test_grep_names_file_and_place_of_each_line(self):
        self.job("grep", "/texts", "/found", "grep.pattern=(alpha|été),? w1[0-9]*")
        want = []
        for path, text in self.texts.items():
            at = 0
            for line in text.splitlines(keepends=True):
                if re.search(r"(alpha|été),? w1[0-9]*", line):
                    want.append(f"{path}:{at}\t{line[:-1]}")
                at += len(line.encode())
        self.assertEqual(self.lines("/found"), want)

    def test_grep_counts_matches(self):
        self.mr("run", "grep", "-stage", "count", "-input", "/texts", "-output", "/counts", "-D", "grep.pattern=w[0-9]+")
        want = collections.Counter(m for text in self.texts.values() for m in re.findall(r"w[0-9]+", text))
        self.assertEqual(dict(line.split("\t") for line in self.lines("/counts")), {k: str(v) for k, v in want.items()})

    def test_a_wrong_pattern_is_told(self):
        r = self.mr("run", "grep", "-input", "/texts", "-output", "/wrong", "-D", "grep.pattern=(", check=False)
        self.assertIn("grep.pattern: Unmatched", r.stderr)

    def test_index_lists_files_by_how_often_they_hold_the_word(self):
        self.job("index", "/texts", "/index", "index.lower=1", "mapreduce.job.reduces=3")
        want = collections.defaultdict(collections.Counter)
        for path, text in self.texts.items():
            for word in re.findall(r"[0-9A-Za-z\x80-\uffff]+", text):
                want[word.lower()][path] += 1
        expected = {w: " ".join(f"{p}:{n}" for p, n in sorted(c.items(), key=lambda x: (-x[1], x[0]))) for w, c in want.items()}
        self.assertEqual(dict(line.split("\t") for line in self.lines("/index")), expected)

    def test_joins_are_those_of_sqlite(self):
        rng = random.Random(9)
        left = [(rng.randrange(3000), f"l{i}") for i in range(4000)]
        right = [(f"r{i}", rng.randrange(1000, 4000), i) for i in range(6000)]
        db = sqlite3.connect(":memory:")
        db.execute("create table l (k, a)")
        db.execute("create table r (b, k, c)")
        db.executemany("insert into l values (?, ?)", left)
        db.executemany("insert into r values (?, ?, ?)", right)
        self.put("/join/left", "".join(f"{k},{a}\n" for k, a in left).encode())
        self.put("/join/right", "".join(f"{b},{k},{c}\n" for b, k, c in right).encode())
        queries = {"inner": "select l.k, a, b, c from l join r on l.k = r.k",
                   "left": "select l.k, a, b, c from l left join r on l.k = r.k",
                   "right": "select r.k, a, b, c from r left join l on l.k = r.k",
                   "full": "select l.k, a, b, c from l left join r on l.k = r.k union all "
                           "select r.k, null, b, c from r where r.k not in (select k from l)"}
        for kind, query in queries.items():
            self.mr("run", "join", "-input", "/join/left", "-input", "/join/right", "-output", f"/joined-{kind}", "-D",
                    "join.left=/join/left", "-D", "join.right.key=2", "-D", f"join.kind={kind}", "-D", "mapreduce.job.reduces=2")
            want = sorted(",".join(str(v) for v in row if v is not None) for row in db.execute(query))
            self.assertEqual(sorted(self.lines(f"/joined-{kind}")), want, kind)


class OnFourMachines(OnFour, OnOne):
    pass


if __name__ == "__main__":
    main()
