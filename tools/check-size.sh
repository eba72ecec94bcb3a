#!/bin/sh
# check-size SRCDIR: .c files have at most 800 lines, .h files 250, functions 70.
#
# tools/size.allow lists what is larger, "FILE LINES" or "FILE:FUNCTION LINES".  It may only shrink: an entry that is
# larger than it needs to be, or not needed, is an error too.
set -eu
cd "$1"
find . -name '*.[ch]' -type f ! -path './build*' ! -path './.*' | sed 's|^\./||' | LC_ALL=C sort |
xargs awk '
function measure(what, n, most) {
    if (what in listed) {
        seen[what] = 1
        if (n <= most)
            complain(what " is no longer too large: take it out of tools/size.allow")
        else if (n < listed[what])
            complain(what " has shrunk to " n " lines: say so in tools/size.allow")
        most = listed[what]
    }
    if (n > most)
        complain(what ": " n " lines, at most " most)
}
function complain(text) { print text; bad = 1 }
BEGIN {
    while ((getline line < "tools/size.allow") > 0) {
        sub(/#.*/, "", line)
        if (split(line, w) == 2)
            listed[w[1]] = w[2]
    }
}
FNR == 1 {
    if (file != "")
        measure(file, lines, file ~ /\.h$/ ? 250 : 800)
    file = FILENAME; start = 0; name = ""
}
{ lines = FNR }
/^\{/ && !start { start = FNR }
/^\}/ && start { measure(file ":" name, FNR - start + 1, 70); start = 0 }
!start && match($0, /^[A-Za-z_].*\(/) {
    name = $0
    if (name ~ /^START_TEST/) {
        sub(/^START_TEST\(/, "", name); sub(/\).*/, "", name)
    } else {
        sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
    }
}
END {
    measure(file, lines, file ~ /\.h$/ ? 250 : 800)
    for (what in listed)
        if (!(what in seen))
            complain(what " is not there: take it out of tools/size.allow")
    exit bad
}' >&2
