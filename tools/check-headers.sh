#!/bin/sh
# check-headers SRCDIR COMPILER FLAGS...: each header compiles alone.
set -eu
src=$1
shift
status=0
list=$(cd "$src" && find core namenode datanode jobtracker tasktracker dfsclient libmr tests web millrace \
    -name '*.h' -type f 2>/dev/null | LC_ALL=C sort)
for h in $list; do
    printf '#include "%s"\n' "$h" | "$@" -fsyntax-only -x c - || { echo "$h does not compile alone" >&2; status=1; }
done
exit $status
