"""rows_jobs -- jobs beside a plain program (the floor) and beside what people would use instead."""
import hadoop
import inputs
import peers
from cluster import Job, Measured
from measure import Command


def sorted_lines(data):
    return sorted(data.splitlines())


def directory(path, normal):
    """A Spark output: its part files, one after the other."""
    import glob

    def read(_):
        return normal(b"".join(open(p, "rb").read() for p in sorted(glob.glob(path + "/part-*"))))
    return read


class SparkCommand(Command):
    """Spark writes a directory."""

    def __init__(self, row, options, source, args=(), normal=None, output=True):
        import shutil
        target = inputs.scratch(f"spark-{row}")
        super().__init__("Spark", peers.script("spark_row.py", row, options.threads, source, target, *args),
                         before=lambda: shutil.rmtree(target, ignore_errors=True))
        self.read = directory(target, normal) if normal and output else None

    def result(self):
        return self.read(None) if self.read else None


class HadoopJob(Command):
    """A job of Hadoop's examples, by its MapReduce on YARN, `threads` tasks of a kind at a time."""

    def __init__(self, h, options, source, example, normal):
        h.dfs("-put", source, "/in")
        self.h = h
        settings = {"mapreduce.job.reduces": options.threads, "mapreduce.job.running.map.limit": options.threads}
        super().__init__("Hadoop", h.examples(example, "/in", "/out", yarn=True, settings=settings), normal=normal, env=h.env,
                         daemons=h.pids, before=lambda: h.dfs("-rm", "-r", "-f", "-skipTrash", "/out"))

    def result(self):
        return self.normal(self.h.dfs("-cat", "/out/part-*"))


class Row:
    figures = ("wall",)
    more_is_better = False
    kind = None

    def __init__(self):
        self.cluster = self.hadoop = None

    def size(self, options):
        return max(1, int(self.full * options.scale))

    def source(self, options):
        path = inputs.made(self.kind, self.size(options))
        inputs.warm(path)
        return path

    def started(self, source, **kw):
        self.cluster = Measured(**kw).start()
        self.cluster.put(source, "/in/data")
        return self.cluster

    def on_hadoop(self, options, source, example, normal):
        self.hadoop = hadoop.Hadoop(yarn=True).start()
        return HadoopJob(self.hadoop, options, source, example, normal)

    def equal(self, a, b):
        return a == b

    def close(self):
        if self.hadoop:
            self.hadoop.stop()
        if self.cluster:
            self.cluster.close()


class WordCount(Row):
    name, kind, full = "wordcount", "text", 1_000_000_000
    what = "word count of 1 GB of Zipf text"

    def contestants(self, o):
        source = self.source(o)
        c = self.started(source)
        out = inputs.scratch
        all_of = [Job("millrace", c, "wordcount.so", ["-input", "/in/data", "-D", f"mapreduce.job.reduces={o.threads}"],
                      sorted_lines),
                  Command("floor", [inputs.floor("wordcount"), str(o.threads), source, out("floor-wc")], out("floor-wc"),
                          sorted_lines)]
        if not o.no_peers:
            peers.java()
            all_of += [Command("DuckDB", peers.script("duckdb_row.py", "wordcount_split", o.threads, source, out("duck-wc")),
                               out("duck-wc"), sorted_lines),
                       Command("Polars", peers.script("polars_row.py", "wordcount", source, out("polars-wc")), out("polars-wc"),
                               sorted_lines),
                       SparkCommand("wordcount", o, source, normal=sorted_lines),
                       self.on_hadoop(o, source, "wordcount", sorted_lines)]
        return all_of


def groups(separator):
    """{key: numbers} of lines "key SEP sum SEP count SEP min SEP max", the numbers as doubles."""
    def read(data):
        out = {}
        for line in data.decode().splitlines():
            key, *numbers = line.replace("\t", separator).replace(" ", separator).split(separator)
            out[key] = [float(x) for x in numbers]
        return out
    return read


class GroupBy(Row):
    name, kind, full = "groupby", "groups", 20_000_000
    what = "SUM, COUNT, MIN, MAX by key: 20 M rows of CSV, 100,000 keys"

    def equal(self, a, b):
        return a.keys() == b.keys() and all(abs(x - y) <= 1e-9 * max(1, abs(x)) for k in a for x, y in zip(a[k], b[k]))

    def contestants(self, o):
        source = self.source(o)
        c = self.started(source)
        out = inputs.scratch
        all_of = [Job("millrace", c, "groupby.so", ["-input", "/in/data", "-D", f"mapreduce.job.reduces={o.threads}",
                                                    "-D", "groupby.show=sum,count,min,max"],
                      groups(",")),
                  Command("floor", [inputs.floor("groupby"), str(o.threads), source, out("floor-gb")], out("floor-gb"),
                          groups(","))]
        if not o.no_peers:
            peers.java()
            all_of += [Command("DuckDB", peers.script("duckdb_row.py", "groupby", o.threads, source, out("duck-gb")),
                               out("duck-gb"), groups(",")),
                       Command("Polars", peers.script("polars_row.py", "groupby", source, out("polars-gb")), out("polars-gb"),
                               groups(",")),
                       SparkCommand("groupby", o, source, normal=groups(","))]
        return all_of


class Select(Row):
    name, kind, full = "select", "groups", 20_000_000
    what = "the lines with a value above 990, of 20 M rows of CSV"

    def contestants(self, o):
        source = self.source(o)
        c = self.started(source)
        out = inputs.scratch
        all_of = [Job("millrace", c, "select.so", ["-input", "/in/data", "-D", "select.field=2", "-D", "select.op=gt", "-D",
                                                   "select.value=990"], sorted_lines),
                  Command("floor", [inputs.floor("select"), str(o.threads), source, out("floor-select")], out("floor-select"),
                          sorted_lines)]
        if not o.no_peers:
            peers.java()
            all_of += [Command("DuckDB", peers.script("duckdb_row.py", "select", o.threads, source, out("duck-select")),
                               out("duck-select"), sorted_lines),
                       Command("Polars", peers.script("polars_row.py", "select", source, out("polars-select")),
                               out("polars-select"), sorted_lines),
                       SparkCommand("select", o, source, normal=sorted_lines)]
        return all_of


ROWS = [WordCount, GroupBy, Select]
