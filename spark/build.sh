#!/usr/bin/env bash
# Builds gristmill.jar, what Spark runs for a job; the jar is kept in the repository, so that only who changes it needs a Java compiler.
# usage: build.sh [--check]; --check builds it somewhere else and fails unless each byte is the same.
# The jars of Spark come from $SPARK_HOME, or else from the pyspark of $PYTHON, or python3. Those of 3.5 and of 4 must give the same bytes.
# It takes a JDK 17: another one may lay out classes differently.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
jar=$here/gristmill.jar

spark=${SPARK_HOME:-$("${PYTHON:-python3}" -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')}
if ! compgen -G "$spark/jars/spark-core_*.jar" >/dev/null; then
    echo "$spark has no jars of Spark: set SPARK_HOME, or PYTHON to one that has pyspark" >&2
    exit 1
fi
if [[ $(javac -version 2>&1) != "javac 17"* ]]; then
    echo "javac is $(javac -version 2>&1), and must be of a JDK 17: put that first in PATH" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Java 8 is the oldest that Spark 3.5 runs on. Warnings about the classes and manifests of Spark's jars are not for us.
javac --release 8 -encoding UTF-8 -g:source,lines -Xlint:all,-classfile,-options,-path,-processing -Werror \
    -classpath "$spark/jars/*" -d "$work/classes" "$here"/src/gristmill/*.java
# Sorted, with one date, uncompressed and without a manifest, which would name the JDK: nothing but the sources decides the bytes.
(cd "$work/classes" && find . -type f -printf '%P\n' | LC_ALL=C sort >"$work/names")
(cd "$work/classes" && TZ=UTC jar --create --file "$work/gristmill.jar" \
    --no-manifest --no-compress --date=2000-01-01T00:00:00Z "@$work/names")

if [[ ${1:-} != --check ]]; then
    cp "$work/gristmill.jar" "$jar"
elif ! cmp "$work/gristmill.jar" "$jar"; then
    echo "gristmill.jar is not what its sources give: run spark/build.sh and commit it" >&2
    exit 1
fi
