//! What lines that are not UTF-8 become, where lines are, whole files, and standard input.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what helps a test may fail as the test may")]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::gzip;
use common::place::{Place, assert_says, utf8};
use gristmill::prelude::*;
use gristmill::{ErrorKind, OriginLine, WholeFile};
use proptest::prelude::*;

fn context(threads: usize, split_bytes: u64) -> Context {
    Context::builder().threads(threads).split_bytes(split_bytes).chunk_rows(3).build().unwrap()
}

/// The lines of a content with their numbers and offsets, and how many are not UTF-8.
fn model(content: &[u8], invalid: Invalid) -> (Vec<(String, u64, u64)>, u64) {
    let (mut lines, mut offset, mut bad) = (Vec::new(), 0, 0);
    for (index, line) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let mut start = offset;
        offset += line.len();
        let mut text = line;
        if let Some(whole) = line.strip_suffix(b"\n") {
            text = whole.strip_suffix(b"\r").unwrap_or(whole);
        }
        if let (0, Some(unmarked)) = (index, text.strip_prefix("\u{FEFF}".as_bytes())) {
            (text, start) = (unmarked, start + 3);
        }
        let is_bad = str::from_utf8(text).is_err();
        bad += u64::from(is_bad);
        let is_mark_alone = start == offset;
        if !(is_mark_alone || is_bad && invalid == Invalid::Skip) {
            lines.push((String::from_utf8_lossy(text).into_owned(), index as u64 + 1, start as u64));
        }
    }
    (lines, bad)
}

fn any_content() -> impl Strategy<Value = Vec<u8>> {
    let parts: [&[u8]; 15] = [
        b" ",
        b"\t",
        "\u{3000}".as_bytes(),
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"a",
        "é".as_bytes(),
        "中".as_bytes(),
        b"\xFF",
        b"\xE4\xB8",
        b"0123456789",
        b"a line that is longer than a text that lies inline",
        "\u{FEFF}".as_bytes(),
    ];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn each_line_has_its_text_number_and_offset(
        content in any_content(), split in 1..200u64, threads in prop::sample::select(vec![1, 2, 8]),
        invalid in prop::sample::select(vec![Invalid::Replace, Invalid::Skip]), compressed in any::<bool>(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| directory.path().join(name));
        for path in &paths {
            fs::write(path, if compressed { gzip(&content) } else { content.clone() }).unwrap();
        }
        let (expected, bad) = model(&content, invalid);
        let ctx = context(threads, split);
        let options = TextOptions::default().invalid(invalid);
        let lines = ctx.read_text_with_origin(directory.path(), options).unwrap();
        for run in 1..3 {
            let found = lines.collect().unwrap();
            let of = |path: &Path| found.iter().filter(|line| line.path == path.to_str().unwrap())
                .map(|OriginLine { text, line, offset, .. }| (text.to_string(), *line, *offset)).collect::<Vec<_>>();
            prop_assert_eq!(of(&paths[0]), &expected[..]);
            prop_assert_eq!(of(&paths[1]), &expected[..]);
            prop_assert_eq!(found.len(), 2 * expected.len());
            prop_assert_eq!(ctx.counter(TextOptions::INVALID_LINES).value(), run * 2 * bad);
        }
        let texts = ctx.read_text_with(&paths[0], options).unwrap().collect().unwrap();
        prop_assert_eq!(texts, expected.iter().map(|(text, ..)| text.as_str()).collect::<Vec<_>>());
        let words = ctx.read_words_with(&paths[0], options).unwrap().collect().unwrap();
        prop_assert_eq!(words, expected.iter().flat_map(|(text, ..)| text.split_whitespace()).collect::<Vec<_>>());
    }
}

#[test]
fn a_failure_is_located_where_lines_were_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    let content = b"one\n\xFF\ntwo\nthree\n";
    for content in [content.to_vec(), gzip(content)] {
        fs::write(&path, content).unwrap();
        let options = TextOptions::default().invalid(Invalid::Skip);
        let lines = context(2, 1 << 20).read_text_with(&path, options).unwrap();
        let failing = lines.try_map(|line| if line == "three" { Err("no") } else { Ok(line) });
        let error = failing.count().expect_err("a line is refused");
        let place = error.place().unwrap();
        assert_eq!((place.line, place.offset), (Some(4), Some(10)), "{error}");
    }
}

/// With the numbers of their lines.
const SOME_WORDS: &[u8] = b" one two\n\n\xFF three\nfour  five\n \nsix";

#[test]
fn what_a_word_is_refused_for_names_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let (path, rejects) = (directory.path().join("words"), directory.path().join("rejects"));
    for content in [SOME_WORDS.to_vec(), gzip(SOME_WORDS)] {
        fs::write(&path, content).unwrap();
        for split in [1, 1 << 20] {
            let options = TextOptions::default().invalid(Invalid::Skip);
            let words = context(2, split).read_words_with(&path, options).unwrap();
            let failing =
                words.try_map(|word| if word == "five" || word == "six" { Err("no") } else { Ok(word) });
            let error = failing.count().unwrap_err();
            let place = error.place().unwrap();
            assert_eq!((place.line, place.offset), (Some(4), Some(18)), "{error}");
            let kept = failing.on_error(OnError::reject(&rejects)).unwrap();
            assert_eq!(kept.collect().unwrap(), ["one", "two", "four"]);
            let rejected = Context::new().unwrap().read_text(&rejects).unwrap().collect().unwrap();
            let with = |text: &str| rejected.iter().filter(|line| line.contains(text)).count();
            assert_eq!(
                (rejected.len(), with(",4,18,no,four  five"), with(",6,31,no,six")),
                (3, 1, 1),
                "{rejected:?}"
            );
            fs::remove_dir_all(&rejects).unwrap();
        }
    }
}

#[test]
fn whole_files_are_elements() {
    let directory = tempfile::tempdir().unwrap();
    let contents: Vec<Vec<u8>> = (0..50u8).map(|n| vec![n; usize::from(n) * 7]).collect();
    for (index, content) in contents.iter().enumerate() {
        let stored = if index % 3 == 0 { gzip(content) } else { content.clone() };
        fs::write(directory.path().join(format!("{index:02}")), stored).unwrap();
    }
    for split in [1, 1000, 1 << 20] {
        let files = context(2, split).read_paths(directory.path()).unwrap().collect().unwrap();
        let expected = contents.iter().enumerate().map(|(index, content)| WholeFile {
            path: Text::new(directory.path().join(format!("{index:02}")).to_str().unwrap()),
            content: content.clone(),
        });
        assert_eq!(files, expected.collect::<Vec<_>>());
    }
}

#[test]
fn a_file_that_is_too_large_to_be_held_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large");
    for content in [vec![b'x'; 1001], gzip([b'x'; 1001])] {
        fs::write(&path, content).unwrap();
        let read =
            |max| Context::builder().max_file_bytes(max).build().unwrap().read_paths(&path).unwrap().count();
        let error = read(1000).expect_err("it is too large");
        assert_eq!(error.kind(), ErrorKind::Input);
        let message = error.to_string();
        assert!(
            message.contains("a file is larger than 1000 bytes (")
                && message.contains("large); raise max_file_bytes"),
            "{message}"
        );
        assert_eq!(read(1001).unwrap(), 1);
    }
}

#[test]
fn files_that_changed_after_the_plan_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    let ctx = context(1, 100);
    fs::write(&path, "line\n".repeat(100)).unwrap();
    let (texts, lines, files) = (
        ctx.read_text(&path).unwrap(),
        ctx.read_text_with_origin(&path, TextOptions::default()).unwrap(),
        ctx.read_paths(&path).unwrap(),
    );
    fs::write(&path, gzip(b"line\n")).unwrap();
    for error in [texts.count().unwrap_err(), lines.count().unwrap_err(), files.count().unwrap_err()] {
        assert!(error.to_string().contains("changed while read"), "{error}");
    }
}

/// Runs the command with this on its standard input.
fn piped(place: &Place, line: &str, input: &[u8]) -> Output {
    let mut command = place.command(line);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that fails early does not read to the end.
    let _closed = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn standard_input_is_read_once_and_inflated() {
    let text = "b a a\n".repeat(1000);
    for input in [
        text.clone().into_bytes(),
        gzip(text.as_bytes()),
        [gzip(b"b a"), gzip(b" a\n")].concat().repeat(1000),
    ] {
        let place = Place::new(&[("-", "not this one\n"), ("more", "a\n")]);
        let Output { status, stderr, .. } = piped(&place, "wordcount - more -o out --format csv", &input);
        assert!(status.success(), "{}", utf8(stderr));
        let counts = fs::read_to_string(place.at("out/part-00000.csv")).unwrap();
        assert!(counts.contains("a,2001\n") && counts.contains("b,1000\n"), "{counts}");
    }
    let place = Place::new(&[("-", "this one\n")]);
    place.succeed("wordcount ./- -o out --format csv");
    assert!(fs::read_to_string(place.at("out/part-00000.csv")).unwrap().contains("this,1\n"));
}

#[test]
fn what_is_wrong_with_standard_input_is_said() {
    let place = Place::new(&[]);
    let cut = gzip(b"some text");
    for (input, says) in [
        (&b"ab\xFF\n"[..], ["not UTF-8 (-, byte offset 2)", "; "]),
        (&cut[..12], ["cut off (-, byte offset 12)", "; "]),
    ] {
        let Output { status, stderr, .. } = piped(&place, "wordcount - -o out", input);
        assert_eq!(status.code(), Some(1));
        assert_says(&utf8(stderr), &says);
    }
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn standard_input_cannot_be_read_twice() {
    // It is one for a process, and that of the tests may be a terminal: the test runs itself again, in a process of its own.
    const CHILD: &str = "GRISTMILL_TEST_OF_STANDARD_INPUT";
    if std::env::var_os(CHILD).is_none() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["standard_input_cannot_be_read_twice", "--exact"]).env(CHILD, "1");
        let output = command.stdin(File::open("examples/data/genesis.txt").unwrap()).output().unwrap();
        assert!(output.status.success(), "{}{}", utf8(output.stdout), utf8(output.stderr));
        return;
    }
    let ctx = context(2, 1000);
    let lines = ctx.read_text("-").unwrap();
    assert!(lines.count().unwrap() > 1);
    for again in [lines, ctx.read_text(["-"]).unwrap()] {
        let error = again.count().expect_err("it was read before");
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains("standard input has been read before"), "{error}");
    }
}

/// The rows of the only part of an output of `wordcount --format csv`.
fn counts(place: &Place) -> String {
    fs::read_to_string(place.at("out/part-00000.csv")).unwrap()
}

#[test]
fn a_hundred_thousand_small_files_need_few_descriptors() {
    let place = Place::new(&[]);
    fs::create_dir(place.at("in")).unwrap();
    for index in 0..100_000 {
        let content = format!("word{}\n", index % 2).into_bytes();
        let content = if index % 100 < 98 { content } else { gzip(&content) };
        File::create(place.at(format!("in/{index}"))).unwrap().write_all(&content).unwrap();
    }
    let limited = "ulimit -n 64; exec \"$0\" wordcount in -o out --format csv --threads 8";
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_gristmill")])
        .current_dir(place.at(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", utf8(output.stderr));
    let counts = counts(&place);
    assert!(counts.contains("word0,50000\n") && counts.contains("word1,50000\n"), "{counts}");
}

#[test]
fn nul_bytes_are_data_like_any_other() {
    let place = Place::new(&[("in", "a\0b \0 c\n\0\n"), ("in2", "a\0b\0\n")]);
    place.succeed("wordcount in in2 -o out --format csv");
    let counts = counts(&place);
    let rows: Vec<&str> = counts.lines().skip(1).collect();
    assert_eq!(rows.len(), 4);
    for row in ["a\0b,1", "\0,2", "c,1", "a\0b\0,1"] {
        assert!(rows.contains(&row), "no {row:?} in {rows:?}");
    }
}

#[test]
fn files_without_words_give_an_output_without_rows() {
    for content in ["", "\n", "\u{FEFF}", "\u{FEFF}\n", " \r\n"] {
        let place = Place::new(&[("in", content)]);
        place.succeed("wordcount in -o out --format csv");
        let manifest = fs::read_to_string(place.at("out/_manifest.json")).unwrap();
        assert!(
            manifest.contains("\"word\"") && manifest.contains("\"count\""),
            "it has its schema: {manifest}"
        );
        for (name, content) in common::files(&place.at("out")) {
            assert!(name.ends_with("_manifest.json") || content == b"word,count\n", "{}", name.display());
        }
        place.succeed("verify out");
    }
}

#[test]
fn a_line_without_end_is_an_error_in_bounded_memory() {
    use wait4::Wait4;
    let place = Place::new(&[("in", "a line\n")]);
    // A gibibyte of NUL bytes, which take no room on the disk.
    File::options().append(true).open(place.at("in")).unwrap().set_len(1 << 30).unwrap();
    let mut command = place.command("wordcount in -o out");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let ended = child.wait4().unwrap();
    let mut message = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut message).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{message}");
    assert_says(
        &message,
        &["longer than 16777216 bytes (in, line 2, byte offset 7)", "; check", "raise max_line_bytes"],
    );
    assert!(ended.rusage.maxrss < 192 << 20, "{} bytes", ended.rusage.maxrss);
    assert_eq!(place.names(), ["in"]);

    File::options().write(true).open(place.at("in")).unwrap().set_len(20 << 20).unwrap();
    let ctx = Context::builder().max_line_bytes(32 << 20).build().unwrap();
    let longest = ctx.read_text(place.at("in")).unwrap().map(|line| line.len()).collect().unwrap();
    assert_eq!(longest, [6, (20 << 20) - 7], "a larger limit works");
}
