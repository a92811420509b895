//! Secrets of flows: nothing that anybody else can look at has them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::process::Output;

use common::place::{Place, utf8};

/// Part of it means something to a connection string.
const SECRET: &str = "correct horse=7 'battery\\";

/// Lists the arguments of all processes.
const PS: &str = "for one in /proc/[0-9]*; do tr '\\\\0' ' ' < $one/cmdline; echo; done 2> no > ";

fn flow() -> String {
    format!(
        r#"
name = "secrets"
params.password = {{ type = "text", secret = true }}
[[notify]]
webhook = "http://127.0.0.1:1/hook?token=horse"
timeout = "10s"
[[notify]]
webhook = "horse battery"
timeout = "10s"
[[notify]]
file = "notices"
[tasks.command]
command = {{ argv = ["sh", "-c", "{PS} ps-of-command; echo \"$PASSWORD\"; echo \"$PASSWORD\" >&2; exit 1"], env = {{ PASSWORD = "${{password}}" }} }}
[tasks.in]
load = {{ command = ["sh", "-c", "{PS} ps-of-load; echo \"x\""], to = "loaded" }}
[tasks.bad]
load = {{ from = "in.csv", postgres = "host=/nowhere password=${{password}}", table = "t" }}
[tasks.url]
load = {{ from = "in.csv", postgres = "postgresql://x:${{password}}@/nowhere", table = "t" }}
[tasks.program]
command.argv = ["no-such-program-${{password}}"]
[tasks.place]
convert = {{ input = ["${{password}}.csv"], output = "out" }}
"#
    )
}

/// Nothing of the secret, and no word of it.
fn assert_secret(text: &str, of: &str) {
    for word in [SECRET, "horse", "battery"] {
        assert!(!text.contains(word), "{of}: {text}");
    }
}

#[test]
fn secrets_are_in_no_output_file_or_list_of_processes() {
    let place = Place::new(&[("secrets.flow.toml", &flow()), ("in.csv", "n\n1\n")]);
    let run = |line: &str| {
        let Output { stdout, stderr, .. } =
            place.command(line).env("GRISTMILL_PARAM_PASSWORD", SECRET).output().unwrap();
        let (stdout, stderr) = (utf8(stdout), utf8(stderr));
        assert_secret(&stdout, line);
        assert_secret(&stderr, line);
        stdout + &stderr
    };
    run("flow check secrets.flow.toml");
    let told = run("flow run secrets.flow.toml");
    assert!(told.contains("the webhook could not be told"), "{told}");
    run("flow show 1");
    let logs = run("flow logs 1");
    assert!(logs.contains(" ***\n") && logs.contains("no-such-program-***"), "{logs}");
    run("flow runs");
    run("flow rerun 1 --failed");
    for list in ["ps-of-command", "ps-of-load"] {
        let list = fs::read_to_string(place.at(list)).unwrap();
        assert!(list.contains("gristmill flow r") && list.contains("guard"), "{list}");
        assert!(!list.contains(SECRET), "{list}");
    }
    // The words of it may be those of other processes.
    for list in ["ps-of-command", "ps-of-load"] {
        fs::remove_file(place.at(list)).unwrap();
    }
    fs::remove_file(place.at("secrets.flow.toml")).unwrap(); // it has tokens of notifiers
    for (file, bytes) in common::files(&place.at("")) {
        assert_secret(&String::from_utf8_lossy(&bytes), &file.display().to_string());
    }
    assert!(place.at("notices").exists());
}

#[test]
fn an_error_in_a_flow_file_does_not_repeat_its_lines() {
    let declared = "params.password = { type = \"text\", secret = true, default = \"correct horse battery\"";
    for rest in [", x }", "", " }\nretries =", " }\n[tasks.t]\nretries = 1"] {
        let place = Place::new(&[("secrets.flow.toml", &format!("name = \"s\"\n{declared}{rest}\n"))]);
        let output = place.run("flow check secrets.flow.toml");
        assert_eq!(output.status.code(), Some(2));
        assert_secret(&utf8(output.stderr), rest);
    }
}
