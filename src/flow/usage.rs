//! What the process has used of the machine, and how long something waited for it, as Linux tells.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Totals up to some instant; what a system does not tell is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usage {
    /// Time of processors, of this process and the programs that it has waited for.
    pub cpu: Option<Duration>,
    /// Time in which something waited for memory.
    pub memory: Option<Duration>,
    /// Time in which something waited for a disk.
    pub disk: Option<Duration>,
}

impl Usage {
    /// All up to now.
    pub fn now() -> Usage {
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let ticks = rustix::param::clock_ticks_per_second();
        Usage {
            cpu: read(Path::new("/proc/self/stat")).and_then(|stat| cpu(&stat, ticks)),
            memory: pressure("memory"),
            disk: pressure("io"),
        }
    }

    /// What came since then.
    pub fn since(self, then: Usage) -> Usage {
        let less = |now: Option<Duration>, then: Option<Duration>| Some(now?.saturating_sub(then?));
        Usage {
            cpu: less(self.cpu, then.cpu),
            memory: less(self.memory, then.memory),
            disk: less(self.disk, then.disk),
        }
    }
}

/// Time of processors in `/proc/self/stat`: user and system, of the process and of its children (`proc_pid_stat(5)`, fields 14 to 17).
fn cpu(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?; // the name before it may hold anything
    let mut fields = fields.split_whitespace().skip(11);
    let ticks = (0..4).map(|_| fields.next()?.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Duration::from_secs_f64(ticks as f64 / ticks_per_second.max(1) as f64))
}

/// Time in which something waited for a resource: in the control group of the process, or else on the machine.
fn pressure(resource: &str) -> Option<Duration> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_group = groups
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .map(|group| Path::new("/sys/fs/cgroup").join(group).join(format!("{resource}.pressure")));
    let of_machine = PathBuf::from(format!("/proc/pressure/{resource}"));
    let texts =
        of_group.into_iter().chain([of_machine]).filter_map(|path| std::fs::read_to_string(path).ok());
    texts.into_iter().find_map(|text| stalled(&text))
}

/// The total of the line `some` of pressure stall information, in microseconds there.
fn stalled(text: &str) -> Option<Duration> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    let total = line.split_whitespace().find_map(|field| field.strip_prefix("total="))?;
    total.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_the_process_and_its_children() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 100 20 3 1 20 0 1 0 9";
        assert_eq!(cpu(stat, 100), Some(Duration::from_millis(1240)));
        assert_eq!(cpu("7 (a) S 1", 100), None);
        assert_eq!(cpu("", 100), None);
    }

    #[test]
    fn pressure_is_the_total_of_what_some_waited() {
        let text = "some avg10=1.20 avg60=1.33 avg300=1.70 total=276867119\nfull avg10=0.89 avg60=1.17 avg300=1.43 total=1\n";
        assert_eq!(stalled(text), Some(Duration::from_micros(276_867_119)));
        assert_eq!(stalled("full total=1"), None);
    }

    #[test]
    fn work_takes_processor_time() {
        let before = Usage::now();
        if before.cpu.is_none() {
            return; // a system that does not tell
        }
        let mut sum = 0_u64;
        while Usage::now().since(before).cpu == Some(Duration::ZERO) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
    }
}
