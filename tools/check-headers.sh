#!/bin/sh
# check-headers SRCDIR COMPILER FLAGS...: each header compiles alone.
set -eu
src=$1
shift
status=0
list=$(cd "$src" && find . -name '*.h' -type f ! -path './build*' ! -path './.*' | sed 's|^\./||' | LC_ALL=C sort)
for h in $list; do
    printf '#include "%s"\n' "$h" | "$@" -fsyntax-only -x c - || { echo "$h does not compile alone" >&2; status=1; }
done
exit $status
