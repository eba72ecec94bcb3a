#!/bin/sh
# Hadoop's shell as recorded against the dfs of this build: test_golden_shell.sh [BIN]
set -eu
here=$(dirname "$0")
exec python3 "$here/test_golden_shell.py" --bin "${1:-bin}"
