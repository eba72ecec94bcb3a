#!/bin/sh
# check-deps SRCDIR: every #include of a file of ours goes in a direction that tools/deps.allow has.
set -eu
cd "$1"
find . -name '*.[ch]' -type f ! -path './build*' ! -path './.*' | sed 's|^\./||' | LC_ALL=C sort |
xargs grep -Hn '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' |
awk -F: '
function folder(path,    f) {           # the longest line of deps.allow that path is under
    f = path
    while (sub(/\/[^\/]*$/, "", f))
        if (f in allowed)
            return f
    return ""
}
BEGIN {
    while ((getline line < "tools/deps.allow") > 0) {
        sub(/#.*/, "", line)
        if (split(line, w, /[ \t:]+/) < 1 || w[1] == "")
            continue
        allowed[w[1]] = " " w[1] " "
        for (i = 2; i in w; i++)
            allowed[w[1]] = allowed[w[1]] w[i] " "
    }
}
{
    split($3, q, "\"")
    from = folder($1); to = q[2]
    if (from == "") {
        print $1 ": no line of tools/deps.allow is for this folder"; bad = 1; next
    }
    if (to !~ /\//)                     # config.h, or a file beside the one that includes it
        next
    target = folder(to)
    if (index(allowed[from], " * ") == 0 && index(allowed[from], " " target " ") == 0 &&
        index(allowed[from], " " to " ") == 0) {
        print $1 ":" $2 ": " from " may not include " to; bad = 1
    }
}
END { exit bad }' >&2
