"""duckdb_row ROW THREADS IN OUT [MEMORY]: the row's work in DuckDB."""
import sys

import duckdb

QUERIES = {
    "wordcount": "SELECT word, count(*) AS n FROM (SELECT unnest(regexp_extract_all(line, '[^ \\t\\r\\f\\v]+')) AS word FROM "
                 "read_csv('{}', columns={{'line': 'VARCHAR'}}, delim='\\x01', quote='', escape='', header=false)) GROUP BY word",
    "wordcount_split": "SELECT word, count(*) AS n FROM (SELECT unnest(string_split(line, ' ')) AS word FROM "
                       "read_csv('{}', columns={{'line': 'VARCHAR'}}, delim='\\x01', quote='', escape='', header=false)) "
                       "GROUP BY word",
    "groupby": "SELECT k, sum(v), count(*), min(v), max(v) FROM read_csv('{}', columns={{'k': 'VARCHAR', 'v': 'DOUBLE'}}, "
               "header=false) GROUP BY k",
    "select": "SELECT k, v FROM read_csv('{}', columns={{'k': 'VARCHAR', 'v': 'VARCHAR'}}, header=false) "
              "WHERE v::DOUBLE > 990",
    "sort": "SELECT line FROM read_csv('{}', columns={{'line': 'VARCHAR'}}, delim='\\x01', quote='', escape='', "
            "header=false) ORDER BY line[:10]",
}

row, threads, source, target, *memory = sys.argv[1:]
db = duckdb.connect()
db.execute(f"SET threads={threads}; SET preserve_insertion_order=false")
if memory:
    db.execute(f"SET memory_limit='{memory[0]}'; SET temp_directory='{target}.tmp'")
delimiter = "\\t" if row.startswith("wordcount") else ","
db.execute(f"COPY ({QUERIES[row].format(source)}) TO '{target}' (HEADER false, DELIMITER '{delimiter}', QUOTE '', ESCAPE '')")
