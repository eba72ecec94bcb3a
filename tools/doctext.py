#!/usr/bin/env python3
"""doctext.py -- plain English text from Debian's documentation packages.

    doctext.py OUT.txt BYTES

Downloads documentation packages (apt-get download; nothing is installed), takes the
markup off their HTML pages and writes the text of each different page once, package
after package, until there are BYTES. Prints what came from where.
"""
import gzip
import hashlib
import html
import os
import re
import subprocess
import sys
import tempfile

PACKAGES = ["linux-doc-6.1", "rust-doc", "openjdk-17-doc", "python3.11-doc", "postgresql-doc-15", "libstdc++-12-doc",
            "llvm-14-doc"]
MARKUP = re.compile(r"<script.*?</script>|<style.*?</style>|<head.*?</head>|<!--.*?-->|<[^>]*>", re.S)
BLANK = re.compile(r"\n\s*\n+")


def page_text(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as f:
        raw = f.read().decode("utf-8", "replace")
    return BLANK.sub("\n", html.unescape(MARKUP.sub("", raw))).encode()


def pages(root):
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith((".html", ".html.gz")) and not os.path.islink(path):
                found.append(path)
    return sorted(found)


def unpack(package, folder):
    """The package's files, from an installed copy or from its archive."""
    subprocess.run(["apt-get", "download", package], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    archive = [n for n in os.listdir(folder) if n.endswith(".deb")][0]
    subprocess.run(["dpkg-deb", "-x", archive, "files"], cwd=folder, check=True)
    return os.path.join(folder, "files"), archive


def main():
    out_path, want = sys.argv[1], int(sys.argv[2])
    seen, total = set(), 0
    with open(out_path + ".part", "wb") as out:
        for package in PACKAGES:
            if total >= want:
                break
            with tempfile.TemporaryDirectory() as folder:
                os.chmod(folder, 0o755)     # apt's own user writes there
                try:
                    root, archive = unpack(package, folder)
                except (subprocess.CalledProcessError, IndexError):
                    print(f"  {package}: apt-get cannot download it, left out", file=sys.stderr)
                    continue
                before, count = total, 0
                for path in pages(root):
                    text = page_text(path)
                    digest = hashlib.sha256(text).digest()
                    if digest in seen:
                        continue
                    seen.add(digest)
                    out.write(text)
                    total += len(text)
                    count += 1
                print(f"  {archive}: {count} pages, {(total - before) / 1e6:.1f} MB of text", file=sys.stderr)
    if total < want:
        sys.exit(f"doctext.py: only {total} of {want} bytes of text; is apt-get update needed?")
    os.rename(out_path + ".part", out_path)


main()
