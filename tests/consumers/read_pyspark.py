"""PySpark, with one local session."""

import os
import time

from pyspark.sql import SparkSession, functions

# An empty text in quotes. Spark takes it for null if it is read as an empty text where that stands for null.
EMPTY = "\0empty"


class Reader:
    def __init__(self):
        # Instants come as local times.
        os.environ["TZ"] = "UTC"
        time.tzset()
        builder = SparkSession.builder.master("local[2]").appName("consumers")
        settings = {
            "spark.sql.session.timeZone": "UTC",
            "spark.ui.enabled": "false",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.sql.shuffle.partitions": "2",
            # Days before 1582 and instants before 1900 are what they are; else Spark asks which calendar they are of.
            "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
            "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        }
        for name, value in settings.items():
            builder = builder.config(name, value)
        self.spark = builder.getOrCreate()
        self.spark.sparkContext.setLogLevel("OFF")

    def skips(self, output):
        if output["path"] == "clocks.parquet":
            return "Spark has no instants in nanoseconds"
        if output["path"] == "tabs.csv":
            return "Spark takes an empty field for null, whatever stands for null"
        if output["path"] == "dos.csv":
            return "Spark makes line feeds of the line ends in quotes"
        return None

    def omits(self, output):
        return []

    def parquet(self, path, hive):
        frame = self.spark.read.parquet(path)
        if hive:
            frame = frame.withColumn("day", functions.to_date("day"))
        return dicts(frame)

    def csv(self, path, types, format):
        reader = self.spark.read.schema(self.spark.read.parquet(types).schema)
        frame = reader.csv(
            path, sep=format["delimiter"], header=format["header"], nullValue=format["null"], emptyValue=EMPTY, quote='"', escape='"',
            multiLine=True, mode="FAILFAST")
        return dicts(frame.replace(EMPTY, ""))

    def json_lines(self, path, types):
        return dicts(self.spark.read.schema(self.spark.read.parquet(types).schema).json(path, mode="FAILFAST"))


def dicts(frame):
    return [row.asDict(recursive=True) for row in frame.collect()]
