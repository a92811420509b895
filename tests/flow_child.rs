//! Programs that tasks start and that go their own way, in a session of their own: they end with their task, and commit nothing afterwards.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;

use common::place::Place;
use rustix::process::{Pid, Signal, kill_process};

const GRISTMILL: &str = env!("CARGO_BIN_EXE_gristmill");

/// A flow of one command; `GRISTMILL` in it is the command of that name.
fn place(argv: &[&str], more: &str) -> Place {
    let argv: Vec<String> =
        argv.iter().map(|text| format!("{:?}", text.replace("GRISTMILL", GRISTMILL))).collect();
    let flow = format!("name = \"child\"\n[tasks.t]\ncommand.argv = [{}]\n{more}\n", argv.join(", "));
    Place::new(&[("child.flow.toml", &flow), ("in.csv", "n\n1\n2\n")])
}

/// Waits, without sleeping, for what a process does.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed().as_secs() < 60, "{what} never came");
        std::thread::yield_now();
    }
}

/// The number that a process has written to a file.
fn pid(place: &Place) -> String {
    until("the number of a process", || {
        fs::read_to_string(place.at("pid")).is_ok_and(|text| text.ends_with('\n'))
    });
    let pid = fs::read_to_string(place.at("pid")).unwrap().trim().to_owned();
    assert!(pid.parse::<i32>().is_ok(), "{pid}");
    pid
}

/// Lets the script go on that waits to read `go`.
fn go(place: &Place) {
    let mut options = fs::File::options();
    options.write(true).custom_flags(libc::O_NONBLOCK); // it fails as long as nobody reads
    until("somebody who waits", || {
        options.open(place.at("go")).and_then(|mut go| go.write_all(b"\n")).is_ok()
    });
}

fn is_alive(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

#[test]
fn a_process_in_a_session_of_its_own_ends_with_its_task() {
    // It holds the output of its parent open, too: whoever waited for that would wait for an hour.
    let script = "setsid sh -c 'echo $$ > pid; exec sleep 3600' & until [ -s pid ]; do :; done";
    let place = place(&["sh", "-c", script], "");
    place.succeed("flow run child.flow.toml");
    assert!(!is_alive(&pid(&place)));
    assert!(!place.at(".gristmill/gates/1").exists());
}

#[test]
fn a_program_that_has_left_its_group_is_stopped_by_a_timeout() {
    let place = place(&["setsid", "sh", "-c", "echo $$ > pid; exec sleep 3600"], "timeout = \"2s\"");
    let output = place.run("flow run child.flow.toml");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("timed_out"));
    assert!(!is_alive(&pid(&place)));
}

/// Writes its number, waits for somebody to write to `go`, converts, and goes on.
const CONVERTS: &str =
    "mkfifo go; echo $$ > pid; read -r _ < go; GRISTMILL convert in.csv -o out 2> said; echo $? > code";

#[test]
fn a_nested_command_commits_while_its_task_goes_on() {
    let place = place(&["setsid", "sh", "-c", CONVERTS], "");
    let mut run = place.command("flow run child.flow.toml").stdout(Stdio::null()).spawn().unwrap();
    pid(&place);
    go(&place);
    assert!(run.wait().unwrap().success());
    assert_eq!(fs::read_to_string(place.at("code")).unwrap(), "0\n");
    place.succeed("verify out");
}

#[test]
fn a_child_that_outlives_gristmill_is_killed() {
    let place = place(&["setsid", "sh", "-c", CONVERTS], "");
    let mut run = place.command("flow run child.flow.toml").stdout(Stdio::null()).spawn().unwrap();
    let child = pid(&place);
    run.kill().unwrap();
    run.wait().unwrap();
    until("the end of the child", || !is_alive(&child));
    assert!(!place.at("out").exists());
}

#[test]
fn a_child_that_cannot_be_killed_in_time_commits_nothing() {
    let script = format!("[ -e pid ] && exit 0; {CONVERTS}.; mv code. code; exec sleep 3600");
    let place = place(&["setsid", "sh", "-c", &script], "");
    let mut run = place.command("flow run child.flow.toml").stdout(Stdio::null()).spawn().unwrap();
    let child = pid(&place);
    // Without the guard nobody ends it when gristmill is gone.
    kill_process(guard_of(run.id()), Signal::KILL).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    go(&place);
    until("the end of the nested command", || place.at("code").exists());
    assert_eq!(fs::read_to_string(place.at("code")).unwrap(), "1\n");
    let said = fs::read_to_string(place.at("said")).unwrap();
    assert!(said.contains("nothing is committed") && said.contains("its process is gone"), "{said}");
    assert!(!place.at("out").exists(), "it was committed");
    assert!(is_alive(&child), "{:?}", fs::read_to_string(format!("/proc/{child}/stat")));

    // The next one that looks ends it, before it says what became of the run.
    place.succeed("flow run child.flow.toml");
    assert!(!is_alive(&child) && !place.at(".gristmill/gates/1").exists());
}

/// The guard that a process has started.
fn guard_of(parent: u32) -> Pid {
    let is_guard = |dir: &Path| {
        let stat = fs::read_to_string(dir.join("stat")).unwrap_or_default();
        let command = fs::read(dir.join("cmdline")).unwrap_or_default();
        let of_parent = stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&parent.to_string()));
        of_parent && command.windows(6).any(|window| window == b"guard\0")
    };
    let found = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path()).find(|dir| is_guard(dir));
    let number = found.unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap();
    Pid::from_raw(number).unwrap()
}
