#!/bin/sh
# check-globals LIBRARY...: no writable variable outside a function's frame or the heap, save in core/base.
#
# So one process can run a NameNode and five DataNodes.  Sanitizers and coverage add variables of their own: skipped.
set -eu
objdump -t "$@" | awk '
/:[ \t]+file format/ { object = $1; sub(/:$/, "", object); next }
/^In archive/ { next }
NF >= 5 && $0 ~ /[ \t]O[ \t]+\.(data|bss|tdata|tbss)(\.[^r][^ \t]*)?[ \t]/ {
    if ($0 ~ /\.data\.rel\.ro/ || object ~ /libcore_a-(log|mem|check|faults)\.o$/)
        next
    print object ": " $NF " is writable and outlives its function"; bad = 1
}
END { exit bad }' >&2
