"""polars_row ROW IN OUT: the row's work in Polars."""
import sys

import polars as pl

row, source, target = sys.argv[1:]
if row == "wordcount":
    lines = pl.scan_csv(source, has_header=False, separator="\x01", quote_char=None, new_columns=["line"])
    q = lines.select(pl.col("line").str.split(" ").alias("w")).explode("w").group_by("w").len()
    q.collect(engine="streaming").write_csv(target, include_header=False, separator="\t")
elif row == "groupby":
    v = pl.col("v")
    q = pl.scan_csv(source, has_header=False, new_columns=["k", "v"]).group_by("k")
    q.agg(v.sum().alias("s"), v.len().alias("n"), v.min().alias("l"), v.max().alias("h")).collect(
        engine="streaming").write_csv(target, include_header=False)
elif row == "select":
    lines = pl.scan_csv(source, has_header=False, new_columns=["k", "v"], schema_overrides={"v": pl.String})
    lines.filter(pl.col("v").cast(pl.Float64) > 990).collect(engine="streaming").write_csv(target, include_header=False)
elif row == "sort":
    lines = pl.scan_csv(source, has_header=False, separator="\x01", quote_char=None, new_columns=["line"])
    lines.sort(pl.col("line").str.slice(0, 10)).collect(engine="streaming").write_csv(target, include_header=False,
                                                                                     quote_style="never")
