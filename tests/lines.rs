//! Lines of text files: the same ones however the files are cut and read, and faults that say where they are.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what helps a test may fail as the test may")]

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Command;

use gristmill::io::lines::{BlockPool, LineCutter, LineFaultKind, LineOptions};
use gristmill::io::origin::{LineOrigins, Origins, Raw};
use gristmill::io::resolve::resolve;
use gristmill::io::split::{Split, SplitOptions, splits};
use gristmill::io::text::{LineReader, line_number};
use gristmill::{Error, ErrorKind, Text};
use proptest::prelude::*;

/// What the lines of a file are.
fn model(content: &str) -> Vec<&str> {
    content.strip_prefix('\u{FEFF}').unwrap_or(content).lines().collect()
}

fn options(block_bytes: usize, max_line_bytes: usize) -> LineOptions {
    LineOptions { block_bytes, max_line_bytes, ..LineOptions::default() }
}

fn plan(paths: &[&Path], target_bytes: u64) -> Vec<Split> {
    let options = SplitOptions { target_bytes: Some(target_bytes), ..SplitOptions::default() };
    splits(resolve(paths).unwrap().files, &options)
}

fn read_all(reader: &mut LineReader) -> Result<Vec<Text>, Error> {
    let mut lines = Vec::new();
    while let Some(block) = reader.next_block()? {
        lines.extend(block.texts());
    }
    Ok(lines)
}

/// The lines of all splits, and the bytes that were read for them.
fn read_splits(splits: &[Split], options: LineOptions) -> Result<(Vec<Text>, u64), Error> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for split in splits {
        let mut reader = LineReader::new(split.clone(), options);
        lines.extend(read_all(&mut reader)?);
        bytes += reader.bytes_read();
    }
    Ok((lines, bytes))
}

fn error_of(path: &Path, options: LineOptions) -> Error {
    read_splits(&plan(&[path], 1 << 20), options).expect_err("the file is bad")
}

/// Gives as many bytes at once as it is told; zero of them is an interrupt.
struct Stutter<'a> {
    rest: &'a [u8],
    counts: VecDeque<usize>,
}

impl Read for Stutter<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.counts.pop_front().unwrap_or(1);
        self.counts.push_back(count);
        if count == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let part = count.min(buffer.len());
        self.rest.read(&mut buffer[..part])
    }
}

fn any_content() -> impl Strategy<Value = String> {
    let parts = [
        "\n",
        "\n",
        "\r\n",
        "\r",
        "\r\r\n",
        "a",
        "bc",
        "é",
        "中",
        "😀",
        "\0",
        "\u{FEFF}",
        "\u{2028}",
        "0123456789",
    ];
    (any::<bool>(), prop::collection::vec(prop::sample::select(parts.to_vec()), 0..60)).prop_map(
        |(marked, parts)| if marked { format!("\u{FEFF}{}", parts.concat()) } else { parts.concat() },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_range_and_any_read_give_each_line_once(
        content in any_content(), range in 1..90u64, block in 1..70usize,
        mut counts in prop::collection::vec(0..20usize, 1..8),
    ) {
        counts.push(1);
        let mut pool = BlockPool::new(block);
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for start in (0..content.len() as u64).step_by(range as usize) {
            let source = Stutter {
                rest: &content.as_bytes()[start.saturating_sub(1) as usize..],
                counts: counts.clone().into(),
            };
            let end = content.len().min((start + range) as usize) as u64;
            let mut cutter = LineCutter::new(source, start..end, options(block, 1000));
            while let Some(found) = cutter.next_lines(&mut pool).unwrap() {
                prop_assert_eq!(&content.as_bytes()[found.offset as usize..][..found.block.as_str().len()],
                    found.block.as_str().as_bytes());
                bytes += found.block.as_str().len();
                lines.extend(found.ranges().map(|range| found.block.text(range)));
            }
        }
        prop_assert_eq!(lines, model(&content));
        prop_assert_eq!(bytes, content.len());
    }

    #[test]
    fn the_limit_of_a_line_is_exact(content in any_content(), limit in 0..30usize, block in 1..70usize) {
        let content = content.trim_start_matches('\u{FEFF}');
        let mut pool = BlockPool::new(block);
        let mut cutter = LineCutter::new(content.as_bytes(), 0..content.len() as u64, options(block, limit));
        let fault = std::iter::from_fn(|| cutter.next_lines(&mut pool).transpose()).find_map(Result::err);
        let long = model(content).into_iter().find(|line| line.len() > limit);
        prop_assert_eq!(fault.is_some(), long.is_some());
        if let (Some(fault), Some(long)) = (fault, long) {
            prop_assert!(matches!(fault.kind, LineFaultKind::TooLong));
            prop_assert_eq!(fault.offset as usize, long.as_ptr().addr() - content.as_ptr().addr());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn files_give_their_lines(
        contents in prop::collection::vec(any_content(), 1..4), target in 1..200u64, block in 1..100usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        for (index, content) in contents.iter().enumerate() {
            fs::write(directory.path().join(index.to_string()), content).unwrap();
        }
        let splits = plan(&[directory.path()], target);
        let (lines, bytes) = read_splits(&splits, options(block, 1000)).unwrap();
        prop_assert_eq!(lines, contents.iter().flat_map(|content| model(content)).collect::<Vec<_>>());
        prop_assert_eq!(bytes as usize, contents.concat().len());
    }

    #[test]
    fn a_line_is_found_again(content in any_content(), target in 1..200u64, block in 1..100usize) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, &content).unwrap();
        let expected = model(&content);
        let mut number = 0;
        for split in plan(&[&path], target) {
            let count = read_splits(std::slice::from_ref(&split), LineOptions::default()).unwrap().0.len() as u64;
            let mut origins = LineOrigins::new(split, options(block, 1000), |_line| 1);
            for index in 0..count {
                let origin = origins.origin(index).unwrap();
                let line = expected[number];
                number += 1;
                prop_assert_eq!(line_number(&path, origin.offset).unwrap(), number as u64);
                prop_assert_eq!(origin.offset, (line.as_ptr().addr() - content.as_ptr().addr()) as u64);
                prop_assert_eq!(origin.raw, Raw::Known(line.as_bytes().to_vec()));
            }
            prop_assert_eq!(origins.origin(count).unwrap_err().kind(), ErrorKind::Internal);
        }
        prop_assert_eq!(number, expected.len());
    }

    #[test]
    fn invalid_bytes_are_reported_where_they_are(content in any_content(), at in any::<prop::sample::Index>(), block in 1..100usize) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let borders: Vec<usize> = (0..=content.len()).filter(|&at| content.is_char_boundary(at)).collect();
        let at = *at.get(&borders);
        fs::write(&path, [&content.as_bytes()[..at], b"\xFF", &content.as_bytes()[at..]].concat()).unwrap();
        let error = error_of(&path, options(block, 1000));
        let place = error.place().unwrap();
        prop_assert_eq!((error.kind(), place.path.as_ref()), (ErrorKind::Input, Some(&path)));
        prop_assert_eq!(place.offset, Some(at as u64));
        prop_assert_eq!(place.line, Some(content[..at].matches('\n').count() as u64 + 1));
    }
}

#[test]
fn empty_files_have_no_lines_and_a_newline_is_one() {
    let directory = tempfile::tempdir().unwrap();
    for (content, lines) in
        [("", 0), ("\u{FEFF}", 0), ("\n", 1), ("\u{FEFF}\n", 1), ("\r\n", 1), ("\r", 1), ("a\0b", 1)]
    {
        let path = directory.path().join("a");
        fs::write(&path, content).unwrap();
        let (found, bytes) = read_splits(&plan(&[&path], 1 << 20), LineOptions::default()).unwrap();
        assert_eq!((found.len(), bytes as usize), (lines, content.len()), "{content:?}");
    }
}

#[test]
fn a_line_without_end_is_an_error_in_bounded_memory() {
    let mut pool = BlockPool::new(4096);
    let mut cutter = LineCutter::new(io::repeat(b'x'), 0..u64::MAX, options(4096, 1 << 20));
    let fault = cutter.next_lines(&mut pool).unwrap_err();
    assert!(matches!(fault.kind, LineFaultKind::TooLong));
    assert!(cutter.next_lines(&mut pool).unwrap().is_none(), "nothing follows a fault");
}

#[test]
fn a_long_line_names_its_file_and_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a b");
    fs::write(&path, format!("short\n{}\n", "x".repeat(200))).unwrap();
    let message = error_of(&path, options(16, 100)).to_string();
    let expected = "a b, line 2, byte offset 6); check that the file has lines, or raise max_line_bytes";
    assert!(
        message.starts_with("a line is longer than 100 bytes (") && message.ends_with(expected),
        "{message}"
    );
    assert!(read_splits(&plan(&[&path], 1 << 20), options(16, 200)).is_ok());
}

#[test]
fn a_failing_disk_is_reported_with_the_offset() {
    struct Failing(&'static [u8]);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Err(io::Error::from_raw_os_error(5)) } else { self.0.read(buffer) }
        }
    }
    let mut pool = BlockPool::new(4);
    let mut cutter = LineCutter::new(Failing(b"one\ntwo"), 0..100, options(4, 100));
    assert!(cutter.next_lines(&mut pool).unwrap().is_some());
    let fault = cutter.next_lines(&mut pool).unwrap_err();
    assert_eq!(fault.offset, 7);
    assert!(matches!(fault.kind, LineFaultKind::Read(error) if error.raw_os_error() == Some(5)));
}

#[test]
fn blocks_are_used_again_when_no_text_holds_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    fs::write(&path, "a line that does not lie inline\n".repeat(1000)).unwrap();
    let addresses = |keep: bool| {
        let mut reader = LineReader::new(plan(&[&path], 1 << 20).remove(0), options(1024, 1000));
        let (mut kept, mut addresses) = (Vec::new(), std::collections::HashSet::new());
        while let Some(block) = reader.next_block().unwrap() {
            addresses.insert(block.lines().block.as_str().as_ptr().addr());
            kept.extend(block.texts().filter(|_| keep));
        }
        assert!(kept.iter().all(|line| line == "a line that does not lie inline"));
        addresses.len()
    };
    assert!(addresses(false) <= 2, "one block is enough, and one for the last");
    assert!(addresses(true) >= 30, "texts keep their blocks");
}

#[test]
fn a_file_that_changed_after_the_plan_is_an_error() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 6] = [
        ("shortened", |path| OpenOptions::new().write(true).open(path).unwrap().set_len(9).unwrap()),
        ("longer", |path| OpenOptions::new().append(true).open(path).unwrap().write_all(b"more\n").unwrap()),
        ("same length, other content", |path| {
            std::thread::sleep(std::time::Duration::from_millis(30));
            fs::write(path, "LINE\n".repeat(100)).unwrap();
        }),
        ("replaced", |path| {
            fs::write(path.with_extension("new"), "line\n".repeat(100)).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("deleted", |path| fs::remove_file(path).unwrap()),
        ("replaced by a FIFO", |path| {
            fs::remove_file(path).unwrap();
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
    ];
    for (name, change) in changes {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "line\n".repeat(100)).unwrap();
        let splits = plan(&[&path], 1 << 20);
        change(&path);
        let error = read_splits(&splits, LineOptions::default()).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Input, "{name}");
        assert!(error.to_string().contains("changed while read"), "{name}: {error}");
        assert_eq!(error.place().and_then(|place| place.path.as_deref()), Some(&*path), "{name}");
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    for length in [0, 7, 2000, 6000] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "line\n".repeat(1000)).unwrap();
        let mut reader = LineReader::new(plan(&[&path], 1 << 20).remove(0), options(100, 1000));
        assert!(reader.next_block().unwrap().is_some());
        std::thread::sleep(std::time::Duration::from_millis(30));
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        let error = read_all(&mut reader).expect_err("the file changed");
        assert!(error.to_string().contains("changed while read"), "{length}: {error}");
    }
}
