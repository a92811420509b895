#!/usr/bin/env bash
# Makes the environment of tests/consumers.rs and the TPC-H tests in tests/examples: DuckDB, Polars, pyarrow, PySpark and the generator of TPC-H, in a
# virtual environment. usage: setup.sh [DIR]; without one it is $GRISTMILL_CONSUMERS, or target/consumers.
# On Debian, what is missing of Java and PostgreSQL is installed if this runs as root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-${GRISTMILL_CONSUMERS:-$here/../../target/consumers}}

missing=()
command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
command -v psql >/dev/null || missing+=(postgresql-client)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if ((${#missing[@]})); then
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        echo "missing: ${missing[*]} (the names are those of Debian): install them first" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

# What is installed already is left alone.
if ! cmp -s "$here/requirements.txt" "$dir/requirements.txt"; then
    python3 -m venv "$dir"
    # PySpark has no wheel; all others need no compiler.
    "$dir/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --no-binary pyspark \
        -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$dir/requirements.txt"
fi
