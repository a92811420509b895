#!/usr/bin/env bash
# Gets the peers of `cargo bench --bench peers`: DuckDB, Polars, DataFusion and PySpark in a virtual environment of Python, renoir and timely in
# a program of Rust, Hadoop's word count in one of Java; and what the corpus of real English is made of.
# usage: setup.sh DIR RUST_TARGET_DIR; the environment is DIR/peers. On Debian, what is missing of the rest is installed if this runs as root
# or may sudo; elsewhere it says what is missing, and the bench leaves out who needs it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peers=$1/peers

missing=()
command -v javac >/dev/null || missing+=(openjdk-17-jdk-headless)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
command -v bible >/dev/null || missing+=(bible-kjv bible-kjv-text)
compgen -G '/usr/src/linux-source*.tar.xz' >/dev/null || missing+=(linux-source)
if ((${#missing[@]})); then
    root=()
    [[ $(id -u) == 0 ]] || root=(sudo --non-interactive)
    if command -v apt-get >/dev/null && "${root[@]}" true; then
        "${root[@]}" apt-get update -qq
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        echo "missing: ${missing[*]} (the names are those of Debian)" >&2
    fi
fi

# What is installed already is left alone.
if ! cmp -s "$here/requirements.txt" "$peers/requirements.txt"; then
    echo "installing $(grep -v '^#' "$here/requirements.txt" | xargs) (once)" >&2
    python3 -m venv "$peers"
    # PySpark has no wheel; all others need no compiler.
    "$peers/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --no-binary pyspark \
        -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$peers/requirements.txt"
fi

# Hadoop comes with Spark.
if command -v javac >/dev/null && [[ $here/hadoop/WordCount.java -nt $peers/hadoop/WordCount.class ]]; then
    mkdir -p "$peers/hadoop"
    jars=("$peers"/lib/python*/site-packages/pyspark/jars)
    javac -cp "${jars[0]}/*" -d "$peers/hadoop" "$here/hadoop/WordCount.java"
fi

[[ -e $2/release/rust-peers ]] || echo "building renoir and timely (once)" >&2
cargo build --quiet --release --locked --manifest-path "$here/rust/Cargo.toml" --target-dir "$2"
