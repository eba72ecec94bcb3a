#!/bin/sh
# The recorded calls against the NameNode of this build: test_replay.sh [BIN]
set -eu
here=$(dirname "$0")
exec python3 "$here/replay_exceptions.py" --namenode "${1:-bin}/namenode"
