//! `kill -9` at any instant of a run that replaces an output: the output is the old or the new one, to the byte, and
//! the next run leaves nothing over.
//!
//! `GRISTMILL_KILLS` says how often; the default suits a build without optimisation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{files, gristmill, names, scramble, text};
use gristmill::io::commit::manifest;
use tempfile::TempDir;

const DEFAULT_KILLS: u64 = 25;

fn kills() -> u64 {
    std::env::var("GRISTMILL_KILLS").map_or(DEFAULT_KILLS, |kills| kills.parse().unwrap())
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Two inputs, what each makes of the output, and how long a run takes.
struct Scene {
    dir: TempDir,
    inputs: [String; 2],
    outputs: [Files; 2],
    length: Duration,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let inputs = [path("one.txt"), path("two.txt")];
        let output = dir.path().join("out");
        let mut length = Duration::ZERO;
        let outputs = [0, 1].map(|input| {
            std::fs::write(&inputs[input], text(600_000, input as u64 + 1)).unwrap();
            let start = Instant::now();
            assert!(count(&inputs[input], &output).status().unwrap().success());
            length = start.elapsed();
            files(&output)
        });
        assert_ne!(outputs[0], outputs[1]);
        Scene { dir, inputs, outputs, length }
    }

    fn output(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Which of the two outputs is there; it panics if it is neither.
    fn current(&self, round: u64) -> usize {
        manifest::verify(&self.output()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let found = files(&self.output());
        let position = self.outputs.iter().position(|output| *output == found);
        position.unwrap_or_else(|| panic!("round {round}: neither old nor new: {:?}", found.keys()))
    }

    /// Replaces the output by the other one and kills the run within its length; true if it had not ended by then.
    fn kill_a_run(&self, round: u64) -> bool {
        let other = 1 - self.current(round);
        let instant = self.length.mul_f64((scramble(round) % 1000) as f64 / 1000.0);
        let start = Instant::now();
        let mut child = count(&self.inputs[other], &self.output()).spawn().unwrap();
        wait_until(start + instant);
        !ended_by_itself(&mut child)
    }
}

fn count(input: &str, output: &Path) -> Command {
    let mut command = gristmill(&["wordcount", input, "--overwrite", "-o", output.to_str().unwrap()]);
    command.stderr(Stdio::null());
    command
}

/// The instant is what the test is about: nothing is expected to have happened by then.
fn wait_until(instant: Instant) {
    while let Some(left) = instant.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// Kills the process; one that was faster must have succeeded.
fn ended_by_itself(child: &mut Child) -> bool {
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(status.success() || status.code().is_none(), "{status}");
    status.success()
}

#[test]
fn a_killed_run_leaves_the_old_output_or_the_new_one_and_the_next_cleans_up() {
    let scene = Scene::new();
    let (mut killed, mut orphans) = (0, 0);
    for round in 0..kills() {
        killed += u64::from(scene.kill_a_run(round));
        scene.current(round);
        orphans += names(scene.dir.path()).iter().filter(|name| name.contains("staging")).count();
    }
    let old = scene.current(kills());
    assert!(count(&scene.inputs[1 - old], &scene.output()).status().unwrap().success());
    assert_eq!(scene.current(kills()), 1 - old);
    assert_eq!(names(scene.dir.path()), ["one.txt", "out", "two.txt"]);
    assert!(killed > 0 && orphans > 0, "{killed} killed, {orphans} orphans: killed at no telling instants");
}
