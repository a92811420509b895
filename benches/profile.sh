#!/usr/bin/env bash
# Where gristmill's time goes in the jobs of `cargo bench --bench peers`, as Markdown: the ten symbols with most samples, at full size and two
# threads (perf), and the instructions for each element, on a sixteenth of the data and one thread (callgrind).
# usage: benches/profile.sh [JOB...]. Run the bench first: it builds the programs and makes the data.
set -euo pipefail
cd "$(dirname "$0")/.."
data=target/bench-data
command=target/release/gristmill
bench=$(find target/release/deps -name 'peers-*' -executable -type f -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# JOB BYTES: the path of what the job reads, which is made where it is missing.
input() {
    local name ending=
    case $1 in
        words-real) name=real ending=.txt ;;
        words-wide) name=wide ending=.txt ;;
        logs) name=whole-logs ending=.log ;;
        csv) name=orders ending=.csv ;;
        tpch-*) name=tpch ;;
        *) name=events ;;
    esac
    local path=$data/$name-$2$ending
    [[ -e $path ]] || "$bench" --generate "$name" "$2" "$path" >&2
    echo "$path"
}

# JOB INPUT: the words, lines or rows that it reads.
elements() {
    case $1 in
        words-*) wc -w <"$2" ;;
        logs | csv) wc -l <"$2" ;;
        tpch-*) "$command" convert "$2/lineitem" --from parquet --select l_orderkey --to csv -o - | wc -l ;;
        *) "$command" convert "$2/events" --from parquet --select id --to csv -o - | wc -l ;;
    esac
}

# JOB INPUT THREADS TOOL...: runs the job under a tool.
run() {
    local job=$1 input=$2 threads=$3
    shift 3
    rm -rf "$out/answer"
    mkdir "$out/answer"
    case $job in
        words-*) "$@" "$command" wordcount "$input" -o "$out/answer/out" --threads "$threads" --progress never ;;
        logs) "$@" "$command" convert "$input" --from combined -o "$out/answer/out" --threads "$threads" --progress never ;;
        csv) "$@" "$command" convert "$input" --from csv -o "$out/answer/out" --threads "$threads" --progress never ;;
        *) "$@" "$bench" --run gristmill "$job" "$input" "$out/answer" "$threads" ;;
    esac
}

[[ $# -gt 0 ]] || set -- words-real words-wide logs csv group join sort tpch-q1 tpch-q3 tpch-q6
for job in "$@"; do
    part=$(input "$job" $((1 << 26)))
    instructions=$(run "$job" "$part" 1 valgrind --tool=callgrind --callgrind-out-file="$out/calls" 2>&1 |
        sed -n 's/.*refs: *//p' | tr -d ,)
    count=$(elements "$job" "$part" 2>/dev/null)
    run "$job" "$(input "$job" $((1 << 30)))" 2 perf record --quiet -e cpu-clock -F 1999 -o "$out/samples" >/dev/null 2>&1
    printf '\n### %s: %d instructions an element\n\n```text\n' "$job" $((instructions / count))
    perf report -i "$out/samples" --no-children --sort symbol --stdio 2>/dev/null | awk '/^ +[0-9.]+%/ && ++count <= 10' | cut -c1-150 | sed 's/[ -]*$//'
    printf '```\n'
done
