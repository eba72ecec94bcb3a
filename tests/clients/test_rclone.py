"""rclone's hdfs backend, unmodified, from Debian: a tree of files and one large file in and out."""
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster"))
from harness import SLOW, ClusterTest, main, pattern  # noqa: E402

FILES = int(os.environ.get("RCLONE_FILES", "2000"))
LARGE = int(os.environ.get("RCLONE_LARGE", str(400 * 1000 * 1000)))


def make_tree(root, count):
    """Files with spaces, UTF-8, percent signs, no bytes, deep paths; the same ones every time."""
    rng = random.Random(7)
    names = ["plain", "with space", "grüße", "日本語", "100%", "a%20b", "comma,semi;", "quo'te", 'dou"ble', "plus+and&", "~tilde", "#hash"]
    for i in range(count):
        depth = 12 if i % 97 == 0 else rng.randrange(4)
        folder = os.path.join(root, *[f"{rng.choice(names)} {rng.randrange(6)}" for _ in range(depth)])
        os.makedirs(folder, exist_ok=True)
        size = 0 if i % 10 == 0 else rng.randrange(1, 3000)
        with open(os.path.join(folder, f"{rng.choice(names)}-{i}"), "wb") as f:
            f.write(rng.randbytes(size))


class Rclone(ClusterTest):
    nodes = 3

    def setUp(self):
        self.local = tempfile.mkdtemp(prefix="rclone-", dir=self.cluster.folder)

    def rclone(self, *args, check=True):
        env = dict(os.environ, RCLONE_CONFIG="/dev/null", RCLONE_CONFIG_R_TYPE="hdfs",
                   RCLONE_CONFIG_R_NAMENODE=self.cluster.ps()["nn"]["rpc"], RCLONE_CONFIG_R_USERNAME="root")
        r = subprocess.run(["rclone", "--retries", "1", *args], capture_output=True, env=env, timeout=600 * SLOW)
        if check:
            self.assertEqual((r.returncode, b"ERROR" in r.stderr), (0, False), r.stderr.decode(errors="replace")[-3000:])
        return r.stdout.decode()

    def test_directories_are_made_listed_moved_and_removed(self):
        self.rclone("mkdir", "r:/dirs/a/b")
        self.rclone("mkdir", "r:/dirs/c d")
        self.assertEqual(sorted(self.rclone("lsf", "r:/dirs").split("\n")), ["", "a/", "c d/"])
        with open(os.path.join(self.local, "f"), "wb") as f:
            f.write(b"hello\n")
        self.rclone("copyto", os.path.join(self.local, "f"), "r:/dirs/a/f")
        self.rclone("moveto", "r:/dirs/a/f", "r:/dirs/a/g")
        self.assertEqual(self.rclone("lsf", "r:/dirs/a").split("\n"), ["b/", "g", ""])
        self.assertEqual(self.rclone("cat", "r:/dirs/a/g"), "hello\n")
        self.rclone("rmdir", "r:/dirs/a/b")
        self.assertEqual(self.rclone("lsf", "r:/dirs/a"), "g\n")
        self.rclone("purge", "r:/dirs")
        self.rclone("lsf", "r:/dirs", check=False)

    def test_tree_comes_back_equal(self):
        tree, back = os.path.join(self.local, "tree"), os.path.join(self.local, "back")
        make_tree(tree, FILES)
        self.rclone("copy", tree, "r:/tree", "--transfers", "8")
        self.rclone("check", tree, "r:/tree", "--download", "--checkers", "8")
        self.assertEqual(len(self.rclone("ls", "r:/tree").splitlines()), FILES)
        self.rclone("copy", "r:/tree", back, "--transfers", "8")
        subprocess.run(["diff", "-r", tree, back], check=True)
        self.rclone("moveto", "r:/tree", "r:/moved")
        self.assertEqual(len(self.rclone("lsf", "-R", "--files-only", "r:/moved").splitlines()), FILES)
        self.rclone("purge", "r:/moved")
        self.assertNotIn("moved", self.rclone("lsf", "r:/"))
        shutil.rmtree(self.local)

    def test_large_file_comes_back_equal(self):
        path = os.path.join(self.local, "large")
        digest = hashlib.sha256()
        with open(path, "wb") as f:
            left, seed = LARGE, 1
            while left:
                piece = pattern(min(left, 8 << 20), seed)
                digest.update(piece)
                f.write(piece)
                left, seed = left - len(piece), seed + 1
        self.rclone("copy", path, "r:/big")
        self.rclone("copy", "r:/big/large", os.path.join(self.local, "back"))
        back = hashlib.sha256()
        with open(os.path.join(self.local, "back", "large"), "rb") as f:
            while piece := f.read(8 << 20):
                back.update(piece)
        self.assertEqual(back.digest(), digest.digest())
        self.rclone("purge", "r:/big")
        shutil.rmtree(self.local)


if __name__ == "__main__":
    main()
