#!/bin/sh
# A NameNode of this build killed while clients change the namespace: test_crash.sh [BIN]
set -eu
here=$(dirname "$0")
BIN=${1:-bin} exec python3 "$here/test_crash.py"
