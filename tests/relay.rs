//! Large compressed files: the same lines however many tasks read them, in which order, and how often.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what helps a test may fail as the test may")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use gristmill::io::lines::{Invalid, LineOptions};
use gristmill::io::resolve::resolve;
use gristmill::io::split::{CompressedFiles, Split, SplitOptions, splits};
use gristmill::io::text::LineReader;
use gristmill::parse::Regex;
use gristmill::prelude::*;
use proptest::prelude::*;
use tempfile::TempDir;

/// Lines of many lengths that do not compress well.
fn text(lines: u64, seed: u64) -> String {
    let mut text = String::new();
    for line in 0..lines {
        let mut number = (line + 1).wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let words = if line % 97 == 0 { 300 } else { number >> 61 };
        for _ in 0..words {
            number = number.rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            text.push_str(&(number >> 40).to_string());
        }
        text.push_str(if number % 5 == 0 { "\r\n" } else { "\n" });
    }
    text.push_str("the last one has no end");
    text
}

/// As gzip, in members of this many bytes.
fn gzip(bytes: &[u8], member: usize) -> Vec<u8> {
    let members = bytes.chunks(member).map(|part| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    });
    members.collect::<Vec<_>>().concat()
}

fn compressed(codec: usize, bytes: &[u8], member: usize) -> Vec<u8> {
    match codec {
        0 => gzip(bytes, member),
        1 => bytes.chunks(member).flat_map(|part| zstd::encode_all(part, 1).unwrap()).collect(),
        2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// A directory with the plain file and the compressed one.
fn pair(plain: &[u8], compressed: &[u8]) -> (TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["plain", "compressed"].map(|name| directory.path().join(name));
    fs::write(&paths[0], plain).unwrap();
    fs::write(&paths[1], compressed).unwrap();
    let [plain, compressed] = paths;
    (directory, plain, compressed)
}

fn context(threads: usize, split_bytes: u64) -> Context {
    Context::builder().threads(threads).split_bytes(split_bytes).build().unwrap()
}

fn plan(path: &Path, target_bytes: u64) -> Vec<Split> {
    let (target_bytes, compressed) = (Some(target_bytes), CompressedFiles::Relayed);
    let options = SplitOptions { target_bytes, compressed, ..SplitOptions::default() };
    splits(resolve(&[path]).unwrap().files, &options)
}

/// The lines of a split, or of its first blocks.
fn read(split: &Split, options: LineOptions, blocks: usize) -> Vec<Text> {
    let mut reader = LineReader::new(split.clone(), options);
    let blocks = std::iter::from_fn(|| reader.next_block().unwrap()).take(blocks);
    blocks.flat_map(|block| block.texts().collect::<Vec<_>>()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn a_compressed_file_gives_the_lines_of_the_plain_one(
        lines in 1..3000u64, seed in any::<u64>(), member in 500..100_000usize, codec in 0..4usize,
        split in prop::sample::select(vec![400u64, 4000, 40_000, 1 << 30]),
    ) {
        let text = text(lines, seed);
        let (_directory, plain, compressed) = pair(text.as_bytes(), &compressed(codec, text.as_bytes(), member));
        let options = TextOptions::default();
        let of = |path: &Path, threads| {
            let lines = context(threads, split).read_text_with_origin(path, options).unwrap();
            lines.map(|line| (line.text, line.line, line.offset))
        };
        let expected = of(&plain, 2).collect().unwrap();
        prop_assert_eq!(expected.len() as u64, lines + 1);
        for threads in [1, 2, 8] {
            let lines = of(&compressed, threads);
            let few = lines.take(7).unwrap();
            prop_assert!(few == expected[..few.len()], "{} threads: take", threads);
            // Again, beside itself, and after what was not read to its end.
            let twice = std::thread::scope(|scope| {
                let runs = [scope.spawn(|| lines.collect()), scope.spawn(|| lines.collect())];
                runs.map(|run| run.join().unwrap().unwrap())
            });
            for found in twice {
                prop_assert!(found == expected, "{} threads", threads);
            }
        }
    }

    #[test]
    fn pieces_may_be_read_in_any_order_and_given_up(
        seed in any::<u64>(), order in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize), 1..8),
    ) {
        let text = text(400, seed);
        let (_directory, _, path) = pair(b"", &gzip(text.as_bytes(), 3000));
        let options = LineOptions { block_bytes: 512, ..LineOptions::default() };
        let splits = plan(&path, 8000);
        prop_assert!(splits.len() > 3);
        let in_order: Vec<Vec<Text>> = splits.iter().map(|split| read(split, options, usize::MAX)).collect();
        prop_assert_eq!(in_order.concat(), text.lines().collect::<Vec<_>>());
        for (index, blocks) in order {
            let index = index.index(splits.len());
            let found = read(&splits[index], options, blocks);
            prop_assert!(found == in_order[index][..found.len()]);
            // Other options are other lines, which no decoder of these may give.
            let skipping = LineOptions { invalid: Invalid::Skip, ..options };
            prop_assert!(read(&splits[0], skipping, usize::MAX) == in_order[0]);
        }
    }
}

#[derive(Record, Clone)]
struct Numbered {
    n: u64,
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Reject {
    file: String,
    line: u64,
    offset: u64,
    reason: String,
    raw: String,
}

type Read = fn(&Context, &Path) -> gristmill::Result<Dataset<Numbered>>;

/// What is read and what is rejected of a file by a source of rows, and how many splits it has.
fn numbers(path: &Path, read: Read, threads: usize) -> (Vec<u64>, Vec<Reject>, u64) {
    let to = path.with_extension("rejects.csv");
    let ctx = context(threads, 4000);
    let rows = read(&ctx, path).unwrap().on_error(OnError::reject(&to)).unwrap();
    let splits = rows.map_partitions(|rows| [rows.len()]).count().unwrap();
    let found = rows.map(|row| row.n).collect().unwrap();
    let mut rejects = ctx.read_csv::<Reject>(&to, CsvFormat::default()).unwrap().collect().unwrap();
    for reject in &mut rejects {
        assert_eq!(std::mem::take(&mut reject.file), path.display().to_string());
    }
    (found, rejects, splits)
}

#[test]
fn records_of_a_compressed_file_are_those_of_the_plain_one_with_their_lines() {
    let json = |n: u64| match n {
        n if n % 71 == 5 => "{\"n\": \"x\"}\r\n".to_string(),
        n if n % 50 == 6 => "\n".to_string(),
        n => format!("{{\"n\": {}}}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    };
    let log = |n: u64| match n {
        n if n % 71 == 5 => format!("{n} is no number\r\n"),
        n => format!("n={}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    };
    let texts = [json, log].map(|line| {
        let lines =
            (0..3000).map(|n| if n % 97 == 3 { b"not UTF-8: \xFF\n".to_vec() } else { line(n).into_bytes() });
        lines.collect::<Vec<_>>().concat()
    });
    let reads: [Read; 2] = [
        |ctx, path| ctx.read_json_lines(path, JsonFormat::default()),
        |ctx, path| ctx.read_lines(path, Regex::new("^n=(?P<n>[0-9]+)$").unwrap()),
    ];
    for (text, read) in texts.iter().zip(reads) {
        let (_directory, plain, compressed) = pair(text, &gzip(text, 3000));
        let (expected, rejects, _) = numbers(&plain, read, 2);
        assert!(rejects.len() > 50 && rejects.iter().any(|reject| reject.reason == "it is not UTF-8"));
        for threads in [1, 2, 8] {
            let (found, found_rejects, splits) = numbers(&compressed, read, threads);
            assert!(found == expected && found_rejects == rejects, "{threads} threads");
            assert!(splits > 10, "it is read in pieces");
        }
        // With several threads another line may be the first to fail.
        let strict = read(&context(1, 4000), &compressed).unwrap();
        let error = strict.count().expect_err("a line is bad");
        assert_eq!(error.place().unwrap().line, Some(rejects[0].line), "{error}");
    }
}

#[test]
fn a_fault_in_the_middle_ends_the_run_once() {
    let text = text(3000, 7);
    let mut damaged = gzip(text.as_bytes(), 20_000);
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xFF);
    let (_directory, _, path) = pair(b"", &damaged);
    for threads in [1, 2, 8] {
        let lines = context(threads, 4000).read_text(&path).unwrap();
        for _ in 0..2 {
            let message = lines.count().expect_err("it is damaged").to_string();
            assert!(message.contains("the gzip data is damaged"), "{message}");
        }
        assert_eq!(lines.first().unwrap().unwrap(), text.lines().next().unwrap());
    }
}

#[test]
fn a_closure_that_panics_wakes_who_waits_and_is_located() {
    let text = text(3000, 9);
    let (_directory, _, path) = pair(b"", &gzip(text.as_bytes(), 20_000));
    let found = |(index, line): &(usize, &str)| *index > 1500 && line.len() > 20;
    let (index, wanted) =
        text.lines().enumerate().find(found).map(|(index, line)| (index as u64, line.to_string())).unwrap();
    for threads in [1, 2, 8] {
        let wanted = wanted.clone();
        let lines = context(threads, 4000).read_text(&path).unwrap();
        let error =
            lines.inspect(move |line| assert!(*line != wanted, "found it")).count().expect_err("it panics");
        assert_eq!(error.place().and_then(|place| place.line), Some(index + 1), "{error}");
        assert_eq!(lines.count().unwrap(), 3001);
    }
}

#[test]
fn a_piece_that_inflates_to_very_much_is_handed_on_as_it_comes() {
    let text = format!("{}\n", "x".repeat(999)).repeat(50_000);
    let (_directory, _, path) = pair(b"", &compressed(1, text.as_bytes(), usize::MAX));
    for threads in [1, 4] {
        let lines = context(threads, 2000).read_text(&path).unwrap();
        assert_eq!(
            lines.map(|line| line.len() as u64).fold(0, |a, n| a + n, |a, b| a + b).unwrap(),
            999 * 50_000
        );
    }
}

#[test]
fn a_compressed_file_that_changes_while_it_is_read_is_an_error() {
    let compressed = gzip(text(3000, 3).as_bytes(), 20_000);
    let all = |reader: &mut LineReader| -> Result<(), gristmill::Error> {
        while reader.next_block()?.is_some() {}
        Ok(())
    };
    for compressed_files in [CompressedFiles::Whole, CompressedFiles::Relayed] {
        for length in [0, 10_000, compressed.len() as u64 + 1] {
            let (_directory, _, path) = pair(b"", &compressed);
            let options = SplitOptions {
                target_bytes: Some(8000),
                compressed: compressed_files,
                ..SplitOptions::default()
            };
            let mut pieces: Vec<LineReader> = splits(resolve(&[&path]).unwrap().files, &options)
                .into_iter()
                .map(|split| {
                    LineReader::new(split, LineOptions { block_bytes: 512, ..LineOptions::default() })
                })
                .collect();
            assert!(pieces[0].next_block().unwrap().is_some());
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
            let error = pieces.iter_mut().find_map(|piece| all(piece).err()).expect("the file changed");
            assert!(error.to_string().contains("changed while read"), "{length}: {error}");
        }
    }
}
