//! Flows as a program uses them: order, parameters, failures, what is complete, and what is run again.

#![allow(clippy::unwrap_used)] // in a test, a panic is the report

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gristmill::flow::{
    Backfill, Backoff, Command, Engine, EngineCommand, Every, Flow, ForEach, Notifier, ParamType, Plan, Ran,
    Reprocess, Runner, State, Task, Which, transient,
};
use gristmill::prelude::*;

/// Notes what tasks do, in order.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn runner(dir: &Path) -> Runner {
    let context = Context::builder().threads(2).build().unwrap();
    Runner::open(dir.join("ledger.sqlite")).unwrap().context(context).workers(4)
}

fn none() -> [(&'static str, &'static str); 0] {
    []
}

fn states(runner: &Runner, ran: Ran) -> Vec<(String, State)> {
    runner.ledger().tasks(ran.id).unwrap().into_iter().map(|task| (task.task, task.state)).collect()
}

fn state_of(runner: &Runner, ran: Ran, task: &str) -> State {
    states(runner, ran).into_iter().find(|(name, _)| name == task).unwrap().1
}

#[test]
fn tasks_run_in_order_with_their_parameters() {
    let dir = tempfile::tempdir().unwrap();
    let notes = Notes::default();
    let (first, second) = (notes.clone(), notes.clone());
    let flow = Flow::new("order")
        .param("date", ParamType::Date)
        .time_zone("Europe/Berlin")
        .task("first", move |t| {
            first.add(format!("first {} {}", t.date("date")?, t.path("out/${date - 1d}")?.display()));
            Ok(())
        })
        .task("second", move |t| {
            second.add(format!("second {} {}", t.interval_start()?, t.interval_end()?.timestamp()));
            Ok(())
        })
        .after("first");
    let runner = runner(dir.path());
    let ran = runner.run(Plan::new(&flow, [("date", "2026-03-29")]).unwrap()).unwrap();
    assert_eq!(ran.state, State::Succeeded);
    assert_eq!(
        notes.take(),
        [
            "first 2026-03-29 ./out/2026-03-28",
            "second 2026-03-29T00:00:00+01:00[Europe/Berlin] 2026-03-29T22:00:00Z"
        ]
    );
}

#[test]
fn a_failure_stops_what_waits_for_it_and_a_rerun_completes_it() {
    let dir = tempfile::tempdir().unwrap();
    let (notes, is_broken) = (Notes::default(), Arc::new(AtomicUsize::new(1)));
    let task = |name: &'static str| {
        let notes = notes.clone();
        move |_: &gristmill::flow::TaskContext| {
            notes.add(name);
            Ok(())
        }
    };
    let (noted, broken) = (notes.clone(), Arc::clone(&is_broken));
    let flow = Flow::new("recovery")
        .task("a", task("a"))
        .task("b", move |_| {
            noted.add("b");
            if broken.load(Ordering::SeqCst) == 1 { Err("the moon is wrong".into()) } else { Ok(()) }
        })
        .after("a")
        .task("c", task("c"))
        .after("b")
        .task("d", task("d"))
        .after("a");
    let runner = runner(dir.path());
    let plan = || Plan::new(&flow, none()).unwrap();
    let ran = runner.run(plan()).unwrap();
    assert_eq!(ran.state, State::Failed);
    let (a, b, c, d) = ("a".to_owned(), "b".to_owned(), "c".to_owned(), "d".to_owned());
    assert_eq!(
        states(&runner, ran),
        [(a, State::Succeeded), (b, State::Failed), (c, State::UpstreamFailed), (d, State::Succeeded)]
    );
    let tries = runner.ledger().tries(ran.id).unwrap();
    assert_eq!(tries.iter().find(|one| one.task == "b").unwrap().error.as_deref(), Some("the moon is wrong"));

    notes.take();
    is_broken.store(0, Ordering::SeqCst);
    let again = runner.run(plan()).unwrap();
    assert_eq!((again.state, notes.take()), (State::Succeeded, vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!(runner.ledger().run(again.id).unwrap().unwrap().attempt, 2);

    assert_eq!(runner.run(plan()).unwrap().state, State::Succeeded);
    assert!(notes.take().is_empty(), "what is complete is not run again");
    let runner = runner.which(Which::From("b".to_owned()));
    assert_eq!(runner.run(plan()).unwrap().state, State::Succeeded);
    assert_eq!(notes.take(), ["b", "c"]);
    let runner = runner.which(Which::All);
    assert_eq!(runner.run(plan()).unwrap().state, State::Succeeded);
    assert_eq!(notes.take().len(), 4);
}

#[test]
fn only_transient_errors_are_tried_again_and_no_more_than_asked() {
    let dir = tempfile::tempdir().unwrap();
    let tries = Arc::new(AtomicUsize::new(0));
    let task = |name: &str, is_transient: bool| {
        let tries = Arc::clone(&tries);
        let fails = move |_: &gristmill::flow::TaskContext| {
            tries.fetch_add(1, Ordering::SeqCst);
            if is_transient { Err(transient("not yet")) } else { Err("never".into()) }
        };
        let backoff = Backoff::exponential(Duration::from_millis(1));
        Flow::new(name).add(Task::job("t", fails).retries(3).backoff(backoff))
    };
    let runner = runner(dir.path());
    for (name, is_transient, expected) in [("may-pass", true, 4), ("is-wrong", false, 1)] {
        tries.store(0, Ordering::SeqCst);
        let ran = runner.run(Plan::new(&task(name, is_transient), none()).unwrap()).unwrap();
        assert_eq!((ran.state, tries.load(Ordering::SeqCst)), (State::Failed, expected), "{name}");
        assert_eq!(runner.ledger().tries(ran.id).unwrap().len(), expected, "{name}");
    }
}

#[test]
fn any_error_can_be_named_and_each_failed_try_is_told_with_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("told.jsonl");
    let backoff = Backoff::exponential(Duration::from_millis(1));
    let fails = |_: &gristmill::flow::TaskContext| Err("wrong".into());
    let task = Task::job("t", fails).retries(1).retry_on(["error"]).backoff(backoff);
    let flow = Flow::new("told").add(task).notify(Notifier::file(&told));
    assert_eq!(runner(dir.path()).run(Plan::new(&flow, none()).unwrap()).unwrap().state, State::Failed);
    let told = fs::read_to_string(told).unwrap();
    let events: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_tries: Vec<_> = events.iter().filter(|event| event["event"] == "try_failed").collect();
    assert_eq!((events.len(), of_tries.len()), (3, 2), "{told}");
    for event in of_tries {
        assert!(
            fs::read_to_string(event["log"].as_str().unwrap()).unwrap().contains("failed: wrong"),
            "{event}"
        );
    }
}

#[test]
fn a_task_that_never_returns_times_out_and_commits_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let go_on = Arc::new((Mutex::new(false), std::sync::Condvar::new()));
    let (target, wait) = (out.clone(), Arc::clone(&go_on));
    let (ended, has_ended) = std::sync::mpsc::channel();
    let slow = move |t: &gristmill::flow::TaskContext| {
        let (is_free, signal) = &*wait;
        drop(signal.wait_while(is_free.lock().unwrap(), |free| !*free).unwrap());
        let result = t.context().range(0..10).write_csv(&target, CsvOptions::default());
        ended.send(result.is_err()).unwrap();
        Ok(())
    };
    let flow = Flow::new("slow").add(Task::job("t", slow).timeout(Duration::from_millis(50)));
    let runner = runner(dir.path());
    let ran = runner.run(Plan::new(&flow, none()).unwrap()).unwrap();
    assert_eq!((ran.state, state_of(&runner, ran, "t")), (State::Failed, State::TimedOut));
    *go_on.0.lock().unwrap() = true;
    go_on.1.notify_all();
    assert!(has_ended.recv().unwrap(), "it could still commit");
    assert!(!out.exists());
}

#[test]
fn panics_end_the_task_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let flow = Flow::new("panics").task("t", |_| panic!("of {}", 42)).task("u", |_| Ok(()));
    let runner = runner(dir.path());
    let ran = runner.run(Plan::new(&flow, none()).unwrap()).unwrap();
    assert_eq!((state_of(&runner, ran, "t"), state_of(&runner, ran, "u")), (State::Failed, State::Succeeded));
    assert_eq!(runner.ledger().tries(ran.id).unwrap()[0].error.as_deref(), Some("it panicked: of 42"));
}

#[test]
fn a_skip_reaches_all_that_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let flow = Flow::new("skips").task("t", |t| t.skip("no data")).task("u", |_| Ok(())).after("t");
    let runner = runner(dir.path());
    let ran = runner.run(Plan::new(&flow, none()).unwrap()).unwrap();
    assert_eq!(ran.state, State::Succeeded);
    assert_eq!(
        states(&runner, ran).into_iter().map(|(_, state)| state).collect::<Vec<_>>(),
        [State::Skipped; 2]
    );
}

#[test]
fn a_task_runs_again_when_what_it_read_has_changed_or_what_it_wrote_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.txt"), dir.path().join("out"));
    fs::write(&input, "one").unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, from, to) = (Arc::clone(&count), input.clone(), output.clone());
    let job = move |t: &gristmill::flow::TaskContext| {
        counted.fetch_add(1, Ordering::SeqCst);
        let options = CsvOptions::default().existing(Existing::Overwrite);
        t.context().read_text(&from)?.write_csv(&to, options)?;
        Ok(())
    };
    let (input_text, output_text) = (input.to_str().unwrap(), output.to_str().unwrap());
    let flow = Flow::new("fresh").add(Task::job("t", job).inputs([input_text]).outputs([output_text]));
    let runner = runner(dir.path());
    let run = || {
        assert_eq!(runner.run(Plan::new(&flow, none()).unwrap()).unwrap().state, State::Succeeded);
        count.load(Ordering::SeqCst)
    };
    assert_eq!((run(), run()), (1, 1));
    fs::write(&input, "two and more").unwrap();
    assert_eq!((run(), run()), (2, 2));
    fs::remove_dir_all(&output).unwrap();
    assert_eq!((run(), run()), (3, 3));
}

#[test]
fn items_of_lists_and_globs_are_tasks_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(format!("{name}.txt")), name.repeat(10)).unwrap();
    }
    let notes = Notes::default();
    let note = |key: &'static str| {
        let notes = notes.clone();
        move |t: &gristmill::flow::TaskContext| {
            notes.add(format!("{} {}", t.task(), t.text(key)?.replace(t.text("run_key")?.as_str(), "")));
            Ok(())
        }
    };
    let flow = Flow::new("each")
        .dir(dir.path())
        .add(Task::job("site", note("site")).for_each(ForEach::list("site", ["eu", "us"])))
        .add(
            Task::job("file", note("file"))
                .after("site")
                .for_each(ForEach::glob("file", "*.txt").group_by("20B")),
        );
    let runner = runner(dir.path());
    let ran = runner.run(Plan::new(&flow, none()).unwrap()).unwrap();
    assert_eq!(ran.state, State::Succeeded);
    let mut noted = notes.take();
    noted.sort();
    assert!(
        noted[0].starts_with("file[") && noted[0].contains("a.txt") && noted[0].contains("b.txt"),
        "{noted:?}"
    );
    assert!(noted[1].starts_with("file[") && noted[1].contains("c.txt"), "{noted:?}");
    assert_eq!(noted[2..], ["site[eu] eu", "site[us] us"]);
}

#[test]
fn items_of_a_glob_that_are_complete_are_not_run_again() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::write(dir.path().join(format!("{name}.txt")), "1").unwrap();
    }
    let (notes, is_broken) = (Notes::default(), Arc::new(AtomicUsize::new(1)));
    let (first, each, last, broken) = (notes.clone(), notes.clone(), notes.clone(), Arc::clone(&is_broken));
    let flow = Flow::new("glob")
        .dir(dir.path())
        .task("first", move |_| {
            first.add("first");
            Ok(())
        })
        .add(
            Task::job("each", move |t| {
                each.add(t.text("file")?);
                let is_broken = t.text("file")? == "b.txt" && broken.load(Ordering::SeqCst) == 1;
                if is_broken { Err("broken".into()) } else { Ok(()) }
            })
            .after("first")
            .for_each(ForEach::glob("file", "*.txt")),
        )
        .task("last", move |_| {
            last.add("last");
            Ok(())
        })
        .after("each");
    let runner = runner(dir.path()).workers(1);
    let run = || {
        let ran = runner.run(Plan::new(&flow, none()).unwrap()).unwrap();
        (ran.state, notes.take())
    };
    assert_eq!(run(), (State::Failed, ["first", "a.txt", "b.txt"].map(str::to_owned).into()));
    is_broken.store(0, Ordering::SeqCst);
    assert_eq!(run(), (State::Succeeded, ["b.txt", "last"].map(str::to_owned).into()));
    assert_eq!(run(), (State::Succeeded, vec![]));
    fs::write(dir.path().join("c.txt"), "1").unwrap();
    assert_eq!(run(), (State::Succeeded, ["c.txt", "last"].map(str::to_owned).into()));
    fs::write(dir.path().join("a.txt"), "12").unwrap();
    assert_eq!(run(), (State::Succeeded, ["a.txt", "last"].map(str::to_owned).into()));
}

#[test]
fn what_is_refused_is_no_attempt_and_what_nobody_knows_is_refused_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let pay = move |_: &gristmill::flow::TaskContext| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    let flow = Flow::new("pay").add(Task::job("pay", pay).idempotent(false));
    let plan = || Plan::new(&flow, none()).unwrap();
    let ran = runner(dir.path()).run(plan()).unwrap();
    let typo = runner(dir.path()).which(Which::From("pya".to_owned())).run(plan()).unwrap_err();
    assert!(typo.to_string().contains("the nearest name is `pay`"), "{typo}");
    let ledger = rusqlite::Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    ledger.execute("UPDATE tasks SET state = 'unknown_outcome'", []).unwrap();
    for which in [Which::Missing, Which::Missing, Which::All, Which::From("pay".to_owned())] {
        let refused = runner(dir.path()).which(which).run(plan()).unwrap_err();
        assert!(refused.to_string().contains("nobody knows what `pay` did in run 1"), "{refused}");
    }
    let runner = runner(dir.path());
    assert_eq!((runner.ledger().runs(None, 9).unwrap().len(), count.load(Ordering::SeqCst)), (1, 1));
    runner.confirm(ran.id, "pay", State::Failed).unwrap();
    assert_eq!(runner.run(plan()).unwrap().state, State::Succeeded);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn what_a_process_has_left_that_died_behind_its_commit_is_cleaned_up() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.csv"), "a\n1\n").unwrap();
    let convert = Engine::new(EngineCommand::Convert).set("input", ["in.csv"]).set("output", "out");
    let flow = Flow::new("died").dir(dir.path()).step("convert", convert);
    let ran = runner(dir.path()).run(Plan::new(&flow, none()).unwrap()).unwrap();
    assert_eq!(ran.state, State::Succeeded);
    // As the ledger and the directory are if it dies now, while it deletes what was there before.
    let ledger = rusqlite::Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    let running = ["runs SET state", "tasks SET state", "tries SET before = 'another', state"];
    for table in running {
        ledger.execute(&format!("UPDATE {table} = 'running'"), []).unwrap();
    }
    let staging = dir.path().join(".out.gristmill-staging-1-1-0");
    fs::create_dir_all(staging.join("new")).unwrap();
    fs::write(staging.join(".live"), "").unwrap();
    let runner = runner(dir.path());
    assert_eq!(state_of(&runner, ran, "convert"), State::Succeeded);
    assert!(!staging.exists());
}

#[test]
fn a_large_interval_is_split_and_files_are_grouped_by_their_times() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a-20260131-2359", "a-20260201-0000", "a-20260131-2300", "a-20260131-0100"] {
        fs::write(dir.path().join(format!("{name}.log")), "").unwrap();
    }
    let notes = Notes::default();
    let note = |item: &'static str| {
        let (notes, dir) = (notes.clone(), format!("{}/", dir.path().display()));
        move |t: &gristmill::flow::TaskContext| {
            let names = t.text(item)?.replace(&dir, "");
            notes.add(format!("{item} {names} {}", t.expand("${date}")?));
            Ok(())
        }
    };
    let files = |item: &str, every| ForEach::glob(item, "*.log").group_by_time("a-%Y%m%d-%H%M.log", every);
    let flow = |pattern: ForEach| {
        Flow::new("pieces")
            .dir(dir.path())
            .param("date", ParamType::Date)
            .time_zone("Europe/Berlin")
            .add(Task::job("split", note("hour")).for_each(ForEach::every("hour", Every::Hour)))
            .add(Task::job("hours", note("of_hour")).for_each(files("of_hour", Every::Hour)))
            .add(Task::job("months", note("of_month")).for_each(pattern))
    };
    let runner = runner(dir.path());
    let plan = Plan::new(&flow(files("of_month", Every::Month)), [("date", "2026-03-29")]).unwrap();
    assert_eq!(runner.run(plan).unwrap().state, State::Succeeded);
    let mut noted = notes.take();
    noted.sort();
    assert_eq!(noted.iter().filter(|line| line.starts_with("hour ")).count(), 23, "{noted:?}");
    assert_eq!(noted[0], "hour 2026-03-28T23:00:00Z 2026-03-29");
    let grouped: Vec<String> = noted[23..].iter().map(|line| line.replace(".log", "")).collect();
    assert_eq!(
        grouped,
        [
            "of_hour a-20260131-0100 2026-03-29",
            "of_hour a-20260131-2300 a-20260131-2359 2026-03-29",
            "of_hour a-20260201-0000 2026-03-29",
            "of_month a-20260131-0100 a-20260131-2300 a-20260131-2359 2026-03-29",
            "of_month a-20260201-0000 2026-03-29",
        ]
    );

    let other = ForEach::glob("of_month", "*.log").group_by_time("b-%Y.log", Every::Month);
    let plan = Plan::new(&flow(other), [("date", "2026-03-30")]).unwrap();
    let ran = runner.run(plan).unwrap();
    let tasks = runner.ledger().tasks(ran.id).unwrap();
    let reason = tasks.iter().find(|task| task.task == "months").unwrap().reason.clone().unwrap();
    assert!(reason.contains("a-20260131-0100.log has no time as `b-%Y.log` says"), "{reason}");
}

#[test]
fn commands_see_their_environment_and_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let script =
        "printf '%s %s %s' \"$GREETING\" \"$${CARGO_MANIFEST_DIR-none}\" \"$GRISTMILL_TASK\" > said; exit 0";
    let flow = Flow::new("command")
        .dir(dir.path())
        .param("whom", ParamType::Text)
        .step("say", Command::new(["sh", "-c", script]).env("GREETING", "hello ${whom}"))
        .step("fail", Command::new(["sh", "-c", "echo trouble >&2; exit 3"]));
    let runner = runner(dir.path());
    let ran = runner.run(Plan::new(&flow, [("whom", "mill")]).unwrap()).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("said")).unwrap(), "hello mill none say");
    assert_eq!(state_of(&runner, ran, "fail"), State::Failed);
    let tries = runner.ledger().tries(ran.id).unwrap();
    let failed = tries.iter().find(|one| one.task == "fail").unwrap();
    assert_eq!(
        (failed.error_kind.as_deref(), failed.error.as_deref()),
        (Some("exit"), Some("it ended with exit status: 3"))
    );
    assert!(fs::read_to_string(failed.log.as_ref().unwrap()).unwrap().contains("trouble"));
}

#[test]
fn a_program_that_a_command_leaves_behind_is_killed_with_its_group() {
    let dir = tempfile::tempdir().unwrap();
    // It holds the output of its parent open: whoever waited for that would wait for an hour.
    let flow = Flow::new("leaves")
        .dir(dir.path())
        .step("t", Command::new(["sh", "-c", "sleep 3600 & echo $! > pid"]));
    let runner = runner(dir.path());
    let ran = runner.run(Plan::new(&flow, none()).unwrap()).unwrap();
    assert_eq!(ran.state, State::Succeeded);
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
    // It has been killed by now, but a busy machine may let it end a moment later.
    let stat = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let start = std::time::Instant::now();
    while !stat().is_empty() && !stat().contains(") Z ") {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", stat());
        std::thread::yield_now();
    }
}

#[test]
fn a_changed_flow_is_told_before_a_failed_run_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let flow = |argument: &str| Flow::new("changes").step("t", Command::new(["false", argument]));
    let runner = runner(dir.path());
    assert_eq!(runner.run(Plan::new(&flow("one"), none()).unwrap()).unwrap().state, State::Failed);
    let error = runner.run(Plan::new(&flow("two"), none()).unwrap()).unwrap_err();
    assert!(error.to_string().contains("the flow has changed since attempt 1 of changes"), "{error}");
    let runner = runner.accept_changes(true);
    assert_eq!(runner.run(Plan::new(&flow("two"), none()).unwrap()).unwrap().state, State::Failed);
}

#[test]
fn a_backfill_runs_each_day_once_and_resumes_what_failed() {
    let dir = tempfile::tempdir().unwrap();
    let (notes, is_broken) = (Notes::default(), Arc::new(AtomicUsize::new(1)));
    let (noted, broken) = (notes.clone(), Arc::clone(&is_broken));
    let flow = Flow::new("days").param("date", ParamType::Date).add(
        Task::job("t", move |t: &gristmill::flow::TaskContext| {
            let date = t.text("date")?;
            noted.add(date.clone());
            if date == "2024-02-29" && broken.load(Ordering::SeqCst) == 1 {
                Err(transient("leap"))
            } else {
                Ok(())
            }
        })
        .retries(5),
    );
    let runner = runner(dir.path());
    let params = std::collections::BTreeMap::new();
    let backfill = Backfill::new("2024-02-27", "2024-03-02").max_active(2);
    let report = runner.backfill(&flow, &params, &backfill).unwrap();
    let failed: Vec<_> = report.intervals.iter().filter(|interval| interval.state == State::Failed).collect();
    assert_eq!((report.intervals.len(), failed.len(), failed[0].value.as_str()), (5, 1, "2024-02-29"));
    let mut days = notes.take();
    days.sort();
    assert_eq!(
        days,
        ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"],
        "and no retries"
    );

    is_broken.store(0, Ordering::SeqCst);
    let report = runner.resume_backfill(&flow, &params, report.id).unwrap();
    assert!(report.intervals.iter().all(|interval| interval.state == State::Succeeded));
    assert_eq!(notes.take(), ["2024-02-29"]);
    assert!(runner.backfill(&flow, &params, &backfill).unwrap().intervals.is_empty());
    let all = runner.backfill(&flow, &params, &backfill.reprocess(Reprocess::All)).unwrap();
    assert_eq!((all.intervals.len(), notes.take().len()), (5, 5));
}

#[test]
fn secrets_are_in_no_log_ledger_or_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let secret = "correct horse";
    let text = r#"
        name = "secrets"
        params.password = { type = "text", secret = true }
        [tasks.t.command]
        argv = ["sh", "-c", "echo \"$PASSWORD and ${password}\"; exit 1"]
        env = { PASSWORD = "${password}" }
        "#;
    let flow = Flow::from_toml(text).unwrap().dir(dir.path());
    let runner = runner(dir.path());
    let plan = Plan::new(&flow, [("password", secret)]).unwrap();
    assert!(!plan.describe().contains(secret) && !plan.run_key().contains(secret));
    let ran = runner.run(plan).unwrap();
    let log = runner.ledger().tries(ran.id).unwrap()[0].log.clone().unwrap();
    assert!(fs::read_to_string(log).unwrap().contains("*** and ***"));
    drop(runner);
    for entry in walk(dir.path()) {
        let bytes = fs::read(&entry).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{}", entry.display());
    }
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn a_second_run_of_a_key_is_refused_while_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (entered, has_entered) = std::sync::mpsc::channel();
    let gate = Arc::new(std::sync::Barrier::new(2));
    let wait = Arc::clone(&gate);
    let flow = Flow::new("twice").task("t", move |_| {
        entered.send(()).unwrap();
        wait.wait();
        Ok(())
    });
    std::thread::scope(|threads| {
        let first = threads.spawn(|| runner(dir.path()).run(Plan::new(&flow, none()).unwrap()).unwrap());
        has_entered.recv().unwrap();
        let error = runner(dir.path()).run(Plan::new(&flow, none()).unwrap()).unwrap_err();
        assert!(error.to_string().contains("twice is running already: run 1, process "), "{error}");
        gate.wait();
        assert_eq!(first.join().unwrap().state, State::Succeeded);
    });
}
