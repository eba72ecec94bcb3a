"""mr report: its parts sum to the attempts' times, a failed attempt is drawn as such, the page stands alone."""
import html.parser
import json
import os
import re
import subprocess

from harness import TOP, ClusterTest, main, program

SPLIT = "mapreduce.input.fileinputformat.split.maxsize=64k"
VOID = {"meta", "br", "link"}
OPTIONAL = {"td": {"td", "th"}, "th": {"td", "th"}, "tr": {"td", "th", "tr"}}      # a start tag that ends these


class Page(html.parser.HTMLParser):
    """Tags are closed in order; what the page shows is gathered."""

    def __init__(self, text):
        super().__init__()
        self.open, self.classes, self.text, self.rows, self.links = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def end(self, tags):
        while self.open and self.open[-1] in tags:
            self.open.pop()

    def handle_starttag(self, tag, attrs):
        self.end(OPTIONAL.get(tag, ()))
        if tag not in VOID:
            self.open.append(tag)
        attrs = dict(attrs)
        self.classes.append(attrs.get("class", ""))
        self.links += [attrs[k] for k in ("href", "src") if k in attrs]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in ("thead", "tbody", "table"):
            self.end({"td", "th", "tr"} | ({"tbody"} if tag == "table" else set()))
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and ("td" in self.open or "th" in self.open) and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


class Report(ClusterTest):
    nodes = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.trouble = os.path.join(cls.cluster.folder, "trouble.so")
        subprocess.run([program("mrcc"), "-o", cls.trouble, os.path.join(TOP, "tests/cluster/jobs/trouble.c")], check=True)
        cls.cluster.dfs("put", "-", "/text", stdin="".join(f"w{i % 977} w{i % 31}\n" for i in range(40000)))

    def report(self, output, *options):
        self.mr("run", self.trouble, "-D", SPLIT, "-D", "mapreduce.job.reduces=3", *options, "-input", "/text", "-output", output)
        job = json.loads(self.mr("ps", "--all", "--json").stdout)[-1]["id"]
        path = os.path.join(self.cluster.folder, job + ".html")
        said = self.mr("report", job, "-o", path).stdout
        with open(path) as f:
            return job, said, Page(f.read())

    def test_parts_agree_with_the_counters_and_the_failed_attempt_is_shown(self):
        job, said, page = self.report("/out", "-D", "how=segv", "-D", "when=first")
        self.assertEqual(page.links, [])
        counters = json.loads(self.mr("counters", job, "--json").stdout)
        rows = {r[0]: r for r in page.rows if len(r) == 7}
        for part in ("read", "parse", "map", "fold", "sort", "spill", "fetch", "merge", "reduce", "write"):
            row = rows[part]
            self.assertAlmostEqual(float(row[2]) + float(row[3]), counters.get(part.upper() + "_MICROSECONDS", 0) / 1e6, delta=0.002)
        self.assertIn("failed", page.classes)
        attempts = [r for r in page.rows if len(r) == 20 and r[0].startswith("attempt_")]
        status = json.loads(self.mr("status", job, "--json").stdout)
        self.assertEqual(len(attempts), len(status["attempts"]))
        self.assertIn("FAILED", [r[1] for r in attempts])
        for r in attempts:
            self.assertAlmostEqual(sum(map(float, r[7:19])), float(r[4]) - float(r[3]), delta=0.01)
        self.assertRegex(said, r"maps ran from [\d.]+ s to [\d.]+ s")
        self.assertRegex(said, r"3 reduces ran from")

    def test_report_to_stdout_and_of_a_job_that_is_not_there(self):
        job, _, _ = self.report("/out2")
        self.assertTrue(re.match(r"<!doctype html>", self.mr("report", job, "-o", "-").stdout))
        r = self.mr("report", "job_197001010000_0001", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("job_197001010000_0001", r.stderr)
        self.assertEqual(self.mr("report", check=False).returncode, 2)


if __name__ == "__main__":
    main()
