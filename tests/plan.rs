//! Golden plans: what `explain` prints for programs of each shape.

#![allow(clippy::unwrap_used)] // in a test, a panic is the report

use gristmill::config::Rules;
use gristmill::prelude::*;

fn context(rules: Rules) -> Context {
    Context::builder().threads(1).rules(rules).build().unwrap()
}

/// The plan without the columns that depend on this file's lines.
fn plan<T>(data: &Dataset<T>) -> String {
    let text = data.explain();
    let lines = text.lines().map(|line| match line.find("tests/plan.rs:") {
        Some(at) => line[..at].trim_end(),
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn word_count() {
    let ctx = context(Rules::ALL);
    let lines = ctx.from_vec(vec![Text::from("a b"); 1_000_000]);
    let counts =
        lines.flat_map(|line| line.split_whitespace()).map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
    let expected = "\
Logical graph
  #1 from_vec 1000000 elements
  #2 flat_map of #1
  #3 map of #2
  #4 reduce_by_key of #3
  #5 result of #4
Stages
  stage 1: reads from_vec #1
    flat_map #2 -> map #3 -> reduce_by_key #4
    fuse: 2 operators run as one pipeline
    combine: on the map side of reduce_by_key #4
    partitions: 2 for reduce_by_key #4, by the bytes of its input
  stage 2: reads reduce_by_key #4, after reduce_by_key #4
    result #5";
    assert_eq!(plan(&counts), expected);
}

#[test]
fn every_call_has_its_source_line() {
    let ctx = context(Rules::ALL);
    let line = line!() + 1;
    let data = ctx.range(0..10).map(|n| n + 1);
    let text = data.explain();
    assert_eq!(text.matches(&format!("tests/plan.rs:{line}")).count(), 2, "{text}");
}

#[test]
fn what_two_consumers_need_is_shared() {
    let ctx = context(Rules::ALL);
    let numbers = ctx.range(0..10).map(|n| n + 1);
    let both = numbers.filter(|n| n % 2 == 0).union(&numbers.distinct());
    let expected = "\
Logical graph
  #1 range 0..10
  #2 map of #1
  #3 filter of #2
  #4 distinct of #2
  #5 distinct of #4
  #6 union of #3, #5
  #7 result of #6
Stages
  stage 1: reads range #1
    map #2 -> distinct #4
    map #2 -> filter #3 -> result #7 (input 1 of 2)
    fuse: 2 operators run as one pipeline
    share: read and computed once for several consumers
    combine: on the map side of distinct #4
    partitions: 1 for distinct #4, by the bytes of its input
  stage 2: reads distinct #4, after distinct #4
    distinct #5 -> result #7 (input 2 of 2)";
    assert_eq!(plan(&both), expected);
}

#[test]
fn rules_that_are_off_change_the_plan() {
    let ctx = context(Rules::NONE);
    let numbers = ctx.range(0..10);
    let both = numbers.map(|n| (n, n)).reduce_by_key(|a, b| a + b).keys().union(&numbers);
    let expected = "\
Logical graph
  #1 range 0..10
  #2 map of #1
  #3 reduce_by_key of #2
  #4 keys of #3
  #5 union of #4, #1
  #6 result of #5
Stages
  stage 1: reads range #1
    map #2 -> reduce_by_key #3
    partitions: 1 for reduce_by_key #3, by the bytes of its input
  stage 2: reads reduce_by_key #3, after reduce_by_key #3
    keys #4 -> result #6 (input 1 of 2)
  stage 3: reads range #1
    result #6 (input 2 of 2)";
    assert_eq!(plan(&both), expected);
}

#[test]
fn a_cache_is_filled_once_and_then_read() {
    let ctx = context(Rules::ALL);
    let cached = ctx.range(0..10).map(|n| n + 1).cache();
    let keyed = cached.key_by(|n| n % 2);
    let before = plan(&keyed);
    assert!(before.contains("stage 1: reads range #1\n    map #2 -> cache #3\n"), "{before}");
    cached.count().unwrap();
    let expected = "\
Logical graph
  #1 cache
  #2 key_by of #1
  #3 result of #2
Stages
  stage 1: reads cache #1
    key_by #2 -> result #3";
    assert_eq!(plan(&keyed), expected);
}

#[test]
fn a_crowded_union_is_cut() {
    let ctx = context(Rules::ALL);
    let many = (0..10).fold(ctx.range(0..10), |data, _| data.union(&data.map(|n| n + 1)));
    let text = plan(&many);
    assert_eq!(text.matches("is held in memory, because too many paths lead to it").count(), 1, "{text}");
    assert_eq!(many.count().unwrap(), 10 << 10);
}

#[test]
fn the_plan_of_an_output_ends_in_its_action() {
    let ctx = context(Rules::ALL);
    let line = line!() + 1;
    let output = ctx.range(0..10).to_parquet("no/such/directory", ParquetOptions::default());
    let text = output.explain();
    for part in
        ["#2 to_parquet of #1 no/such/directory", &format!("tests/plan.rs:{line}"), "    to_parquet #2"]
    {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
}

#[test]
fn a_loop_shows_its_limit_its_body_and_what_all_rounds_share() {
    let ctx = context(Rules::ALL);
    let squares = ctx.range(0..10).map(|n| n * n);
    let loops = ctx.range(0..5).iterate_until(
        9,
        |state| state.map(|n| n + 1).union(&squares).union(&ctx.range(0..1)).repartition(2),
        |_, after| after.map(|n| n > 5),
    );
    let expected = "\
Logical graph
  #1 range 0..5
  #2 range 0..10
  #3 map of #2
  #4 range 0..1
  #5 iterate_until of #1, #3, #4 at most 9 rounds
  #6 result of #5
Stages
  stage 1: reads range #1
    iterate_until #5 (first state)
    hold: the state of iterate_until #5 from round to round, and what all rounds read
  stage 2: reads range #2
    map #3 -> iterate_until #5 (for all rounds)
  stage 3: reads iterate_until #5, after iterate_until #5
    result #6
Each round of iterate_until #5, at most 9 rounds
Logical graph
  #7 state
  #8 map of #7
  #9 union of #8, #3
  #10 union of #9, #4
  #11 repartition of #10
  #12 map of #11
  #13 next state of #11
  #14 until of #12
Stages
  stage 1: reads state #7
    map #8 -> repartition #11 (input 1 of 3)
    hold: all rows, which are then divided anew, for repartition #11
  stage 2: reads map #3
    repartition #11 (input 2 of 3)
  stage 3: reads range #4
    repartition #11 (input 3 of 3)
  stage 4: reads repartition #11, after repartition #11
    next state #13
    map #12 -> until #14
    share: read and computed once for several consumers";
    assert_eq!(plan(&loops), expected);
}

#[test]
fn loops_within_loops_are_described_one_after_the_other() {
    let ctx = context(Rules::ALL);
    let loops = ctx.range(0..5).iterate(3, |state| {
        let next = state.map(|n| n + 1);
        next.iterate(2, |inner| inner.union(&state.filter(|n| n % 2 == 0)))
    });
    let text = plan(&loops);
    let (around, rounds) = text.split_once("Each round of iterate #2, for 3 rounds\n").unwrap();
    assert!(around.contains("  #2 iterate of #1 for 3 rounds\n"), "{text}");
    let (outer, inner) = rounds.split_once("Each round of iterate #7, for 2 rounds\n").unwrap();
    assert!(outer.contains("  #7 iterate of #5, #6 for 2 rounds\n"), "{text}");
    assert!(outer.contains("filter #6 -> iterate #7 (for all rounds)\n"), "{text}");
    assert!(inner.contains("stage 2: reads filter #6\n    next state #"), "{text}");
}

/// The plan from the stages on.
fn stages<T>(data: &Dataset<T>) -> String {
    let text = plan(data);
    text[text.find("Stages").unwrap()..].to_string()
}

#[test]
fn a_small_side_of_a_join_is_broadcast() {
    let ctx = context(Rules::ALL);
    let small = ctx.from_vec((0..100_000u32).map(|n| (n, 1u64)).collect()).filter(|(_, n)| *n > 0);
    let rows = ctx.range(0..10).map(|n| (n as u32, n));
    let joined = rows.left_join(&small).map_values(|(a, _)| a);
    let expected = "\
Logical graph
  #1 range 0..10
  #2 map of #1
  #3 from_vec 100000 elements
  #4 filter of #3
  #5 left_join of #2, #4
  #6 map_values of #5
  #7 result of #6
Stages
  stage 1: reads from_vec #3
    filter #4 -> left_join #5 (right)
    broadcast: the right side of left_join #5, at most 1.6 MB
  stage 2: reads range #1, after left_join #5 (right)
    map #2 -> left_join #5 -> map_values #6 -> result #7
    fuse: 3 operators run as one pipeline";
    assert_eq!(plan(&joined), expected);
    let right = "broadcast: the right side of join #5, at most 1.6 MB";
    assert!(plan(&rows.join(&small)).contains(right));
    assert!(plan(&small.join(&rows)).contains("broadcast: the left side of join #5, at most 1.6 MB"));
    assert!(plan(&small.right_join(&rows)).contains("broadcast: the left side of right_join #5"));
    assert!(plan(&rows.semi_join(&small)).contains("broadcast: the right side of semi_join #"));
    assert!(plan(&rows.anti_join(&small)).contains("broadcast: the right side of anti_join #"));
}

#[test]
fn what_is_not_known_to_be_small_and_smaller_is_exchanged() {
    let ctx = context(Rules::ALL);
    let pairs = |count: u32| ctx.from_vec((0..count).map(|n| (n, n)).collect::<Vec<_>>());
    let (small, large, unknown) = (pairs(100), pairs(2_000_000), pairs(10).map(|pair| pair));
    for exchanged in [
        plan(&unknown.full_join(&small)),
        plan(&small.left_join(&large)),
        plan(&unknown.right_join(&small)),
        plan(&small.join(&pairs(100))),
        plan(&large.join(&unknown)),
        plan(&unknown.join(&large)),
        plan(&unknown.join(&small.union(&large))),
        // Both sides are made of the same rows, which would be read twice.
        plan(&small.join(&small.filter(|_| true))),
        plan(&unknown.union(&small).join(&small)),
    ] {
        assert!(!exchanged.contains("broadcast"), "{exchanged}");
    }
    let ctx = context(Rules { broadcast: false, ..Rules::ALL });
    let (small, unknown) = (ctx.from_vec(vec![(1, 1)]), ctx.range(0..10).key_by(|_| 1));
    assert!(!plan(&unknown.join(&small)).contains("broadcast"));
    assert!(plan(&unknown.broadcast_join(&small)).contains("broadcast: the right side of broadcast_join #"));
}

#[test]
fn whether_a_cache_is_filled_does_not_change_the_choice() {
    let ctx = context(Rules::ALL);
    let rows = ctx.range(0..10).key_by(|n| n % 2);
    let small = ctx.from_vec(vec![(1, 1)]).cache();
    let unknown = small.map(|pair| pair).cache();
    for _ in 0..2 {
        assert!(plan(&rows.join(&small)).contains("broadcast: the right side of join"));
        assert!(!plan(&rows.join(&unknown)).contains("broadcast"));
        unknown.count().unwrap();
    }
}

#[test]
fn a_dataset_that_is_joined_with_a_part_of_itself_is_read_twice() {
    let ctx = context(Rules::ALL);
    let pairs = ctx.range(0..10).map(|n| (n, n));
    let expected = "\
Stages
  stage 1: reads range #1
    map #2 -> filter #3 -> broadcast_join #4 (right)
    fuse: 2 operators run as one pipeline
    broadcast: the right side of broadcast_join #4
  stage 2: reads range #1, after broadcast_join #4 (right)
    map #2 -> broadcast_join #4 -> result #5
    fuse: 2 operators run as one pipeline";
    assert_eq!(stages(&pairs.broadcast_join(&pairs.filter(|_| true))), expected);
    let once = pairs.reduce_by_key(|a, b| a + b);
    let expected = "\
Stages
  stage 1: reads range #1
    map #2 -> reduce_by_key #3
    combine: on the map side of reduce_by_key #3
    partitions: 1 for reduce_by_key #3, by the bytes of its input
  stage 2: reads reduce_by_key #3, after reduce_by_key #3
    filter #4 -> cross_join #5 (right)
    reduce_by_key #3 (held)
    share: read and computed once for several consumers
    broadcast: the right side of cross_join #5
    hold: what reduce_by_key #3 gives, to be read once more
  stage 3: reads reduce_by_key #3, after cross_join #5 (right) and reduce_by_key #3 (held)
    cross_join #5 -> result #6";
    assert_eq!(stages(&once.cross_join(&once.filter(|_| true))), expected);
}

#[test]
fn what_several_need_is_read_once_if_it_may_wait_for_the_side_that_is_held() {
    let ctx = context(Rules::ALL);
    let (lines, table) = (ctx.range(0..10).map(|n| (n, n)), ctx.range(0..3).map(|n| (n, n)));
    let both = lines.values().union(&lines.broadcast_join(&table).keys());
    let text = stages(&both);
    assert_eq!(text.matches("reads range").count(), 2, "{text}");
    assert!(text.contains("stage 2: reads range #1, after broadcast_join #6 (right)"), "{text}");
}

#[test]
fn a_sort_says_how_it_is_divided() {
    let ctx = context(Rules::ALL);
    let sorted = ctx.range(0..10).filter(|n| n % 2 == 0).sort_by_key(|n| *n);
    let expected = "\
Logical graph
  #1 range 0..10
  #2 filter of #1
  #3 sort_by_key of #2
  #4 result of #3
Stages
  stage 1: reads range #1
    filter #2 -> sort_by_key #3
    sort: runs of each task, merged by ranges of the order, for sort_by_key #3
  stage 2: reads sort_by_key #3, after sort_by_key #3
    result #4";
    assert_eq!(plan(&sorted), expected);
}
