//! What a run was bound by, in two lines.

use indicatif::HumanBytes;

use crate::cli::escape::escaped;
use crate::flow::Bounds;

use super::style::took;

/// Runs that took less are bound by nothing that anybody wants to know.
const SHORTEST_MILLIS: i64 = 500;

/// A line with what bounds a run that took so many milliseconds, and one with what that was told from; nothing for a short run.
pub fn described(bounds: &Bounds, millis: i64) -> String {
    if millis < SHORTEST_MILLIS {
        return String::new();
    }
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let mut parts = Vec::new();
    if let Some(cpu) = bounds.cpu {
        parts.push(format!("{} of {} cores", percent(cpu), bounds.cores));
    }
    let shares =
        [("memory", bounds.memory), ("disk", bounds.disk)].map(|(name, share)| (name.to_owned(), share));
    let pools = bounds.pools.iter().map(|(name, share)| (format!("pool {name}"), Some(*share)));
    let rest = [("workers", bounds.workers), ("retries", bounds.retries)]
        .map(|(name, share)| (name.to_owned(), (share >= 0.005).then_some(share)));
    for (name, share) in shares.into_iter().chain(pools).chain(rest) {
        parts.extend(share.map(|share| format!("waiting for {name} {}", percent(share))));
    }
    if bounds.spilled_bytes > 0 {
        parts.push(format!("{} spilled", HumanBytes(bounds.spilled_bytes)));
    }
    if bounds.chain_tasks.len() > 1 {
        let chain = took((bounds.chain * millis as f64) as i64);
        let tasks: Vec<_> = bounds.chain_tasks.iter().map(|task| escaped(task)).collect();
        parts.push(format!("longest chain {chain}: {}", tasks.join(", ")));
    }
    format!("bound by {}\n  {}\n", escaped(&bounds.by().to_string()), parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bounds_a_run_is_told_with_its_figures() {
        let bounds: Bounds = serde_json::from_value(serde_json::json!({
            "cores": 2, "cpu": 0.4, "memory": 0.0, "disk": 0.126, "pools": {"database": 0.71}, "workers": 0.001,
            "spilled_bytes": 3_145_728, "chain": 0.9, "chain_tasks": ["fetch", "publish"],
        }))
        .unwrap();
        let expected = "bound by the slots of the pool `database`\n  40 % of 2 cores; waiting for memory 0 %; waiting for disk 13 %; \
            waiting for pool database 71 %; 3.00 MiB spilled; longest chain 9.0 s: fetch, publish\n";
        assert_eq!(described(&bounds, 10_000), expected);
        assert_eq!(described(&bounds, 100), "");
    }
}
