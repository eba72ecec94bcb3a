"""docs -- the commands on the pages of docs/jobs print what the pages show."""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster"))
from harness import BIN, SLOW, TOP, main  # noqa: E402

PAGES = os.path.join(TOP, "docs", "jobs")


class Pages(unittest.TestCase):
    def test_commands_on_the_pages_print_what_the_pages_show(self):
        r = subprocess.run([sys.executable, os.path.join(PAGES, "build"), "--check"], env=dict(os.environ, BIN=BIN),
                           capture_output=True, text=True, timeout=300 * SLOW)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)

    def test_each_job_has_a_page_in_the_index(self):
        with open(os.path.join(PAGES, "README.md")) as f:
            index = f.read()
        pages = {name[:-3] for name in os.listdir(PAGES) if name.endswith(".md")}
        for name in os.listdir(os.path.join(TOP, "jobs")):
            job, ending = os.path.splitext(name)
            if ending == ".c":
                page = "tera" if job.startswith("tera") else job
                self.assertIn(page, pages)
                self.assertIn(f"({page}.md)", index)


if __name__ == "__main__":
    main()
