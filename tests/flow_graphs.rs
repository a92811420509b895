//! Any graph of tasks in a flow file gives a plan, or an error that names the whole cycle, or the nearest name; and no text makes it panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use gristmill::flow::{Flow, Plan};
use gristmill::{Error, ErrorKind};
use proptest::prelude::*;

/// Tasks by name, each with those that it waits for.
type Graph = Vec<(String, BTreeSet<String>)>;

/// A graph without cycles, whose tasks stand in any order in the file. No two names are near each other.
fn graph() -> impl Strategy<Value = Graph> {
    let names = proptest::collection::btree_map("[a-z]{9}", any::<u64>(), 2..20);
    names.prop_flat_map(|names| {
        let mut order: Vec<String> = names.keys().cloned().collect();
        order.sort_by_key(|name| names[name]);
        let count = order.len();
        let needs = proptest::collection::vec(proptest::collection::vec(any::<bool>(), count), count);
        (Just(order), needs).prop_flat_map(|(order, needs)| {
            let needs_of = |index: usize| {
                (0..index).filter(|&need| needs[index][need]).map(|need| order[need].clone()).collect()
            };
            let graph: Graph =
                (0..order.len()).map(|index| (order[index].clone(), needs_of(index))).collect();
            Just(graph).prop_shuffle()
        })
    })
}

fn file(graph: &Graph) -> String {
    let mut text = "name = \"graph\"\n".to_owned();
    for (name, needs) in graph {
        let needs: Vec<_> = needs.iter().map(|need| format!("{need:?}")).collect();
        writeln!(text, "[tasks.{name}]\ndepends_on = [{}]\ncommand.argv = [\"true\"]", needs.join(", "))
            .unwrap();
    }
    text
}

fn plan(text: &str) -> Result<Plan, Error> {
    Plan::new(&Flow::from_toml(text)?, [("", ""); 0])
}

/// The message of a flow that must have no plan.
fn refused(text: &str) -> String {
    let error = plan(text).map(|plan| plan.describe()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

/// What stands between backticks in a message.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// A name as somebody mistypes it.
fn mistyped(name: &str, how: u8) -> String {
    let at = usize::from(how) % (name.len() - 1);
    let mut chars: Vec<char> = name.chars().collect();
    match how % 3 {
        0 => drop(chars.remove(at)),
        1 => chars.insert(at, '0'),
        _ => chars[at] = '0',
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn tasks_come_after_all_that_they_wait_for(graph in graph()) {
        let described = plan(&file(&graph)).unwrap().describe();
        let places: BTreeMap<&str, usize> =
            described.lines().enumerate().filter_map(|(at, line)| Some((line.split_once(": ")?.0, at))).collect();
        prop_assert_eq!(places.len(), graph.len());
        for (name, needs) in &graph {
            prop_assert!(needs.iter().all(|need| places[need.as_str()] < places[name.as_str()]));
        }
    }

    #[test]
    fn a_cycle_is_told_from_its_beginning_to_its_end(graph in graph(), picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..6)) {
        let mut graph = graph;
        // Each of some tasks waits for the next one of them, and the last one for the first.
        let mut ring: Vec<usize> = picks.iter().map(|pick| pick.index(graph.len())).collect();
        ring.sort_unstable();
        ring.dedup();
        for place in 0..ring.len() {
            let need = graph[ring[(place + 1) % ring.len()]].0.clone();
            graph[ring[place]].1.insert(need);
        }
        let message = refused(&file(&graph));
        let told = message.rsplit(": ").next().unwrap().split(';').next().unwrap();
        let cycle: Vec<&str> = told.split(" after ").collect();
        prop_assert!(cycle.len() > 1 && cycle.first() == cycle.last(), "{}", message);
        let distinct: BTreeSet<&str> = cycle.iter().copied().collect();
        prop_assert_eq!(distinct.len(), cycle.len() - 1, "{}", &message);
        for pair in cycle.windows(2) {
            let needs = graph.iter().find(|(name, _)| name == pair[0]).map(|(_, needs)| needs);
            prop_assert!(needs.is_some_and(|needs| needs.contains(pair[1])), "{}", message);
        }
    }

    #[test]
    fn an_unknown_task_is_told_with_the_nearest_one(graph in graph(), pick in any::<[prop::sample::Index; 2]>(), how in any::<u8>()) {
        let mut graph = graph;
        let meant = graph[pick[0].index(graph.len())].0.clone();
        let unknown = mistyped(&meant, how);
        let (name, needs) = &mut graph[pick[1].index(pick.len().max(2))];
        needs.insert(unknown.clone());
        let name = name.clone();
        let message = refused(&file(&graph));
        prop_assert_eq!(quoted(&message), [name.as_str(), unknown.as_str(), meant.as_str()], "{}", message);
    }

    #[test]
    fn a_doubled_task_is_named(graph in graph(), pick in any::<prop::sample::Index>()) {
        let (name, _) = &graph[pick.index(graph.len())];
        let text = format!("{}[tasks.{name}]\ncommand.argv = [\"true\"]\n", file(&graph));
        let message = refused(&text);
        let line = text.lines().count() - 1;
        prop_assert!(message.contains(&format!("duplicate key `{name}` (line {line})")), "{}", message);
        // In Rust, two calls can say the same name.
        let flow = Flow::from_toml(&file(&graph)).unwrap().task(name, |_| Ok(()));
        let error = Plan::new(&flow, [("", ""); 0]).map(|plan| plan.describe()).unwrap_err();
        prop_assert!(error.to_string().contains(&format!("two tasks called `{name}`")), "{}", error);
    }

    #[test]
    fn an_unknown_key_is_told_with_the_nearest_one_and_its_line(graph in graph(), pick in any::<prop::sample::Index>(), key in 0..8usize, how in any::<u8>()) {
        let keys = ["depends_on", "retries", "retry_on", "timeout", "deadline", "idempotent", "for_each", "outputs"];
        let unknown = mistyped(keys[key], how);
        let mut text = file(&graph);
        let place = text.find(&format!("[tasks.{}]\n", graph[pick.index(graph.len())].0)).unwrap();
        let place = place + text[place..].find('\n').unwrap() + 1;
        let line = text[..place].lines().count() + 1;
        text.insert_str(place, &format!("{unknown} = 1\n"));
        let message = refused(&text);
        prop_assert_eq!(quoted(&message), [unknown.as_str(), keys[key]], "{}", message);
        prop_assert!(message.contains(&format!("line {line}")), "{}", message);
    }
}

/// All kinds of keys, to be damaged.
const WHOLE: &str = include_str!("../examples/daily_hits/daily-hits.flow.toml");
const MORE: &str = r#"
name = "more"
time_zone = "Europe/Berlin"
max_active = 2
deadline = "1h"
params.date = { type = "date", default = "2026-01-31" }
params.n = { type = "integer", default = 3 }
pools.p = 2
interval = { param = "date", every = "day" }
schedule = { cron = "30 2 * * *", catch_up = "last", overlap = "skip" }
[[notify]]
on = ["failure"]
file = "notices"
[tasks.a]
command = { argv = ["echo", "${date - 1d} $${x}"], env = { A = "${n}" }, pass_env = ["B"], dir = "d" }
retries = 2
backoff = { delay = "1s", factor = 2.0, max = "1m", jitter = 0.5 }
retry_on = ["transient", "exit"]
timeout = "1m 30s"
pool = "p"
slots = 2
[tasks.b]
depends_on = ["a"]
for_each = { item = "i", in = ["x", "y"] }
sort = { input = ["${i}"], by = ["k"], output = "o/${i}" }
idempotent = false
inputs = ["z"]
outputs = ["o"]
"#;

/// Does with a text all that can be done without running it.
fn try_all(text: &str) {
    let Ok(flow) = Flow::from_toml(text) else { return };
    let _ = flow.next_times(jiff::Timestamp::UNIX_EPOCH, 2);
    let names = [("date", "2026-01-31"), ("database", "host=x")];
    for given in [&names[..0], &names[..1], &names[..]] {
        if let Ok(plan) = Plan::new(&flow, given.iter().copied()) {
            plan.describe();
        }
    }
}

#[test]
fn the_flows_that_are_damaged_are_good_before() {
    let of_example =
        Plan::new(&Flow::from_toml(WHOLE).unwrap(), [("date", "2026-01-31"), ("database", "host=x")]);
    assert!(of_example.unwrap().describe().contains("2026-01-31"));
    let more = Flow::from_toml(MORE).unwrap();
    assert_eq!(more.next_times(jiff::Timestamp::UNIX_EPOCH, 2).unwrap().len(), 2);
    assert!(Plan::new(&more, [("", ""); 0]).unwrap().describe().contains("2026-01-30 ${x}"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}|[a-z=\\[\\]{}\".,\n0-9 -]{0,200}") {
        try_all(&text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        try_all(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_damage_makes_it_panic(
        of_more in any::<bool>(),
        at in any::<prop::sample::Index>(),
        length in 0..30usize,
        instead in prop_oneof![
            "\\PC{0,8}",
            Just("99999999999999999999".to_owned()),
            Just("-9223372036854775808".to_owned()),
            Just("1e999".to_owned()),
            Just("nan".to_owned()),
            Just("\"${date + 999999999y}\"".to_owned()),
            Just("${".to_owned()),
            Just("[[tasks]]".to_owned()),
            Just("{}".to_owned()),
            Just("\"\"".to_owned()),
            Just("\\u0000".to_owned()),
        ],
    ) {
        let chars: Vec<char> = if of_more { MORE } else { WHOLE }.chars().collect();
        let at = at.index(chars.len());
        let rest = chars[(at + length).min(chars.len())..].iter();
        try_all(&chars[..at].iter().copied().chain(instead.chars()).chain(rest.copied()).collect::<String>());
    }
}
