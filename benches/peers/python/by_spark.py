"""The jobs by Spark, for spark-submit.

DataFrames, words as the quick start counts them: https://spark.apache.org/docs/latest/quick-start.html. Master, memory and partitions are
arguments of spark-submit.
"""

import os

from job import FIELDS, QUERIES, name, output, source, table, tables
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, concat_ws, explode, nullif, lit, split, split_part, to_timestamp

spark = SparkSession.builder.appName(name).getOrCreate()


def words():
    # White space as Unicode has it.
    words = spark.read.text(source).select(explode(split("value", r"(?U)\s+")).alias("word"))
    return words.where(col("word") != "").groupBy("word").count()


def csv():
    schema = (
        "id BIGINT, customer STRING, city STRING, status STRING, quantity BIGINT, price DOUBLE, weight DOUBLE, "
        "ordered DATE, shipped TIMESTAMP, comment STRING"
    )
    # Quoted texts contain line ends, so that Spark does not cut the file.
    return spark.read.csv(source, schema=schema, header=True, escape='"', multiLine=True, timestampFormat="yyyy-MM-dd'T'HH:mm:ss.SSSX")


def logs():
    """The log as CSV with a space for a comma."""
    schema = ", ".join(f"{field} STRING" for field in FIELDS)
    rows = spark.read.csv(source, schema=schema, sep=" ", quote='"', escape="\\")
    request = [split_part("request", lit(" "), lit(part)) for part in (1, 2, 3)]
    return rows.select(
        "host", nullif("ident", lit("-")).alias("ident"), nullif("user", lit("-")).alias("user"),
        to_timestamp(concat_ws(" ", "day", "zone"), "'['dd/MMM/yyyy:HH:mm:ss Z']'").alias("time"),
        request[0].alias("method"), request[1].alias("path"), request[2].alias("protocol"),
        col("status").cast("int"), nullif("bytes", lit("-")).cast("bigint").alias("bytes"),
        nullif("referer", lit("-")).alias("referer"), nullif("agent", lit("-")).alias("agent"),
    )


for one in tables:
    spark.read.parquet(table(one)).createOrReplaceTempView(one)
rows = {"words": words, "csv": csv, "logs": logs}.get(name, lambda: spark.sql(QUERIES[name]))()
rows.write.parquet(os.path.join(output, "out"))
spark.stop()
