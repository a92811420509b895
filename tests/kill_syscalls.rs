//! `kill -9` at the system calls of a run, by strace: each partition and each output is old or new, to the byte, and after the next
//! start all of them are old or all are new, with nothing left over and no other file touched.
//!
//! A run is killed before each call that changes the file system ([`CHANGING`]), in the thread that plans and commits and in the worker, and
//! before a sample of the other calls ([`SAMPLED`]). What is killed is a test of this program, started again under strace for each kill.
//! strace counts the calls of each thread for themselves, and kills at the one that comes first. So that it is the thread that is meant, that
//! thread begins with more calls of each kind than the other one makes in all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{files, names};
use gristmill::io::commit::{Recovered, recover, verify};
use gristmill::prelude::*;
use rustix::fs::{AtFlags, CWD, RenameFlags};
use tempfile::TempDir;

/// What a child does, where, of which generation its outputs are, and which of its threads begins with idle calls.
const CHILD_JOB: &str = "GRISTMILL_TEST_JOB";
const CHILD_DIR: &str = "GRISTMILL_TEST_DIR";
const CHILD_GENERATION: &str = "GRISTMILL_TEST_GENERATION";
const CHILD_IDLE: &str = "GRISTMILL_TEST_IDLE";

/// The system calls that change the file system, or lock a file. Where a processor lacks one, another does its work. What creates a file
/// is sampled, as it opens files, too; each new file is written, locked or synced at once, which is here.
const CHANGING: [&str; 13] = [
    "?mkdir",
    "mkdirat",
    "?rename",
    "?renameat",
    "renameat2",
    "linkat",
    "?unlink",
    "unlinkat",
    "?rmdir",
    "ftruncate",
    "write",
    "fsync",
    "flock",
];

const SAMPLED: [&str; 8] = ["openat", "read", "statx", "close", "getdents64", "mmap", "munmap", "futex"];
const SAMPLE: [usize; 4] = [1, 7, 19, 43];

/// More calls of any kind than a thread of a child makes.
const MANY: usize = 100;

/// Makes each of the calls that change something, without any effect.
fn idle() {
    let nowhere = Path::new("/nowhere/at/all");
    let mut null = File::options().write(true).open("/dev/null").unwrap();
    for _ in 0..MANY {
        let _ = std::fs::create_dir(nowhere);
        let _ = std::fs::rename(nowhere, nowhere);
        let _ = rustix::fs::renameat_with(CWD, nowhere, CWD, nowhere, RenameFlags::NOREPLACE);
        let _ = std::fs::hard_link(nowhere, nowhere);
        let _ = std::fs::remove_file(nowhere);
        let _ = rustix::fs::unlinkat(CWD, nowhere, AtFlags::empty());
        let _ = std::fs::remove_dir(nowhere);
        let _ = null.set_len(0);
        let _ = null.write(b"x");
        let _ = null.sync_all();
        let _ = null.try_lock_shared();
    }
}

/// A thread of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thread {
    /// The one that plans, begins and commits.
    Driver,
    /// The one that computes and writes parts.
    Worker,
    /// Whichever comes first.
    Any,
}

/// What a run does: it writes outputs of a generation to a directory.
struct Job {
    name: &'static str,
    run: fn(&Context, &Path, Pace, u64),
    /// What it writes.
    outputs: &'static [&'static str],
}

/// Called by the worker for each element.
#[derive(Clone, Copy)]
struct Pace(bool);

impl Pace {
    fn at(self, n: u64) {
        if self.0 && n == 0 {
            idle();
        }
    }
}

#[derive(Record, Clone, Debug)]
struct Visit {
    #[record(date)]
    day: i32,
    country: Text,
    n: u64,
}

/// Visits of the thirty days from 2026-01-01 on.
fn visits(ctx: &Context, pace: Pace, generation: u64) -> Dataset<Visit> {
    ctx.range(0..900).map(move |n| {
        pace.at(n);
        let country = ["DE", "FR", "IT"][(n % 3) as usize].into();
        Visit { day: 20_454 + (n / 30) as i32, country, n: n * 100 + generation }
    })
}

fn by_day() -> CsvOptions {
    CsvOptions::default().partition_by(["day", "country"])
}

/// One day of thirty is run again: three partitions of ninety.
const DAY: Job = Job {
    name: "day",
    run: |ctx, dir, pace, generation| {
        let day = visits(ctx, pace, generation).filter(|visit| visit.day == 20_470);
        day.write_csv(dir.join("table"), by_day().replace_partitions(["day=2026-01-17"])).unwrap();
    },
    outputs: &["table"],
};

#[derive(Record, Clone, Debug)]
struct Row {
    k: u64,
    n: u64,
}

/// Two partitions, a directory, a single file, and the rejects of the input.
const MIXED: Job = Job {
    name: "mixed",
    run: |ctx, dir, _, generation| {
        let rows = ctx.read_csv::<Row>(dir.join(format!("{generation}.in")), CsvFormat::default()).unwrap();
        let rows = rows.on_error(OnError::reject(dir.join("deep/rejects"))).unwrap();
        let two = CsvOptions::default().partition_by(["k"]).replace_partitions(["k=1", "k=2"]);
        ctx.run((
            rows.filter(|row| row.k > 0).to_csv(dir.join("table"), two),
            rows.to_parquet(dir.join("deep/whole"), ParquetOptions::default().existing(Existing::Overwrite)),
            rows.map(|row| row.n)
                .to_csv(dir.join("single.csv"), CsvOptions::default().existing(Existing::Overwrite)),
        ))
        .unwrap();
    },
    outputs: &["table", "deep/rejects", "single.csv", "deep/whole"],
};

/// Not a test of its own: what is killed.
#[test]
fn child_does_its_job() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    let text = |name: &str| std::env::var(name).unwrap();
    let job = [DAY, MIXED].into_iter().find(|job| job.name == text(CHILD_JOB)).unwrap();
    let idler = text(CHILD_IDLE);
    if idler == "Driver" {
        idle();
    }
    let ctx = Context::builder().threads(1).build().unwrap();
    (job.run)(&ctx, &dir, Pace(idler == "Worker"), text(CHILD_GENERATION).parse().unwrap());
}

/// The files of a directory, or what stands for one file, by the unit that changes in one step.
type Units = BTreeMap<PathBuf, BTreeMap<PathBuf, Vec<u8>>>;

fn units(dir: &Path) -> Units {
    let mut units = Units::new();
    for (file, bytes) in files(dir) {
        let hidden = file.components().any(|part| part.as_os_str().to_string_lossy().starts_with('.'));
        if !hidden && file.extension().is_none_or(|extension| extension != "in") {
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
            units.entry(parent.unwrap_or(&file).to_owned()).or_default().insert(file, bytes);
        }
    }
    units
}

/// The outputs of two generations, of which one is there.
struct Scene {
    temp: TempDir,
    job: Job,
    generations: [Units; 2],
    /// The files that no run touches.
    others: BTreeMap<PathBuf, (u64, i64, i64)>,
    current: usize,
    killed: usize,
    mixtures: usize,
}

impl Scene {
    /// What `prepare` has left, run over by the job.
    fn new(job: Job, prepare: impl Fn(&Context, &Path)) -> Scene {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        let ctx = Context::builder().threads(1).build().unwrap();
        prepare(&ctx, dir);
        let generations = [0, 1].map(|generation| {
            (job.run)(&ctx, dir, Pace(false), generation);
            units(dir)
        });
        let [old, new] = &generations;
        let others =
            old.iter().filter(|(unit, files)| new[*unit] == **files).flat_map(|(_, files)| files.keys());
        let others = others.map(|file| (file.clone(), identity(&dir.join(file)))).collect();
        Scene { temp, job, generations, others, current: 1, killed: 0, mixtures: 0 }
    }

    /// Kills runs before the first call of a name, before the second, and so on, until a run ends before it comes to that call.
    fn kill_at_each(&mut self, call: &str, thread: Thread) {
        for n in MANY + 1.. {
            if !self.kill_at(call, n, thread) {
                return;
            }
            assert!(n < 2 * MANY, "{thread:?} makes more calls of {call} than expected: make MANY larger");
        }
    }

    /// Starts a run that writes what is not there, and kills it before the n-th call of this name; false if it ended before.
    fn kill_at(&mut self, call: &str, n: usize, thread: Thread) -> bool {
        let at = format!("{thread:?}: {call} {n}");
        let mut strace = Command::new("strace");
        let inject = format!("inject={call}:signal=KILL:when={n}");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
        strace.arg(std::env::current_exe().unwrap()).args([
            "--exact",
            "child_does_its_job",
            "--test-threads=1",
        ]);
        strace.env(CHILD_DIR, self.temp.path()).env(CHILD_JOB, self.job.name);
        strace.env(CHILD_GENERATION, (1 - self.current).to_string()).env(CHILD_IDLE, format!("{thread:?}"));
        let output = strace.stdin(Stdio::null()).output().unwrap_or_else(|error| {
            panic!("strace cannot be started, which this test needs (apt-get install strace): {error}")
        });
        let was_killed = output.status.signal() == Some(9);
        let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(was_killed || output.status.success(), "{at}: {}: {said}", output.status);
        self.judge(&at, was_killed);
        was_killed
    }

    /// Each unit is old or new, and all of them are after the next start.
    fn judge(&mut self, at: &str, was_killed: bool) {
        let dir = self.temp.path();
        let found = units(dir);
        for (unit, files) in &found {
            let is_known = self.generations.iter().any(|generation| generation.get(unit) == Some(files));
            assert!(is_known, "{at}: {} is neither old nor new: {files:?}", unit.display());
        }
        assert!(found.keys().eq(self.generations[0].keys()), "{at}: {:?}", found.keys());
        let outputs = self.job.outputs;
        let next = dir.join(outputs[self.killed % outputs.len()]);
        recover(&next).unwrap();
        assert_eq!(recover(&next).unwrap(), Recovered::default(), "{at}");
        let after = units(dir);
        let generation = self.generations.iter().position(|generation| *generation == after);
        let generation =
            generation.unwrap_or_else(|| panic!("{at}: a mixture after {} was recovered", next.display()));
        let is_new = generation != self.current;
        assert!(found == self.generations[self.current] || is_new, "{at}: what was new in part is old again");
        assert!(
            was_killed || found == self.generations[1 - self.current],
            "{at}: a success that wrote not all"
        );
        self.mixtures += usize::from(!self.generations.contains(&found));
        self.killed += usize::from(was_killed);
        self.current = generation;
        for output in outputs {
            recover(&dir.join(output)).unwrap(); // what was never committed is left to the next start of each output
        }
        let left: Vec<_> = [dir.to_owned(), dir.join("deep")]
            .iter()
            .filter(|dir| dir.is_dir())
            .flat_map(|dir| names(dir))
            .filter(|name| name.starts_with('.'))
            .collect();
        assert_eq!(left, Vec::<String>::new(), "{at}");
        for (file, before) in &self.others {
            assert_eq!(identity(&dir.join(file)), *before, "{at}: {} was touched", file.display());
        }
        assert_eq!(verify::check(&dir.join("table")).unwrap().faults.len(), 0, "{at}");
    }
}

/// What tells whether a file was touched.
fn identity(file: &Path) -> (u64, i64, i64) {
    let found = file.metadata().unwrap();
    (found.ino(), found.mtime(), found.mtime_nsec())
}

#[test]
fn a_day_that_is_run_again_is_old_or_new_wherever_the_run_is_killed() {
    let mut scene = Scene::new(DAY, |ctx, dir| {
        visits(ctx, Pace(false), 0).write_csv(dir.join("table"), by_day()).unwrap();
    });
    assert_eq!(
        scene.others.len(),
        29 * 3 * 2 + 1,
        "a part and a manifest of each other partition, and that of the table"
    );
    for call in CHANGING {
        scene.kill_at_each(call, Thread::Driver);
        scene.kill_at_each(call, Thread::Worker);
    }
    for call in SAMPLED {
        for n in SAMPLE {
            scene.kill_at(call, n, Thread::Any);
        }
    }
    let Scene { killed, mixtures, .. } = scene;
    assert!(killed > 60, "{killed} killed: at no telling instants");
    assert_eq!(mixtures, 2, "one after the exchange of each partition but the last");
}

#[test]
fn outputs_of_one_run_are_all_old_or_all_new_wherever_it_is_killed() {
    let mut scene = Scene::new(MIXED, |ctx, dir| {
        std::fs::create_dir(dir.join("deep")).unwrap();
        for generation in 0..2 {
            let rows: String =
                (1..40).map(|n| format!("{},{generation}{n}\n{generation}{n},x\n", 1 + n % 2)).collect();
            std::fs::write(dir.join(format!("{generation}.in")), format!("k,n\n{rows}")).unwrap();
        }
        let table = ctx.range(0..4).map(|n| Row { k: n, n });
        table.write_csv(dir.join("table"), CsvOptions::default().partition_by(["k"])).unwrap();
    });
    assert_eq!(scene.others.len(), 2 * 2 + 1);
    for call in ["?rename", "?renameat", "renameat2", "?unlink", "unlinkat", "fsync", "flock"] {
        scene.kill_at_each(call, Thread::Driver);
    }
    let Scene { killed, mixtures, .. } = scene;
    assert!(killed > 60, "{killed} killed: at no telling instants");
    assert_eq!(mixtures, 4, "one after each of the renames but the last");
}
