"""pages -- what the daemons show over HTTP: complete without script, safe with hostile names, true numbers."""
import html.parser
import re
import urllib.error
import urllib.parse
import urllib.request

from harness import JOBS, ClusterTest, main, pattern, wait_for

HOSTILE = '/<script>alert("1")<b>&amp;\'%41'


class Balanced(html.parser.HTMLParser):
    """Fails on tags that do not match; collects what the page refers to."""
    VOID = {"meta", "link", "br", "img", "input", "hr", "tr"}    # the end of a row may be left out

    def __init__(self):
        super().__init__()
        self.open, self.refers, self.scripts = [], [], 0

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.refers += [v for k, v in attrs if k in ("src", "href")]
        self.scripts += tag == "script"
        assert not any(k.startswith("on") or k == "style" for k, _ in attrs), (tag, attrs)

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()


class Pages(ClusterTest):
    nodes = 2
    settings = ["dfs.replication=2", "dfs.blocksize=1m"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.http = {name: m["http"] for name, m in cls.cluster.ps().items()}

    def get(self, name, path, status=200):
        try:
            with urllib.request.urlopen(f"http://{self.http[name]}{path}", timeout=20) as r:
                self.assertEqual(r.status, status)
                self.assertIn("default-src 'self'", r.headers["Content-Security-Policy"])
                return r.read().decode()
        except urllib.error.HTTPError as e:
            text = e.read().decode(errors="replace")
            self.assertEqual(e.code, status, text[:500])
            return text

    def page(self, name, path):
        text = self.get(name, path)
        p = Balanced()
        p.feed(text)
        self.assertEqual(p.open, [])
        self.assertEqual(p.scripts, 1)
        for ref in p.refers:
            self.assertTrue(ref.startswith("/"), f"{ref} is loaded from elsewhere")
        return text

    def test_every_daemon_has_a_page_health_and_metrics(self):
        for name in self.http:
            self.page(name, "/")
            self.assertTrue(self.get(name, "/healthz").startswith("ok"))
            metrics = self.get(name, "/metrics")
            for line in metrics.splitlines():
                self.assertRegex(line, r"^(# (HELP|TYPE) millrace_\w+ .*|millrace_\w+(\{[^}]*\})? -?[0-9.e+]+)$")
            self.assertIn("prefers-color-scheme: dark", self.get(name, "/static/style.css"))
            self.get(name, "/no-such-page", 404)

    def test_overview_and_nodes_show_true_numbers(self):
        self.dfs("put", self.temp("three", pattern(3 << 20)), "/three")
        text = self.page("nn", "/browse?path=/three")
        self.assertEqual(len(re.findall(r"blk_\d+_\d+", text)), 3)
        self.assertIn("node1", text)
        self.assertIn("node2", text)
        used = lambda: re.findall(r"millrace_nn_used_bytes (\d+)", self.get("nn", "/metrics"))
        wait_for("the bytes to be counted", lambda: int(used()[0]) >= 2 * (3 << 20))
        before = self.blocks_of_node1()
        self.dfs("put", self.temp("two", pattern(2 << 20)), "/two")
        wait_for("two more blocks on node1", lambda: self.blocks_of_node1() == before + 2)
        self.dfs("rm", "-skipTrash", "/two")
        wait_for("two blocks less", lambda: self.blocks_of_node1() == before)

    def blocks_of_node1(self):
        row = re.search(r"<tr><td>node1</td>.*", self.page("nn", "/nodes")).group(0)
        return int(re.findall(r'<td class="n">([\d,]+)</td>', row)[0].replace(",", ""))

    def test_names_of_users_are_escaped(self):
        self.dfs("mkdir", HOSTILE)
        text = self.page("nn", "/browse?path=/")
        self.assertNotIn("<script>alert", text)
        inside = self.page("nn", "/browse?path=" + urllib.parse.quote(HOSTILE))
        self.assertIn("This directory is empty", inside)

    def test_browsing_keeps_to_permissions(self):
        self.dfs("mkdir", "/secret")
        self.dfs("chmod", "700", "/secret")
        self.assertIn("Permission denied", self.get("nn", "/browse?path=/secret", 403))
        self.get("nn", "/browse?path=/missing", 404)

    def test_a_job_is_shown_with_its_attempts_counters_and_logs(self):
        self.dfs("put", "/etc/services", "/in")
        out = self.mr("run", f"{JOBS}/wordcount.so", "-input", "/in", "-output", "/out")
        job = re.search(r"job_\d+_\d+", out.stdout + out.stderr).group(0)
        self.assertIn(job, self.page("jt", "/"))
        text = self.page("jt", f"/job?id={job}")
        self.assertIn("SUCCEEDED", text)
        self.assertIn("MAP_INPUT_RECORDS", text)
        attempt = re.search(r"attempt_\d+_\d+_m_\d+_\d+", text).group(0)
        self.page("jt", f"/logs?job={job}&attempt={attempt}")
        self.assertIn("node2", self.page("jt", "/trackers"))
        self.get("jt", "/job?id=job_1_1", 404)


if __name__ == "__main__":
    main()
