#!/bin/sh
# check-calls SRCDIR: calls that the house style bans, and FIXME.
#
# tools/calls.allow lists exceptions, "FILE CALL", with the reason after a #.  TODO comments are listed, not refused.
set -eu
cd "$1"
files=$(find . -name '*.[ch]' -type f ! -path './build*' ! -path './.*' | sed 's|^\./||' | LC_ALL=C sort)
# shellcheck disable=SC2086
awk '
function ban(name, line, file) {
    if ((file " " name) in allowed) {
        used[file " " name] = 1
        return
    }
    print file ":" FNR ": " name " is banned" (name in instead ? ": use " instead[name] : ""); bad = 1
}
BEGIN {
    unsafe = "strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atoll|atof|gets|strncpy|tmpnam|mktemp|alloca|rand|srand|system|popen"
    heap = "malloc|calloc|realloc|free|strdup|strndup|asprintf|vasprintf"
    instead["malloc"] = "mem_alloc"; instead["calloc"] = "mem_calloc"; instead["realloc"] = "mem_realloc"
    instead["free"] = "mem_free"; instead["strdup"] = "mem_strdup"; instead["strndup"] = "mem_strndup"
    instead["asprintf"] = "mem_printf"; instead["sprintf"] = "snprintf"; instead["rand"] = "struct rng"
    while ((getline line < "tools/calls.allow") > 0) {
        sub(/#.*/, "", line)
        if (split(line, w) == 2)
            allowed[w[1] " " w[2]] = 1
    }
}
{
    text = $0
    gsub(/"([^"\\]|\\.)*"/, "\"\"", text)       # words in texts are not calls
    if (!in_comment && text ~ /^[ \t]*(\/\*|\*|\/\/)/ && text !~ /\*\/[ \t]*[^ \t]/)
        is_comment = 1
    else
        is_comment = 0
    if (text ~ /FIXME/) {
        print FILENAME ":" FNR ": FIXME"; bad = 1
    }
    if (is_comment)
        next
    sub(/\/\*.*/, "", text)
    banned = FILENAME ~ /^(core\/base|tests|tools|jobs|bench)\// ? unsafe : unsafe "|" heap
    while (match(text, "(^|[^A-Za-z0-9_.>])(" banned ")[ \t]*\\(")) {
        name = substr(text, RSTART, RLENGTH)
        gsub(/[^A-Za-z0-9_]/, "", name)
        ban(name, FNR, FILENAME)
        text = substr(text, RSTART + RLENGTH)
    }
}
END {
    for (a in allowed)
        if (!(a in used)) {
            print a ": not there: take it out of tools/calls.allow"; bad = 1
        }
    exit bad
}' $files >&2
grep -n 'TODO(' $files || true
