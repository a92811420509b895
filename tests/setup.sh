#!/usr/bin/env bash
# Gets what the tests need besides Rust: strace, with which runs are killed and disks fail; and the programs that read our outputs
# and make those of TPC-H: PostgreSQL, and DuckDB, Polars, pyarrow, PySpark and tpchgen in a virtual environment of Python.
# usage: setup.sh [DIR]; the environment is DIR, or else $GRISTMILL_CONSUMERS, or target/consumers.
# On Debian, what is missing of the others is installed if this runs as root or may sudo.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-${GRISTMILL_CONSUMERS:-$here/../target/consumers}}
requirements=$here/consumers/requirements.txt

missing=()
command -v strace >/dev/null || missing+=(strace)
command -v javac >/dev/null || missing+=(openjdk-17-jdk-headless)
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
command -v psql >/dev/null || missing+=(postgresql-client)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if ((${#missing[@]})); then
    root=()
    [[ $(id -u) == 0 ]] || root=(sudo --non-interactive)
    if ! command -v apt-get >/dev/null || ! "${root[@]}" true; then
        echo "missing: ${missing[*]} (the names are those of Debian): install them first" >&2
        exit 1
    fi
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

# What is installed already is left alone.
if ! cmp -s "$requirements" "$dir/requirements.txt"; then
    python3 -m venv "$dir"
    # PySpark has no wheel; all others need no compiler.
    "$dir/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --no-binary pyspark \
        -r "$requirements"
    cp "$requirements" "$dir/requirements.txt"
fi
