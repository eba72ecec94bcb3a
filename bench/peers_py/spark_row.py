"""spark_row ROW THREADS IN OUT [ARGUMENT ...]: the row's work in Spark's local mode; prints what it took inside."""
import sys
import time

from pyspark.sql import SparkSession, functions as F

row, threads, source, target, *more = sys.argv[1:]
began = time.monotonic()
spark = SparkSession.builder.master(f"local[{threads}]").config("spark.ui.enabled", "false").config(
    "spark.driver.memory", "6g").config("spark.sql.shuffle.partitions", threads).getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
print("session", time.monotonic() - began)


def points():
    from pyspark.ml.feature import VectorAssembler
    schema = ", ".join(f"c{i} DOUBLE" for i in range(21))
    rows = spark.read.csv(source, schema=schema)
    data = VectorAssembler(inputCols=[f"c{i}" for i in range(1, 21)], outputCol="features").transform(rows)
    data = data.select(data.c0.alias("label"), "features").cache()
    began = time.monotonic()
    data.count()
    print("parse", time.monotonic() - began)
    return data


if row == "wordcount":
    words = spark.read.text(source).select(F.explode(F.split("value", " ")).alias("w"))
    words.groupBy("w").count().write.csv(target, sep="\t")
elif row == "groupby":
    spark.read.csv(source, schema="k STRING, v DOUBLE").groupBy("k").agg(
        F.sum("v"), F.count("v"), F.min("v"), F.max("v")).write.csv(target)
elif row == "select":
    spark.read.csv(source, schema="k STRING, v STRING").where("double(v) > 990").write.csv(target)
elif row == "sort":
    spark.read.text(source).sort(F.substring("value", 1, 10)).write.text(target)
elif row == "kmeans":
    from pyspark.ml.clustering import KMeans
    data = points()
    took = []
    for iterations in (1, 1, 1 + int(more[1])):     # the first one is to get warm; the difference leaves out what begins a run
        began = time.monotonic()
        model = KMeans(k=int(more[0]), maxIter=iterations, tol=0.0, seed=1, initMode="random").fit(data)
        took.append((time.monotonic() - began, model.summary.numIter))      # it stops before when nothing moves
    print("iteration", (took[2][0] - took[1][0]) / max(1, took[2][1] - took[1][1]))
    print("iterations", took[2][1])
elif row == "logistic":
    from pyspark.ml.classification import LogisticRegression
    data = points()
    took = []
    for iterations in (1, 1, 1 + int(more[0])):
        began = time.monotonic()
        model = LogisticRegression(maxIter=iterations, tol=0.0, regParam=0.0, standardization=False).fit(data)
        took.append((time.monotonic() - began, model.summary.totalIterations))
    print("epoch", (took[2][0] - took[1][0]) / max(1, took[2][1] - took[1][1]))
    print("epochs", took[2][1])
elif row == "noop":
    took = []
    for _ in range(int(more[0])):
        began = time.monotonic()
        spark.sparkContext.parallelize([1], 1).count()
        took.append((time.monotonic() - began) * 1e3)
    took = sorted(took[len(took) // 3:])        # the first ones get warm
    print("p50", took[len(took) // 2])
    print("p99", took[len(took) * 99 // 100])
