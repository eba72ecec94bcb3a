#!/bin/sh
# check-generated GENDOC SRCDIR [update]: the texts that come from the tables match the tables.
set -eu
gendoc=$1 src=$2 update=${3:-}
status=0
for pair in sample:conf/millrace.conf.sample options:docs/options.md reference:docs/reference.md; do
    what=${pair%%:*} file=${pair#*:}
    new=$(mktemp)
    "$gendoc" "$what" >"$new"
    if [ -n "$update" ]; then
        mkdir -p "$src/$(dirname "$file")"
        cmp -s "$new" "$src/$file" || { cp "$new" "$src/$file"; chmod 644 "$src/$file"; echo "updated $file"; }
    elif ! diff -u "$src/$file" "$new"; then
        echo "$file does not match its tables: run \"make update-generated\"" >&2
        status=1
    fi
    rm -f "$new"
done
exit $status
