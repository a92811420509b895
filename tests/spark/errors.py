#!/usr/bin/env python3
"""Runs jobs on Spark, on local[2], that cannot work, and looks whether the terminal says why, and what to do, in one line: the last one
that is not Spark's.

usage: errors.py BIN SPARK_HOME

BIN is a directory of cargo, such as target/release, with `gristmill` and `examples/`; a JDK 17 makes a jar of another version. A line is printed for each case; the exit
code is 0 only if all passed. A panic in a closure has its test in tests/spark.rs.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the sources lie beside this file

from driver import version

HERE = os.path.dirname(os.path.abspath(__file__))
JAR = os.path.join(HERE, "../../spark/gristmill.jar")
COUNT = ["wordcount", "text.txt", "-o", "out"]


class Place:
    """A directory with a text, and with programs that are not as they should be."""

    def __init__(self, binaries, spark_home, directory):
        self.binaries, self.spark_home, self.directory = os.path.abspath(binaries), os.path.abspath(spark_home), directory
        self.gristmill = os.path.join(self.binaries, "gristmill")
        self.failed = 0
        os.mkdir(os.path.join(directory, "work"))
        os.mkdir(os.path.join(directory, "tmp"))
        with open(os.path.join(directory, "work", "text.txt"), "w") as file:
            file.write("to be or not to be\n" * 1000 + "short\n")

    def program(self, name, *changes):
        """A copy of the command in a directory of its own, with some of its bytes replaced."""
        with open(self.gristmill, "rb") as file:
            image = file.read()
        for old, new in changes:
            assert old in image and len(old) == len(new), f"{old} is not in the program"
            image = image.replace(old, new)
        os.mkdir(os.path.join(self.directory, name))
        path = os.path.join(self.directory, name, "gristmill")
        with open(path, "wb") as file:
            file.write(image if changes else image + b"!")
        os.chmod(path, 0o755)
        return path

    def script(self):
        path = os.path.join(self.directory, "script.sh")
        with open(path, "w") as file:
            file.write("#!/bin/sh\ngristmill wordcount text.txt -o out\n")
        os.chmod(path, 0o755)
        return path

    def path_without_java(self):
        """Directories with what Spark's scripts call."""
        directory = os.path.join(self.directory, "no-java")
        os.mkdir(directory)
        for name in "bash env dirname uname basename cat ls sed grep readlink".split():
            os.symlink(shutil.which(name), os.path.join(directory, name))
        return directory

    def run(self, command, env):
        env = {**os.environ, "SPARK_HOME": self.spark_home, "SPARK_LOCAL_IP": "127.0.0.1", "TMPDIR": os.path.join(self.directory, "tmp"), **env}
        env = {name: value for name, value in env.items() if value is not None}
        return subprocess.run(command, env=env, cwd=os.path.join(self.directory, "work"), capture_output=True, text=True, errors="replace")

    def fails(self, name, command, words, **env):
        """Runs what must fail; its last line must have some words, and nothing may be left."""
        done = self.run(command, env)
        lines = [line for line in done.stderr.splitlines() if re.match("gristmill: |Error: ", line)]
        last = (lines or [""])[-1]
        missing = [word for word in words if word not in last]
        left = [name for name in os.listdir(os.path.join(self.directory, "work")) if name != "text.txt" and not name.endswith("-lock")]
        told = lines and "\\n" not in last and "\\tat" not in last
        if done.returncode <= 0 or missing or left or not told:
            self.failed += 1
            print(f"FAILED  {name}: exit code {done.returncode}, missing {missing}, left {left}\n{done.stderr}", flush=True)
        else:
            print(f"passed  {name}: {last}", flush=True)

    def succeeds(self, name, command, output="out", **env):
        done = self.run(command, env)
        output = os.path.join(self.directory, "work", output)
        if done.returncode != 0 or not os.path.exists(output):
            self.failed += 1
            print(f"FAILED  {name}: exit code {done.returncode}\n{done.stderr}", flush=True)
        else:
            print(f"passed  {name}", flush=True)
        shutil.rmtree(output, ignore_errors=True)

    def shipping(self, shipped, jar=JAR):
        """How the command is submitted by hand, with another program for the executors."""
        submit = [os.path.join(self.spark_home, "bin/spark-submit"), "--master", "local[2]", "--class", "gristmill.Driver", "--conf", "spark.log.level=WARN"]
        return [*submit, "--files", shipped, jar, self.gristmill, *COUNT]

    def jar_of_another_version(self):
        sources = os.path.join(self.directory, "spark")
        shutil.copytree(os.path.join(HERE, "../../spark"), sources)
        path = os.path.join(sources, "src/gristmill/Driver.java")
        with open(path) as file:
            text = file.read()
        assert "int VERSION = 2;" in text
        with open(path, "w") as file:
            file.write(text.replace("int VERSION = 2;", "int VERSION = 3;"))
        subprocess.run([os.path.join(sources, "build.sh")], env={**os.environ, "SPARK_HOME": self.spark_home}, check=True)
        return os.path.join(sources, "gristmill.jar")


def before_spark(place):
    """What is wrong is found before Spark is started."""
    count = [place.gristmill, *COUNT, "--master", "local[2]"]
    nowhere = os.path.join(place.directory, "nowhere")
    place.fails("SPARK_HOME is wrong", count, ["/nowhere/bin/spark-submit", "SPARK_HOME must be where Apache Spark is"], SPARK_HOME=nowhere)
    place.fails("JAVA_HOME is wrong", count, ["there is no Java", "/nowhere/bin/java", "install Java"], JAVA_HOME=nowhere)
    for master in ["sparky://127.0.0.1:7077", "locl[2]"]:
        place.fails(f"no such kind of master, {master}", [*count[:-1], master], ["there is no master", master, "spark://host:7077"])
    place.fails("nothing says where YARN is", [*count[:-1], "yarn"], ["nothing says where YARN is", "HADOOP_CONF_DIR"], HADOOP_CONF_DIR=None, YARN_CONF_DIR=None)
    place.fails("an argument that is no text", [*count[:-3], b"out\xff", *count[-2:]], ["is not UTF-8", "without --master"])
    place.fails("a script", [place.gristmill, "spark", "submit", "--master", "local[2]", place.script()], ["is a script", "submit the programs that it runs"])
    without = place.path_without_java()
    place.fails("there is no Java", count, ["there is no Java", "install Java"], PATH=without, JAVA_HOME=None)
    place.fails("there is no Spark", count, ["there is no Apache Spark", "install it"], PATH=without, SPARK_HOME=None)
    place.fails("TMPDIR is wrong", count, ["cannot create", "/nowhere/gristmill-", "TMPDIR"], TMPDIR=nowhere)


def jars(place):
    count = [place.gristmill, *COUNT, "--master", "local[2]"]
    place.succeeds("gristmill.jar is not there", count)
    (jar,) = glob.glob(os.path.join(place.directory, "tmp", "gristmill-*", "gristmill-*.jar"))
    with open(jar, "r+b") as file:
        file.write(b"no jar")
    place.succeeds("gristmill.jar is damaged", count)
    words = ["its version is 3, not 2", "the program and gristmill.jar must be of one version"]
    place.fails("gristmill.jar of another version", place.shipping(place.gristmill, place.jar_of_another_version()), words)


def programs(place):
    other = ["the program on this executor is not that of the driver", "submit it again"]
    place.fails("another program on executors", place.shipping(place.program("other")), other)
    library = ["on host", "build it where the C library is the oldest of all hosts"]
    loader = (b"/lib64/ld-linux-x86-64.so.2", b"/lib64/no-linux-x86-64.so.2")
    place.fails("no C library", place.shipping(place.program("no-loader", loader)), library)
    old = place.program("old-library", (b"GLIBC_2.34", b"GLIBC_9.34"))
    place.fails("an older C library", place.shipping(old), [*library, "GLIBC_9.34"])
    foreign = place.program("foreign", (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00", b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xf3\x00"))
    place.fails("another kind of processor", place.shipping(foreign), ["on host", "another kind of processor"])


def jobs(place):
    count = [place.gristmill, *COUNT, "--master"]
    umlauts = [place.gristmill, "wordcount", "text.txt", "-o", "größe", "--master", "local[2]"]
    for locale in ["C", "xx_YY.UTF-8", "en_US.ISO-8859-1", None]:
        place.succeeds(f"letters in the locale {locale}", umlauts, output="größe", LC_ALL=locale, LANG=None)
    place.fails("no master there", [*count, "spark://127.0.0.1:1"], ["the application was ended", "spark://127.0.0.1:1 can be reached"])
    sort = [os.path.join(place.binaries, "examples/terasort"), "text.txt", "out"]
    place.fails("a closure's error", sort, ["try_map at examples/terasort.rs:", "text.txt", "1001", "a record has more than 10 bytes, and this line 5"], GRISTMILL_MASTER="local[2]")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    binaries, spark_home = sys.argv[1:]
    print(f"== Spark {version(spark_home)}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        place = Place(binaries, spark_home, directory)
        for cases in (before_spark, jars, programs, jobs):
            cases(place)
    if place.failed:
        sys.exit(f"{place.failed} cases failed")


if __name__ == "__main__":
    main()
