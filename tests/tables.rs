//! `gristmill sort` and `gristmill aggregate` as a user types them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use common::place::{Place, assert_says};
use common::{files, scramble};

const HITS: &str = "day,path,bytes,price
2026-01-02,/b,10,1.50
2026-01-01,/a,,0.25
2026-01-01,/c,20,10.00
2026-01-02,/a,30,
,/d,-5,0.05
";

/// What a command prints to standard output as CSV.
fn printed(place: &Place, line: &str) -> String {
    place.succeed(&format!("{line} -o -")).0
}

/// The values of a column, line by line.
fn column(csv: &str, at: usize) -> Vec<&str> {
    csv.lines().skip(1).map(|line| line.split(',').nth(at).unwrap()).collect()
}

#[test]
fn rows_are_sorted_by_columns_in_either_direction() {
    let place = Place::new(&[("hits.csv", HITS)]);
    let sorted = printed(&place, "sort hits.csv --by day,-bytes");
    assert_eq!(column(&sorted, 1), ["/c", "/a", "/a", "/b", "/d"]);
    assert_eq!(sorted.lines().next(), HITS.lines().next());
    assert_eq!(column(&printed(&place, "sort hits.csv --by -bytes"), 2), ["30", "20", "10", "-5", ""]);
    assert_eq!(column(&printed(&place, "sort hits.csv --by=bytes"), 2), ["-5", "10", "20", "30", ""]);
    let nulls_first = printed(&place, "sort hits.csv --by -day,path --nulls first");
    assert_eq!(column(&nulls_first, 1), ["/d", "/a", "/b", "/a", "/c"]);
    let selected = printed(&place, "sort hits.csv --by price --select price,path");
    assert_eq!(selected, "price,path\n0.05,/d\n0.25,/a\n1.50,/b\n10.00,/c\n,/a\n");
}

#[test]
fn groups_are_counted_and_added_up() {
    let place = Place::new(&[("hits.csv", HITS)]);
    let days =
        printed(&place, "aggregate hits.csv --group-by day --agg count --agg sum(bytes) --agg mean(bytes)");
    let expected = "day,count,sum(bytes),mean(bytes)
2026-01-01,2,20,20.0
2026-01-02,2,40,20.0
,1,-5,-5.0
";
    assert_eq!(days, expected);
    let mut command = place.command("aggregate hits.csv --group-by path -o - --agg count(bytes)");
    let output =
        command.args(["--agg", "sum(price) as price", "--agg", "max(day) as last"]).output().unwrap();
    let expected = "path,count(bytes),price,last
/a,1,0.25,2026-01-02
/b,1,1.50,2026-01-02
/c,1,10.00,2026-01-01
/d,1,0.05,
";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    let days = printed(&place, "aggregate hits.csv --group-by day --write-null none");
    assert_eq!(
        days,
        "day
2026-01-01
2026-01-02
none
"
    );
}

#[test]
fn without_groups_there_is_one_row_also_of_nothing() {
    let place = Place::new(&[("hits.csv", HITS), ("none.csv", "day,bytes\n")]);
    let all = "--agg count --agg count(bytes) --agg min(bytes) --agg avg(price)";
    let told = printed(&place, &format!("aggregate hits.csv {all}"));
    assert_eq!(told, "count,count(bytes),min(bytes),mean(price)\n5,4,-5,2.95\n");
    std::fs::write(place.at("s.json"), "{\"columns\": [{\"name\": \"bytes\", \"type\": \"Int64\"}]}")
        .unwrap();
    let none = "aggregate none.csv --schema s.json --ignore-extra --agg count --agg sum(bytes)";
    assert_eq!(printed(&place, none), "count,sum(bytes)\n0,\n");
}

#[test]
fn logs_and_parquet_are_read_and_anything_is_written() {
    let log = "::1 - - [10/Oct/2000:13:55:36 -0700] \"GET /b HTTP/1.0\" 200 5\nbroken\n\
               ::1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.0\" 404 -\n";
    let place = Place::new(&[("access.log", log), ("hits.csv", HITS)]);
    let (_, told) = place.succeed("sort access.log --from common --by path --on-error reject=bad -o sorted");
    assert_says(told.lines().next().unwrap(), &["wrote 2 rows to", "sorted (1 part(s)"]);
    assert_says(told.lines().nth(1).unwrap(), &["1 records could not be read: they are in", "bad"]);
    let status = printed(&place, "aggregate sorted/*.parquet --group-by status --agg count --agg sum(bytes)");
    assert_eq!(status, "status,count,sum(bytes)\n200,1,5\n404,1,\n");
    assert_eq!(printed(&place, "aggregate sorted --agg count"), "count\n2\n");
    place.succeed(
        "aggregate access.log --from common --on-error skip --group-by path --agg count -o c.jsonl.gz",
    );
    place.succeed("aggregate hits.csv --group-by day,path --agg count -o days --partition-by day");
    assert!(place.at("days/day=2026-01-01").is_dir());
    let read = printed(&place, "sort c.jsonl.gz --by -path --to jsonl");
    assert_eq!(read, "{\"path\":\"/b\",\"count\":1}\n{\"path\":\"/a\",\"count\":1}\n");
}

#[test]
fn wrong_columns_and_aggregates_are_told_before_any_work() {
    let place = Place::new(&[("hits.csv", HITS), ("tags.jsonl", "{\"tags\": [1]}\n")]);
    for (line, expected) in [
        ("sort hits.csv -o x", "--by"),
        ("sort hits.csv --by dya -o x", "no column `dya`; the nearest name is `day`"),
        ("sort hits.csv --by day,-day -o x", "sorted by `day` twice"),
        ("sort hits.csv --by day, -o x", "has no name"),
        ("sort tags.jsonl --by tags -o x", "the column `tags` has no order: it is List(Int64)"),
        ("sort hits.csv --by day", "--output"),
        ("aggregate hits.csv -o x", "--agg"),
        ("aggregate hits.csv --group-by dya -o x", "no column `dya`; the nearest name is `day`"),
        ("aggregate hits.csv --agg sum(byte) -o x", "no column `byte`; the nearest name is `bytes`"),
        ("aggregate hits.csv --agg median(bytes) -o x", "the nearest function is `mean`"),
        ("aggregate hits.csv --agg sum(day) -o x", "has no sum: it is Date32"),
        ("aggregate hits.csv --agg count --agg count -o x", "two columns of the result are named `count`"),
    ] {
        let told = place.fail(line, 2);
        assert!(told.contains(expected), "{line}: {told}");
    }
    let huge = format!("g,n\na,1\nb,{}\nb,1\n", i64::MAX);
    std::fs::write(place.at("huge.csv"), huge).unwrap();
    let told = place.fail("aggregate huge.csv --group-by g --agg sum(n) -o x", 1);
    assert_says(&told, &["aggregate: sum(n) of the group g=b does not fit Int64", "--schema"]);
    let (plan, _) = place.succeed("sort hits.csv --by day,-bytes --explain");
    assert!(plan.contains("by day, by bytes descending"), "{plan}");
    let (plan, _) = place.succeed("aggregate hits.csv --group-by day --agg count --explain");
    assert!(plan.contains("by day, count"), "{plan}");
}

#[test]
fn lists_and_structs_come_along() {
    let line = |n: u8, rest: &str| format!("{{\"a\":{n}{rest}}}\n");
    let [one, two] =
        [line(1, ",\"s\":{\"x\":\"q\",\"y\":1.5}"), line(2, ",\"l\":[1,null],\"s\":{\"x\":\"p\"}")];
    let place = Place::new(&[("in.jsonl", &format!("{two}{one}"))]);
    assert_eq!(printed(&place, "sort in.jsonl --by a --to jsonl"), format!("{one}{two}"));
    let counts = printed(&place, "aggregate in.jsonl --group-by a --agg count(l) --agg count(s)");
    assert_eq!(counts, "a,count(l),count(s)\n1,0,1\n2,1,1\n");
}

/// The parts of an output; its manifest tells of the run as well.
fn parts(place: &Place, output: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut parts = files(&place.at(output));
    parts.retain(|path, _| path.extension().is_some_and(|ending| ending == "parquet"));
    parts
}

/// A line without its last field.
fn cut(line: &str) -> &str {
    line.rsplit_once(',').unwrap().0
}

#[test]
fn what_is_written_is_the_same_with_little_memory_and_many_threads() {
    let (mut csv, mut model) = ("key,n,x\n".to_owned(), BTreeMap::new());
    for n in 0..60_000_u64 {
        let (key, value) = (format!("key {}", scramble(n) % 20_000), scramble(n + 1) % 1000);
        writeln!(csv, "{key},{value},{}", value as f64 / 7.0).unwrap();
        let sums: &mut (u64, u64) = model.entry(key).or_default();
        *sums = (sums.0 + 1, sums.1 + value);
    }
    let place = Place::new(&[("in.csv", &csv)]);
    for (threads, flags) in [(1, ""), (2, " --memory 2MiB"), (3, " --execution mapreduce")] {
        let flags = format!("--threads {threads}{flags}");
        let aggregates = "--agg count --agg sum(n) --agg sum(x)";
        place.succeed(&format!("sort in.csv --by key,-n -o sorted{threads} {flags}"));
        place.succeed(&format!("aggregate in.csv --group-by key {aggregates} -o groups{threads} {flags}"));
        for output in ["sorted", "groups"] {
            let [first, this] = [1, threads].map(|threads| parts(&place, &format!("{output}{threads}")));
            assert!(!first.is_empty() && first == this, "{output}, {threads} threads");
        }
    }
    let sorted = printed(&place, "convert sorted1/*.parquet");
    let mut lines: Vec<&str> = csv.lines().skip(1).map(cut).collect();
    let fields = |line: &str| -> (String, Reverse<u64>) {
        let (key, n) = line.split_once(',').unwrap();
        (key.to_owned(), Reverse(n.parse().unwrap()))
    };
    lines.sort_by_cached_key(|line| fields(line));
    assert!(sorted.lines().skip(1).map(cut).eq(lines));
    let groups = printed(&place, "convert groups1/*.parquet --select key,count,sum(n)");
    let model = model.iter().map(|(key, (rows, sum))| format!("{key},{rows},{sum}"));
    assert!(groups.lines().skip(1).map(str::to_owned).eq(model));
}
