//! Which files an input consists of.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what helps a test may fail as the test may")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use gristmill::io::resolve::{Inputs, resolve};
use gristmill::prelude::*;
use gristmill::{Error, ErrorKind};
use proptest::prelude::*;
use tempfile::TempDir;

/// A directory with empty files of these paths.
fn tree(paths: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for path in paths {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    directory
}

fn find(directory: &TempDir, pattern: &str) -> Result<Inputs, Error> {
    resolve(&[directory.path().join(pattern)])
}

/// What a pattern finds in a directory, without the path of the directory.
fn found(directory: &TempDir, pattern: &str) -> Vec<String> {
    let files = find(directory, pattern).unwrap().files;
    let relative = |path: PathBuf| path.strip_prefix(directory.path()).unwrap().to_str().unwrap().to_owned();
    files.into_iter().map(|file| relative(file.path)).collect()
}

fn error(directory: &TempDir, pattern: &str) -> String {
    let error = find(directory, pattern).expect_err(pattern);
    assert_eq!(error.kind(), ErrorKind::Input);
    error.to_string()
}

#[test]
fn directories_are_read_at_any_depth_without_hidden_names() {
    let files = ["b", "a/z", "a/c/y", ".hidden", "_SUCCESS", "a/.git/x", "a/_temporary/x", "a-1"];
    let directory = tree(&files);
    assert_eq!(found(&directory, ""), ["a-1", "a/c/y", "a/z", "b"]);
    assert_eq!(found(&directory, "_SUCCESS"), ["_SUCCESS"]);
    assert_eq!(found(&directory, "a/.git"), ["a/.git/x"]);
}

#[test]
fn patterns_match_names() {
    let directory =
        tree(&["a1.txt", "a2.txt", "b1.txt", "_1.txt", ".1.txt", "d/a1.txt", "d/e/a3.txt", "d/e/f.log"]);
    assert_eq!(found(&directory, "*.txt"), ["a1.txt", "a2.txt", "b1.txt"]);
    assert_eq!(found(&directory, "[a]?.txt"), ["a1.txt", "a2.txt"]);
    assert_eq!(found(&directory, "_*.txt"), ["_1.txt"]);
    assert_eq!(found(&directory, "*/a1.txt"), ["d/a1.txt"]);
    assert_eq!(found(&directory, "**/a[13].txt"), ["a1.txt", "d/a1.txt", "d/e/a3.txt"]);
    assert_eq!(found(&directory, "d/**"), ["d/a1.txt", "d/e/a3.txt", "d/e/f.log"]);
    assert_eq!(found(&directory, "d*"), ["d/a1.txt", "d/e/a3.txt", "d/e/f.log"]);
    assert!(find(&directory, "**/*").unwrap().notes.is_empty());
}

#[test]
fn a_file_is_read_once_and_a_path_that_exists_is_no_pattern() {
    let directory = tree(&["a", "b", "[ab]", "*"]);
    let patterns = ["a", "?", "", "b"].map(|pattern| directory.path().join(pattern));
    assert_eq!(resolve(&patterns).unwrap().files.len(), 4);
    assert_eq!(found(&directory, "[ab]"), ["[ab]"]);
    assert_eq!(found(&directory, "*"), ["*"]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let directory = tree(&["a", "d/b"]);
    fs::create_dir(directory.path().join("empty")).unwrap();
    assert!(found(&directory, "empty").is_empty());
    for (pattern, words) in [
        ("missing", "missing: No such file"),
        ("missing*", "no file matches"),
        ("missing/*", "no file matches"),
        ("a/b", "Not a directory"),
        ("a/*", "no file matches"),
        ("empty/**", "no file matches"),
        ("emp*", "no file matches"),
        ("[a", "is no pattern"),
        ("line\nbreak", "line\\nbreak"),
    ] {
        let message = error(&directory, pattern);
        assert!(message.contains(words) && message.contains("; "), "{message}");
    }
    for (url, words) in
        [("s3://bucket/a", "no path"), ("hdfs://host/*", "no path"), ("file:///a", "path alone")]
    {
        let message = resolve(&[url]).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    symlink("nothing", directory.path().join("dangling")).unwrap();
    assert!(error(&directory, "dangling").contains("dangling"));
    assert!(error(&directory, "").contains("dangling"), "a link to nothing is no file less in silence");
    assert!(error(&directory, "dang*").contains("dangling"));
}

#[test]
fn a_file_that_may_not_be_read_is_named_at_once() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tree(&["closed"]);
    let path = directory.path().join("closed");
    fs::write(&path, "text\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read everything, unless he has given that up.
    let mut command = if fs::File::open(&path).is_ok() {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", env!("CARGO_BIN_EXE_gristmill")]);
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_gristmill"))
    };
    command.args(["wordcount", "closed", "-o", "out"]).current_dir(directory.path());
    let output = command.output().expect("setpriv must be there");
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("closed: Permission denied"), "{message}");
    assert!(!directory.path().join("out").exists());
}

#[test]
fn links_are_followed_and_their_loops_end() {
    let directory = tree(&["d/a", "e/b"]);
    symlink("..", directory.path().join("d/up")).unwrap();
    symlink("../e", directory.path().join("d/e")).unwrap();
    symlink(".", directory.path().join("d/same")).unwrap();
    symlink("self", directory.path().join("d/self")).unwrap();
    symlink("d/a", directory.path().join("link")).unwrap();
    let inputs = find(&directory, "d").unwrap();
    assert_eq!(found(&directory, "d"), ["d/a", "d/e/b", "d/up/link"]);
    assert_eq!(inputs.notes.len(), 2, "{:?}", inputs.notes);
    assert_eq!(found(&directory, "link"), ["link"]);
    assert_eq!(find(&directory, "**/b").unwrap().files.len(), 1);
    assert!(error(&directory, "d/self").contains("d/self"));
}

#[test]
fn special_files_are_left_out_with_a_note() {
    let directory = tree(&["a"]);
    assert!(Command::new("mkfifo").arg(directory.path().join("fifo")).status().unwrap().success());
    let _socket = UnixListener::bind(directory.path().join("socket")).unwrap();
    symlink("/dev/null", directory.path().join("null")).unwrap();
    for pattern in ["", "*"] {
        assert_eq!(found(&directory, pattern), ["a"]);
        assert_eq!(find(&directory, pattern).unwrap().notes.len(), 3);
    }
    assert!(error(&directory, "fifo").contains("is not a regular file"));
}

#[test]
fn an_output_never_lies_where_the_next_run_would_read_it() {
    let directory = tree(&["data/a.txt", "data/deep/b.txt", "data/deep/c.csv", "data/deep/part-d.parquet"]);
    fs::create_dir(directory.path().join("data/.hidden")).unwrap();
    let at = |name: &str| directory.path().join(name);
    symlink("data", at("alias")).unwrap();
    symlink("../data/deep", at("data/link")).unwrap();
    let ctx = Context::builder().threads(1).build().unwrap();
    let write = |input: &str, output: &str| {
        let force = CsvOptions::default().existing(Existing::Force);
        ctx.read_text(at(input)).unwrap().write_csv(at(output), force)
    };
    for (input, output, fault) in [
        ("data", "data/counts", "lies in the input"),
        ("data", "data/counts.csv", "lies in the input"),
        ("data", "data/deep/counts", "lies in the input"),
        ("alias", "data/counts", "lies in the input"),
        ("data/link", "data/deep/counts", "lies in the input"),
        ("data/*", "data/counts", "would be found by the input"),
        ("alias/*", "data/counts", "would be found by the input"),
        ("data/*/*", "data/counts", "would be found by the input"),
        ("data/*/[bc]*", "data/deep/counts", "would be found by the input"),
        ("data/**/b*", "data/deep/b.csv", "would be found by the input"),
        ("data/*/*.csv", "data/counts", "would be found by the input"),
        ("data/**/*.parquet", "data/counts", "would be found by the input"),
        ("data/*/part-*", "data/counts", "would be found by the input"),
        ("dat[a]", "alias/counts", "would be found by the input"),
    ] {
        let error = write(input, output).expect_err(output);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let (input, output) = (at(input), at(output));
        let expected = format!("the output {} {fault} {}; write to", output.display(), input.display());
        assert!(error.to_string().contains(&expected), "{error}");
    }
    for (input, output) in [
        ("data", "counts"),
        ("data/*.txt", "data/counts"),
        ("data", "data/_counts"),
        ("data/*", "data/.hidden/counts"),
        ("data/a.txt", "data/deep/counts"),
    ] {
        write(input, output).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_name_works(name in prop::collection::vec(prop_oneof![prop::sample::select(&b" \n'\"*?[]{}-\\\xFFa"[..]), any::<u8>()], 1..12)) {
        let name: Vec<u8> = name.into_iter().filter(|byte| !b"/\0".contains(byte)).collect();
        prop_assume!(!matches!(name[..], [] | [b'.' | b'_', ..]));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(Path::new(OsStr::from_bytes(&name)));
        fs::write(&path, "text").unwrap();
        for pattern in [path.clone(), directory.path().to_path_buf(), directory.path().join("*")] {
            let files = resolve(&[pattern]).unwrap().files;
            prop_assert_eq!(files.len(), 1);
            prop_assert_eq!((&files[0].path, files[0].bytes()), (&path, 4));
        }
        fs::remove_file(&path).unwrap();
        let message = resolve(&[path]).expect_err("it is gone").to_string();
        prop_assert!(!message.chars().any(char::is_control), "{}", message);
    }
}

#[test]
fn in_an_output_its_manifest_names_the_files_that_count() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out");
    let ctx = Context::builder().threads(1).build().unwrap();
    ctx.range(0..10).map(|n| (n % 2, n)).write_csv(&output, CsvOptions::default()).unwrap();
    let parts = found(&directory, "out");
    assert!(!parts.is_empty());

    fs::write(output.join("part-stray.csv"), "1,2\n").unwrap();
    let inputs = find(&directory, "out").unwrap();
    assert_eq!(inputs.files.len(), parts.len());
    assert_eq!(inputs.notes.len(), 1);
    assert!(inputs.notes[0].contains("part-stray.csv is left out: it is not in the manifest"), "{inputs:?}");
    assert_eq!(
        found(&directory, "out/part-stray.csv"),
        ["out/part-stray.csv"],
        "what is written down is read"
    );

    fs::rename(directory.path().join(&parts[0]), directory.path().join("part")).unwrap();
    let told = error(&directory, "out");
    assert!(told.contains(&format!("{} is missing", parts[0])) && told.contains("write it again"), "{told}");

    fs::write(output.join("_manifest.json"), "{\"entries\": []}").unwrap();
    let inputs = find(&directory, "out").unwrap();
    assert!(inputs.notes[0].contains("all files beside it are read"), "{inputs:?}");
    assert_eq!(found(&directory, "out"), ["out/part-stray.csv"]);
}

#[test]
fn an_output_that_is_between_its_old_and_its_new_directory_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out");
    let ctx = Context::builder().threads(1).build().unwrap();
    let numbers = ctx.range(0..10).map(|n| (n % 2, n));
    numbers.write_csv(&output, CsvOptions::default()).unwrap();
    // What a run leaves that dies between the two renames.
    let staging = directory.path().join(".out.gristmill-staging-1f");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("journal"), "").unwrap();
    fs::rename(&output, staging.join("old")).unwrap();
    let told = error(&directory, "out");
    assert!(told.contains("gristmill recover"), "{told}");
}
