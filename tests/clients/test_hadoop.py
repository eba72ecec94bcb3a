"""Hadoop's own shell (FsShell of Hadoop 3.4 from Maven Central) against our daemons. Skipped where Java is not."""
import os
import re
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cluster"))
from harness import SLOW, TOP, ClusterTest, main, pattern  # noqa: E402

JARS = os.path.join(TOP, "build", "hadoop-jars")
SITE = '<configuration><property><name>fs.defaultFS</name><value>hdfs://{}</value></property></configuration>'


def fetch_jars():
    """The client's jars; why not, if that cannot be."""
    if not shutil.which("java"):
        return "no java (apt-get install openjdk-17-jre-headless)"
    if os.path.isdir(JARS) and any(n.startswith("hadoop-hdfs-") for n in os.listdir(JARS)):
        return None
    if not shutil.which("mvn"):
        return "no mvn to fetch Hadoop's client (apt-get install maven)"
    r = subprocess.run(["mvn", "-q", "-B", "-f", os.path.join(HERE, "hadoop", "pom.xml"), "dependency:copy-dependencies",
                        "-DoutputDirectory=" + JARS], capture_output=True, text=True, timeout=600)
    return None if r.returncode == 0 else "mvn cannot fetch Hadoop's client: " + r.stdout[-300:]


WHY_NOT = fetch_jars()


@unittest.skipIf(WHY_NOT, f"skipped: {WHY_NOT}")
class Shell(ClusterTest):
    nodes = 3
    # Hadoop's client takes block size and replication from its own defaults: 128 MB and 3.

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.conf = os.path.join(cls.cluster.folder, "hadoop-conf")
        os.makedirs(cls.conf)
        for name, text in (("core-site.xml", SITE.format(cls.cluster.ps()["nn"]["rpc"])), ("hdfs-site.xml", "<configuration/>")):
            with open(os.path.join(cls.conf, name), "w") as f:
                f.write(text)

    def fs(self, *args, status=0, tool="org.apache.hadoop.fs.FsShell"):
        r = subprocess.run(["java", "-Xmx512m", "-cp", f"{self.conf}:{JARS}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                            tool, *args], capture_output=True, timeout=300 * SLOW,
                           env=dict(os.environ, HADOOP_USER_NAME="root"))
        self.assertEqual(r.returncode, status, (args, r.stdout[-2000:], r.stderr[-3000:]))
        return r.stdout

    def test_files_go_in_and_out(self):
        data = pattern(5_000_000)
        path = self.temp("five", data)
        self.fs("-mkdir", "-p", "/h/a b/ü")
        self.fs("-put", path, "/h/five")
        self.assertEqual(self.fs("-cat", "/h/five"), data)
        self.fs("-get", "/h/five", path + ".back")
        with open(path + ".back", "rb") as f:
            self.assertEqual(f.read(), data)
        self.assertEqual(self.dfs("cat", "/h/five", binary=True).stdout, data)
        self.fs("-mv", "/h/five", "/h/a b/six")
        listing = self.fs("-ls", "-R", "/h").decode()
        self.assertRegex(listing, r"-rw-r--r--   3 root supergroup    5000000 \d{4}-\d\d-\d\d \d\d:\d\d /h/a b/six\n")
        self.assertRegex(listing, r"drwxr-xr-x   - root supergroup          0 .* /h/a b/ü\n")
        self.assertEqual(self.fs("-stat", "%n %b %r %o %u", "/h/a b/six"), b"six 5000000 3 134217728 root\n")
        self.assertEqual(self.fs("-du", "-s", "/h").split()[:2], [b"5000000", b"15000000"])
        self.fs("-rm", "-r", "-skipTrash", "/h")
        self.fs("-ls", "/h", status=1)

    def test_checksums_are_the_same_as_ours(self):
        self.dfs("put", self.temp("sum", pattern(3_000_000, 5)), "/sum")
        theirs = self.fs("-checksum", "/sum").decode().split()
        self.assertEqual(theirs, self.dfs("checksum", "/sum").stdout.split())
        self.assertTrue(re.fullmatch(r"MD5-of-0MD5-of-512CRC32C", theirs[1]))

    def test_appends_by_both_clients_make_one_file(self):
        data, path = b"", self.temp("piece")
        for i in range(4):
            piece = pattern(100_000 + 77 * i, 20 + i)       # ends inside a chunk, as does what follows
            data += piece
            self.temp("piece", piece)
            if i % 2:
                self.dfs("appendToFile", path, "/appended")
            else:
                self.fs("-appendToFile", path, "/appended")
        self.assertEqual(self.fs("-cat", "/appended"), data)
        self.assertEqual(self.dfs("cat", "/appended", binary=True).stdout, data)
        self.fs("-appendToFile", "-n", path, "/appended")
        self.assertEqual(self.dfs("cat", "/appended", binary=True).stdout, data + piece)
        self.assertIn("Total blocks (validated):\t2 ", self.dfs("fsck", "/appended").stdout)

    def test_hadoop_shows_what_is_being_appended(self):
        self.dfs("put", self.temp("begun", pattern(1000, 30)), "/grows")
        with self.cluster.popen("dfs", "appendToFile", "-", "/grows", stdin=subprocess.PIPE) as writer:
            writer.stdin.write(pattern(300_000, 31))
            writer.stdin.flush()
            whole = pattern(1000, 30) + pattern(300_000, 31)
            seen = self.fs("-cat", "/grows")
            self.assertGreaterEqual(len(seen), 1000)
            self.assertEqual(seen, whole[:len(seen)])
            writer.stdin.close()
            self.assertEqual(writer.wait(60 * SLOW), 0)
        self.assertEqual(self.fs("-cat", "/grows"), whole)

    def test_a_file_is_cut_and_its_lease_recovered(self):
        data = pattern(300_000)
        self.dfs("put", self.temp("cut", data), "/cut")
        self.assertIn(b"Truncated /cut to length: 123456", self.fs("-truncate", "-w", "123456", "/cut"))
        self.assertEqual(self.dfs("cat", "/cut", binary=True).stdout, data[:123456])
        self.assertEqual(self.fs("recoverLease", "-path", "/cut", tool="org.apache.hadoop.hdfs.tools.DebugAdmin"),
                         b"recoverLease SUCCEEDED on /cut\n")

    def test_replication_is_changed_and_waited_for(self):
        self.dfs("put", self.temp("rep", pattern(1_000_000, 6)), "/rep")
        self.fs("-setrep", "-w", "2", "/rep")
        self.assertEqual(self.fs("-stat", "%r", "/rep"), b"2\n")
        self.fs("-setrep", "-w", "3", "/rep")


if __name__ == "__main__":
    main()
