#!/usr/bin/env python3
"""Counts words on a stand-alone cluster of Spark, by gristmill and by PySpark's data frames, in turn, and compares wall and processor time.

usage: spark.py BIN SPARK_HOME TEXT [RUNS]

BIN is a directory of cargo with a release build of `gristmill`. The cluster, a master and two workers of two cores, is the same for all runs. Processor time is that of the whole
machine from submitting to the end of the executors.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "spark"))
from cluster import Cluster  # noqa: E402

DATAFRAME = """
import sys
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, explode, split

spark = SparkSession.builder.getOrCreate()
words = spark.read.text(sys.argv[1]).select(explode(split(col("value"), "\\\\s+")).alias("word")).where(col("word") != "")
words.groupBy("word").count().write.mode("overwrite").parquet(sys.argv[2])
"""


def cpu_seconds():
    """Time that the processors of this machine have worked, for whatever process: nothing else may run meanwhile."""
    with open("/proc/stat") as stat:
        user, nice, system, _, _, irq, softirq = (int(field) for field in stat.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def executors_are_gone():
    """Waits until executors have ended."""
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-f", "CoarseGrainedExecutorBackend"], stdout=subprocess.DEVNULL).returncode == 0:
        if time.monotonic() > deadline:
            raise RuntimeError("an executor does not end")
        time.sleep(0.05)


def measured(command, env):
    before, start = cpu_seconds(), time.monotonic()
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
    wall = time.monotonic() - start
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    executors_are_gone()
    return wall, cpu_seconds() - before


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    binaries, spark_home, text, *runs = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        script = os.path.join(directory, "words.py")
        with open(script, "w") as file:
            file.write(DATAFRAME)
        with Cluster(spark_home, os.path.join(directory, "cluster")) as cluster:
            submit = os.path.join(spark_home, "bin", "spark-submit")
            commands = {
                "data frame": [submit, "--master", cluster.url, script, os.path.abspath(text), os.path.join(directory, "by-dataframe")],
                "gristmill": [os.path.join(binaries, "gristmill"), "wordcount", os.path.abspath(text), "-o", os.path.join(directory, "by-gristmill"), "--overwrite"],
            }
            times = {name: [] for name in commands}
            for _ in range(int(runs[0]) if runs else 3):
                for name, command in commands.items():
                    times[name].append(measured(command, cluster.env))
                    print(f"{name}: {times[name][-1][0]:.1f} s, {times[name][-1][1]:.1f} s of processors", flush=True)
            for place, what in enumerate(["wall", "processors"]):
                ratios = [ours[place] / theirs[place] for ours, theirs in zip(times["gristmill"], times["data frame"])]
                print(f"{what}: gristmill to data frame {min(ratios):.2f} / {statistics.median(ratios):.2f} / {max(ratios):.2f}")


if __name__ == "__main__":
    main()
