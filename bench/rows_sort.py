"""rows_sort -- sorting 1 GB of records: in memory, and in a third of the memory that the data need."""
import hashlib

import inputs
import peers
from cluster import Job
from measure import Command
from rows_jobs import Row, SparkCommand


def digest(data):
    """Peers that read text write other ends of lines; the order and the bytes of the records stay."""
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).digest()


class Sort(Row):
    name, kind, full = "sort", "records", 10_000_000
    what = "TeraSort: 10 M records of 100 bytes by their first 10"
    figures = ("wall",)
    floor = "sort"

    def options_of_job(self, o):
        return []

    def floor_options(self, o):
        return []

    def gnu_memory(self, o):
        return "4G"

    def contestants(self, o):
        source = self.source(o)
        c = self.started(source)
        out = inputs.scratch
        args = ["-input", "/in/data", "-D", f"mapreduce.job.reduces={o.threads}", *self.options_of_job(o)]
        floor = [inputs.floor(self.floor), str(o.threads), source, out("floor-sort"), *self.floor_options(o)]
        all_of = [Job("millrace", c, "terasort.so", args, digest), Command("floor", floor, out("floor-sort"), digest),
                  Command("floor, output synced", ["sh", "-c", '"$@" && sync -d "$4"', "sh", *floor], out("floor-sort"), digest)]
        if not o.no_peers:
            all_of += [Command("GNU sort", ["sort", f"--parallel={o.threads}", "-S", self.gnu_memory(o), "-T", inputs.CACHE,
                                            "-o", out("gnu-sort"), source], out("gnu-sort"), digest, env={"LC_ALL": "C"})]
            all_of += self.other_peers(o, source)
        return all_of

    def other_peers(self, o, source):
        out = inputs.scratch
        peers.java()
        return [Command("DuckDB", peers.script("duckdb_row.py", "sort", o.threads, source, out("duck-sort")),
                        out("duck-sort"), digest),
                Command("Polars", peers.script("polars_row.py", "sort", source, out("polars-sort")), out("polars-sort"), digest),
                SparkCommand("sort", o, source, normal=digest), self.on_hadoop(o, source, "terasort", digest)]


class BigSort(Sort):
    """All together may use a third of the data's size: two tasks at a time, each half of that."""
    name, floor = "bigsort", "bigsort"
    what = "the same with memory for a third of the data"

    def memory(self, o):
        return max(32, self.size(o) * 100 // 3_000_000)     # MB; less than 16 a task is not for sorting

    def options_of_job(self, o):
        return ["-D", f"mapreduce.task.io.sort.mb={self.memory(o) // o.threads}",
                "-D", f"mapreduce.map.memory.mb={self.memory(o) // o.threads}"]

    def floor_options(self, o):
        return [str(self.memory(o))]

    def gnu_memory(self, o):
        return f"{self.memory(o)}M"

    def other_peers(self, o, source):
        target = inputs.scratch("duck-sort")
        return [Command("DuckDB", peers.script("duckdb_row.py", "sort", o.threads, source, target, f"{self.memory(o)}MB"), target,
                        digest)]


ROWS = [Sort, BigSort]
