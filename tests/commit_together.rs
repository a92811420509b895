//! Several outputs in one commit, under faults, crashes and competition: after a recovery all of them are old, or all are new.
#![allow(clippy::unwrap_used, reason = "clippy knows tests, but not the functions that they share")]

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::faults::{FailCalls, Trace};
use common::{files, is_aside, names};
use gristmill::io::commit::{
    Call, Commit, Existing, Finished, Fs, Hook, Mode, Owned, Recovered, Shape, Target, Transaction, recover,
    verify,
};
use gristmill::io::hive::PartitionPath;
use gristmill::prelude::*;
use gristmill::{ErrorKind, Result};
use serde_json::json;
use tempfile::TempDir;

/// Where the outputs of the mixed commit are, by what they are, in the order in which they are added.
const WHOLE: &str = "left/whole";
const TABLE: &str = "right/table";
const FRESH: &str = "left/fresh";
const SINGLE: &str = "right/single.csv";
const LOG: &str = "left/log";
const REJECTS: &str = "right/rejects";
const ALL: [&str; 6] = [WHOLE, TABLE, FRESH, SINGLE, LOG, REJECTS];

fn days(days: &[&str]) -> Mode {
    Mode::Partitions(Owned::Declared(days.iter().map(|day| PartitionPath::parse(day).unwrap()).collect()))
}

fn target(path: &Path, shape: Shape, fs: &Fs) -> Target {
    Target::new(path, shape, Existing::Overwrite).on(fs.clone())
}

fn table(path: &Path, mode: Mode, fs: &Fs) -> Target {
    target(path, Shape::Directory, fs).partitioned_by(vec!["d".to_owned()]).mode(mode)
}

/// An output of one part with one line.
fn finish(target: &Target, line: &str) -> Result<Finished> {
    let attempt = target.check(&[])?.begin()?;
    let number = attempt.next_part_number(None)?;
    let mut part = attempt.create_part(&format!("part-{number:05}.csv"))?;
    writeln!(part, "{line}").unwrap();
    let parts = vec![part.finish(1)?];
    Ok(attempt.finish(json!(["v"]), json!(null), parts))
}

/// A table with one line in each of these partitions.
fn finish_table(target: &Target, days: &[&str], line: &str) -> Result<Finished> {
    let attempt = target.check(&[])?.begin()?;
    let mut partitions = Vec::new();
    for day in days {
        let day = PartitionPath::parse(day).unwrap();
        let mut part = attempt.parts().partition(&day)?.create("part-00000.csv")?;
        writeln!(part, "{line}").unwrap();
        partitions.push((day, vec![part.finish(1)?]));
    }
    Ok(attempt.finish_partitions(json!(["v"]), json!(null), partitions))
}

fn commit(outputs: impl IntoIterator<Item = Finished>) -> Result<Vec<Commit>> {
    let mut transaction = Transaction::default();
    outputs.into_iter().for_each(|output| transaction.add(output));
    transaction.commit()
}

/// The outputs before the commit.
fn scene() -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    let fs = Fs::real();
    std::fs::create_dir(at("left")).unwrap();
    std::fs::create_dir(at("right")).unwrap();
    for name in [WHOLE, LOG, REJECTS] {
        commit([finish(&target(&at(name), Shape::Directory, &fs), "old").unwrap()]).unwrap();
    }
    commit([finish(&target(&at(SINGLE), Shape::File, &fs), "old").unwrap()]).unwrap();
    let days = ["d=1", "d=2", "d=3"];
    commit([finish_table(&table(&at(TABLE), Mode::Whole, &fs), &days, "old").unwrap()]).unwrap();
    temp
}

/// One commit of all kinds of outputs: two directories of which one is new, a file, two partitions of which one is new, an append, and rejects.
fn replace_all(root: &Path, fs: &Fs) -> Result<Vec<Commit>> {
    let at = |name: &str| root.join(name);
    let directory = |name: &str| target(&at(name), Shape::Directory, fs);
    commit([
        finish(&directory(WHOLE), "new")?,
        finish_table(&table(&at(TABLE), days(&["d=2", "d=4"]), fs), &["d=2", "d=4"], "new")?,
        finish(&directory(FRESH), "new")?,
        finish(&target(&at(SINGLE), Shape::File, fs), "new")?,
        finish(&directory(LOG).mode(Mode::AppendOnce("monday".to_owned())), "new")?,
        finish(&directory(REJECTS), "new")?,
    ])
}

/// The files of each output.
fn outputs(root: &Path) -> BTreeMap<&'static str, BTreeMap<PathBuf, Vec<u8>>> {
    let contents = |name: &str| {
        let path = root.join(name);
        if path.is_file() {
            [(PathBuf::new(), std::fs::read(&path).unwrap())].into()
        } else if path.exists() {
            files(&path)
        } else {
            BTreeMap::new()
        }
    };
    ALL.iter().map(|name| (*name, contents(name))).collect()
}

/// What tells whether a partition that no run owns was touched.
fn untouched(root: &Path) -> Vec<(u64, i64, i64)> {
    let identity = |day: &str| {
        let found = root.join(TABLE).join(day).join("part-00000.csv").metadata().unwrap();
        (found.ino(), found.mtime(), found.mtime_nsec())
    };
    ["d=1", "d=3"].map(identity).to_vec()
}

/// Nothing is beside the outputs but their locks.
fn assert_clean(root: &Path, round: usize) {
    for side in ["left", "right"] {
        let hidden: Vec<_> =
            names(&root.join(side)).into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(hidden, Vec::<String>::new(), "call {round}");
    }
}

/// The old and the new outputs, all of them.
type States = [BTreeMap<&'static str, BTreeMap<PathBuf, Vec<u8>>>; 2];

fn states() -> States {
    let temp = scene();
    let old = outputs(temp.path());
    replace_all(temp.path(), &Fs::real()).unwrap();
    [old, outputs(temp.path())]
}

/// Whether each output is old or new, or for an instant not there where directories cannot be exchanged, the partitions of the table each for
/// itself; whether all are old, and whether all are new.
fn judge(root: &Path, [old, new]: &States, round: usize) -> (bool, bool) {
    let now = outputs(root);
    for (name, files) in &now {
        if *name == TABLE {
            for (file, bytes) in files {
                let is_known = [old, new].iter().any(|state| state[name].get(file) == Some(bytes));
                assert!(is_known, "call {round}: {}", file.display());
            }
        } else {
            let is_whole = *files == old[name] || *files == new[name];
            assert!(is_whole || is_aside(&root.join(name)), "call {round}: {name}: {files:?}");
        }
    }
    (now == *old, now == *new)
}

/// What the next start does on one of the outputs.
fn next_start(root: &Path, round: usize, fs: &Fs) {
    let name = ALL[round % ALL.len()];
    let path = root.join(name);
    if round.is_multiple_of(4) {
        let shape = if name == SINGLE { Shape::File } else { Shape::Directory };
        let mode = if name == TABLE { days(&["d=9"]) } else { Mode::Whole };
        let target = target(&path, shape, fs).mode(mode.clone());
        let columns = if name == TABLE { vec!["d".to_owned()] } else { Vec::new() };
        target.partitioned_by(columns).check(&[]).unwrap().begin().unwrap().abort().unwrap();
    } else {
        recover(&path).unwrap();
        assert_eq!(recover(&path).unwrap(), Recovered::default());
    }
}

/// Fails every call from the n-th on, as the death of the process would, or only the n-th, for every n that the commit makes.
fn fail_every_call(for_ever: bool, on: fn(Fs) -> Fs) {
    let states = states();
    let (mut mixtures, mut completed) = (0, 0);
    for n in 1.. {
        let temp = scene();
        let root = temp.path();
        let before = untouched(root);
        let hook = FailCalls::new(move |call| call == n || (for_ever && call > n));
        let result = replace_all(root, &on(Fs::hooked(hook.clone())));
        let (_, all_new) = judge(root, &states, n);
        assert!(result.is_err() || all_new, "call {n}: a success that is not all of the new outputs");
        next_start(root, n, &on(Fs::real()));
        let (is_old, is_new) = judge(root, &states, n);
        let now = outputs(root);
        assert!(is_old || is_new, "call {n}: a mixture: {now:?}");
        assert!(is_new || !all_new, "call {n}: what was new is old again");
        mixtures += usize::from(!is_old && !all_new);
        completed += usize::from(is_new);
        assert_eq!(untouched(root), before, "call {n}");
        for name in ALL {
            recover(&root.join(name)).unwrap(); // what was never committed is left to the next run on each output
        }
        assert_eq!(judge(root, &states, n), (is_old, is_new), "call {n}");
        assert_clean(root, n);
        if hook.calls() < n {
            assert!(
                n > 150 && mixtures > 6,
                "{n} calls and {mixtures} mixtures are fewer than a commit makes"
            );
            assert!(completed > mixtures);
            return;
        }
    }
}

#[test]
fn any_call_that_fails_once_leaves_all_old_or_all_new_after_a_recovery() {
    fail_every_call(false, |fs| fs);
}

#[test]
fn a_run_that_dies_before_any_call_leaves_all_old_or_all_new_after_the_next_start() {
    fail_every_call(true, |fs| fs);
}

#[test]
fn so_it_is_where_directories_cannot_be_exchanged() {
    fail_every_call(false, Fs::without_exchange);
    fail_every_call(true, Fs::without_exchange);
}

#[test]
fn everything_is_durable_before_the_commit_is_decided_and_before_the_journal_goes() {
    let temp = scene();
    let root = temp.path().canonicalize().unwrap();
    let trace = Arc::new(Trace::default());
    replace_all(&root, &Fs::hooked(trace.clone())).unwrap();
    let calls = trace.0.lock().unwrap();
    let is_journal =
        |call: Call| move |made: &&(Call, PathBuf)| made.0 == call && made.1.ends_with("journal");
    let journal = &calls.iter().find(is_journal(Call::RenameNew)).unwrap().1;
    let first = journal.parent().unwrap();
    let at = |call: Call, path: &Path| calls.iter().rposition(|made| *made == (call, path.to_owned()));
    let decided = at(Call::RenameNew, journal).unwrap();
    let removed = at(Call::Remove, journal).unwrap();
    let synced = |dir: &Path, within: std::ops::Range<usize>| {
        calls[within].contains(&(Call::SyncDirectory, dir.to_owned()))
    };

    let made = calls[..decided].iter().enumerate().filter(|(_, (call, path))| {
        matches!(call, Call::CreateFile | Call::CreateDirectory | Call::Link) && !path.ends_with("claims")
    });
    let made: Vec<_> = made.filter(|(_, (_, path))| !path.ends_with("probe")).collect();
    assert!(made.len() > 3 * ALL.len(), "parts, manifests, what leads to the journal: {made:?}");
    for (n, (call, path)) in made {
        let written = if *call == Call::CreateFile { at(Call::SyncFile, path).unwrap() } else { n };
        assert!(synced(path.parent().unwrap(), written..decided), "{call:?} {path:?}");
    }
    for side in ["left", "right"] {
        let last = calls[..decided].iter().rposition(|(call, path)| {
            *call == Call::CreateDirectory && path.parent() == Some(&root.join(side))
        });
        assert!(synced(&root.join(side), last.unwrap()..decided), "the names of the staging directories");
    }
    let lead = calls.iter().position(|(call, path)| *call == Call::RenameNew && path.ends_with("commit"));
    assert!(synced(&root.join("left"), 0..lead.unwrap()), "the lock file that leads name");
    assert!(synced(first, decided + 1..removed));
    let placed = calls[decided + 1..removed].iter().enumerate();
    let placed =
        placed.filter(|(_, (call, _))| matches!(call, Call::Exchange | Call::RenameNew | Call::Replace));
    assert_eq!(placed.clone().count(), ALL.len() + 1);
    for (at, (_, place)) in placed {
        assert!(synced(place.parent().unwrap(), decided + 1 + at..removed), "{place:?}");
    }
    let deleted = calls.iter().position(|(call, path)| *call == Call::Remove && path == first).unwrap();
    assert!(removed < deleted && synced(first, removed..deleted), "before the staging directories go");
}

/// Fails a call on a path that ends so, and all after it if it is the death of the process.
struct FailAt {
    call: Call,
    end: &'static str,
    dies: bool,
    dead: AtomicBool,
}

impl FailAt {
    fn hook(call: Call, end: &'static str, dies: bool) -> Fs {
        Fs::hooked(Arc::new(FailAt { call, end, dies, dead: AtomicBool::new(false) }))
    }
}

impl Hook for FailAt {
    fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        let fails = call == self.call && path.ends_with(self.end);
        self.dead.fetch_or(fails && self.dies, Ordering::Relaxed);
        if fails || self.dead.load(Ordering::Relaxed) { Err(io::Error::other("injected")) } else { Ok(()) }
    }
}

#[test]
fn a_commit_that_cannot_be_decided_leaves_nothing_over() {
    let temp = scene();
    let before = outputs(temp.path());
    let error = replace_all(temp.path(), &FailAt::hook(Call::RenameNew, "journal", false)).unwrap_err();
    assert!(error.to_string().contains("journal: injected"), "{error}");
    assert_eq!(outputs(temp.path()), before);
    assert_clean(temp.path(), 0);
}

/// The scene after a death between two of the renames of a commit.
fn died() -> TempDir {
    let temp = scene();
    let error = replace_all(temp.path(), &FailAt::hook(Call::Replace, SINGLE, true)).unwrap_err().to_string();
    assert!(error.contains("the commit is decided") && error.contains("gristmill recover"), "{error}");
    let (old, new) = (b"old\n", b"new\n");
    assert_eq!(std::fs::read(temp.path().join(WHOLE).join("part-00000.csv")).unwrap(), new);
    assert_eq!(std::fs::read(temp.path().join(SINGLE)).unwrap(), old);
    temp
}

#[test]
fn a_recovery_that_dies_goes_on_at_another_output() {
    let states = states();
    let temp = died();
    let root = temp.path();
    let is_over = |n: usize| {
        let hook = Fs::hooked(FailCalls::new(move |call| call >= n));
        // Whoever tries finds it the other way around each time.
        let name = [LOG, REJECTS, WHOLE][n % 3];
        let began =
            target(&root.join(name), Shape::Directory, &hook).check(&[]).and_then(|found| found.begin());
        judge(root, &states, n);
        began.is_ok_and(|attempt| attempt.abort().is_ok())
    };
    assert!((1..500).any(is_over), "a recovery makes fewer calls");
    assert_eq!(judge(root, &states, 0), (false, true));
}

#[test]
fn recovery_says_what_it_did_for_all_outputs() {
    let temp = died();
    let root = temp.path().canonicalize().unwrap();
    let unfinished = verify::check(&root.join(REJECTS)).unwrap();
    assert_eq!(
        unfinished.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(),
        [verify::FaultKind::Unfinished]
    );
    let found = recover(&root.join(REJECTS)).unwrap();
    let expected = [WHOLE, "right/table/d=2", "right/table/d=4", FRESH, SINGLE, LOG, REJECTS];
    assert_eq!(found.rolled_forward, expected.map(|name| root.join(name)));
    assert_eq!(found.deleted.len(), ALL.len());
    assert_clean(&root, 0);
}

#[test]
fn those_who_recover_at_the_same_time_take_turns() {
    let states = states();
    for _ in 0..10 {
        let temp = died();
        let root = temp.path();
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                ALL.iter().map(|name| scope.spawn(move || recover(&root.join(name)).unwrap())).collect();
            let found: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            let who_did_it = found.iter().filter(|found| !found.rolled_forward.is_empty());
            assert_eq!(who_did_it.count(), 1);
        });
        assert_eq!(judge(root, &states, 0), (false, true));
        assert_clean(root, 0);
    }
}

#[test]
fn a_tree_that_was_moved_after_the_crash_is_recovered_where_it_is() {
    let states = states();
    let temp = died();
    let moved = tempfile::tempdir().unwrap();
    let root = moved.path().join("deep");
    std::fs::rename(temp.path(), &root).unwrap();
    recover(&root.join(LOG)).unwrap();
    assert_eq!(judge(&root, &states, 0), (false, true));
}

/// What every start on an output of the commit says, which must change nothing.
fn refusal(root: &Path, name: &str) -> String {
    let before = files(root);
    let error = recover(&root.join(name)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Output);
    assert!(target(&root.join(name), Shape::Directory, &Fs::real()).check(&[]).unwrap().begin().is_err());
    assert_eq!(files(root), before);
    error.to_string()
}

#[test]
fn an_output_that_somebody_else_has_put_in_place_meanwhile_is_never_replaced() {
    let temp = died();
    let at = |name: &str| temp.path().join(name);
    std::fs::rename(at(LOG), at("aside")).unwrap();
    std::fs::create_dir(at(LOG)).unwrap();
    std::fs::write(at(LOG).join("diary"), "dear").unwrap();
    let error = recover(&at(WHOLE)).unwrap_err().to_string();
    assert!(
        error.contains("log was changed by somebody else") && error.contains("nothing was changed"),
        "{error}"
    );
    assert_eq!(std::fs::read(at(LOG).join("diary")).unwrap(), b"dear");
    assert!(refusal(temp.path(), WHOLE).contains("log was changed"));
}

#[test]
fn a_journal_that_cannot_be_looked_for_is_not_taken_for_one_that_never_was() {
    let states = states();
    let temp = died();
    let at = |name: &str| temp.path().join(name);
    std::fs::rename(at("left"), at("unmounted")).unwrap();
    assert!(refusal(temp.path(), REJECTS).contains("mount what is missing"));
    std::fs::create_dir(at("left")).unwrap(); // as the directory of a mount is there without it
    assert!(refusal(temp.path(), REJECTS).contains("mount what is missing"));
    std::fs::remove_dir(at("left")).unwrap();
    std::fs::rename(at("unmounted"), at("left")).unwrap();
    recover(&at(REJECTS)).unwrap();
    assert_eq!(judge(temp.path(), &states, 0), (false, true));
}

#[test]
fn an_output_that_is_no_part_of_the_commit_is_not_followed_to() {
    let temp = died();
    let right = temp.path().join("right");
    let staging =
        names(&right).into_iter().find(|name| name.starts_with(".rejects.gristmill-staging")).unwrap();
    std::fs::remove_file(right.join(staging).join("commit")).unwrap();
    assert!(refusal(temp.path(), WHOLE).contains("is no part of its commit"));
}

#[test]
fn a_target_that_somebody_else_changes_stops_the_commit_of_all() {
    let temp = scene();
    let before = outputs(temp.path());
    let at = |name: &str| temp.path().join(name);
    let fs = Fs::real();
    let first = finish(&target(&at(WHOLE), Shape::Directory, &fs), "new").unwrap();
    let second = finish(&target(&at(FRESH), Shape::Directory, &fs), "new").unwrap();
    std::fs::create_dir(at(FRESH)).unwrap();
    let error = commit([first, second]).unwrap_err().to_string();
    assert!(error.contains("fresh was changed by somebody else"), "{error}");
    std::fs::remove_dir(at(FRESH)).unwrap();
    assert_eq!(outputs(temp.path()), before);
    assert_clean(temp.path(), 0);
}

#[test]
fn what_was_appended_before_leaves_the_others_to_be_committed() {
    let temp = scene();
    let at = |name: &str| temp.path().join(name);
    let once = || Mode::AppendOnce("monday".to_owned());
    let log =
        |line: &str| finish(&target(&at(LOG), Shape::Directory, &Fs::real()).mode(once()), line).unwrap();
    commit([log("new")]).unwrap();
    let before = files(&at(LOG));
    let whole = finish(&target(&at(WHOLE), Shape::Directory, &Fs::real()), "new").unwrap();
    let replaced: Vec<_> =
        commit([log("again"), whole]).unwrap().iter().map(|commit| commit.replaced).collect();
    assert_eq!(replaced, [false, true]);
    assert_eq!(files(&at(LOG)), before);
    assert_clean(temp.path(), 0);
}

#[test]
fn two_outputs_of_a_commit_may_create_one_table() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("table");
    let day = |day: &'static str, line: &str| {
        finish_table(&table(&path, days(&[day]), &Fs::real()), &[day], line).unwrap()
    };
    commit([day("d=1", "one"), day("d=2", "two")]).unwrap();
    let found = verify::check(&path).unwrap();
    assert_eq!((found.partitions, found.rows, found.faults.len()), (2, 2, 0));
    commit([day("d=2", "other"), day("d=3", "three")]).unwrap();
    assert_eq!(std::fs::read(path.join("d=2/part-00000.csv")).unwrap(), b"other\n");
    assert_eq!(std::fs::read(path.join("d=1/part-00000.csv")).unwrap(), b"one\n");
    assert_eq!(names(temp.path()), ["table"]);
}

#[test]
fn commits_that_share_tables_in_another_order_do_not_wait_for_each_other_for_ever() {
    let temp = tempfile::tempdir().unwrap();
    let paths = ["a", "b", "c"].map(|name| temp.path().join(name));
    for path in &paths {
        commit([finish_table(&table(path, Mode::Whole, &Fs::real()), &["d=0"], "old").unwrap()]).unwrap();
    }
    std::thread::scope(|scope| {
        for (day, order) in [("d=1", [0, 1, 2]), ("d=2", [2, 1, 0]), ("d=3", [1, 2, 0])] {
            let paths = &paths;
            scope.spawn(move || {
                for round in 0..20 {
                    let line = round.to_string();
                    let outputs = order.map(|table_at| {
                        let target = table(&paths[table_at], days(&[day]), &Fs::real());
                        finish_table(&target, &[day], &line).unwrap()
                    });
                    commit(outputs).unwrap();
                }
            });
        }
    });
    for path in &paths {
        for day in ["d=1", "d=2", "d=3"] {
            assert_eq!(std::fs::read(path.join(day).join("part-00000.csv")).unwrap(), b"19\n");
        }
    }
    assert_eq!(names(temp.path()), ["a", "b", "c"]);
}

#[derive(Record, Clone)]
struct Number {
    n: u64,
}

#[test]
fn a_run_commits_none_of_its_outputs_if_one_cannot_be() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    std::fs::write(at("in.csv"), "n\n1\nx\n3\n").unwrap();
    let ctx = Context::builder().threads(2).build().unwrap();
    let csv = || CsvOptions::default().existing(Existing::Overwrite);
    let run = |meddle: Option<PathBuf>, policy: OnError| {
        let rows = ctx.read_csv::<Number>(at("in.csv"), CsvFormat::default()).unwrap();
        let rows = rows.on_error(policy).unwrap().map(move |row| {
            if let Some(path) = &meddle {
                std::fs::write(path, "mine").unwrap();
            }
            row
        });
        ctx.run((rows.to_csv(at("all"), csv()), rows.to_csv(at("one.csv"), csv()), rows.to_count()))
    };
    let reject = || OnError::reject(at("rejects"));
    let error = run(None, reject().max_share(0.1)).unwrap_err().to_string();
    assert!(error.contains("33.333 % of the records"), "{error}");
    assert_eq!(names(temp.path()), ["in.csv"]);

    let error = run(Some(at("one.csv")), reject()).unwrap_err().to_string();
    let parts = ["one.csv was changed by somebody else", "to_csv", "commit_together.rs:"];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    assert_eq!(names(temp.path()), ["in.csv", "one.csv"]);

    let (all, one, count) = run(None, reject()).unwrap();
    assert_eq!((all.rows, one.rows, count), (2, 2, 2));
    assert_eq!(names(temp.path()), ["all", "in.csv", "one.csv", "rejects"]);
    assert_eq!(verify::check(&at("rejects")).unwrap().rows, 1);
}

/// Commits two directories, dies before every call, and recovers from one or the other.
fn die_everywhere(paths: &[PathBuf; 2]) {
    let write = |line: &str, fs: &Fs| {
        commit([
            finish(&target(&paths[0], Shape::Directory, fs), line)?,
            finish(&target(&paths[1], Shape::Directory, fs), line)?,
        ])
    };
    write("old", &Fs::real()).unwrap();
    let line = |path: &Path| std::fs::read_to_string(path.join("part-00000.csv")).unwrap();
    let mut mixtures = 0;
    for n in 1.. {
        let hook = FailCalls::new(move |call| call >= n);
        let _ = write("new", &Fs::hooked(hook.clone()));
        let mixed = line(&paths[0]) != line(&paths[1]);
        mixtures += usize::from(mixed);
        recover(&paths[n % 2]).unwrap();
        assert_eq!(line(&paths[0]), line(&paths[1]), "call {n}");
        assert!(!mixed || line(&paths[0]) == "new\n", "call {n}");
        if hook.calls() < n {
            break;
        }
        write("old", &Fs::real()).unwrap();
    }
    assert!(mixtures > 0);
}

#[test]
fn outputs_may_lie_on_different_file_systems() {
    let temp = tempfile::tempdir().unwrap();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| path.metadata().unwrap().dev();
    assert_ne!(device(temp.path()), device(memory.path()), "the temporary directory lies in /dev/shm");
    die_everywhere(&[temp.path().join("disk"), memory.path().join("memory")]);
}

#[test]
fn outputs_may_have_names_that_are_not_text() {
    let temp = tempfile::tempdir().unwrap();
    let names = [&b"\xff one\n"[..], b"\xfe/\xff"].map(OsStr::from_bytes);
    std::fs::create_dir(temp.path().join(names[1]).parent().unwrap()).unwrap();
    die_everywhere(&names.map(|name| temp.path().join(name)));
}
