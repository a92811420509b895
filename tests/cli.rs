//! The command as a user types it: what it prints, what it writes, how it exits, and what it leaves behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Output, Stdio};

use common::place::{Place, assert_says, utf8};
use common::{files, gristmill, names, text};
use gristmill::Record;
use gristmill::io::commit::{Existing, Shape, Target, manifest};
use gristmill::io::parquet::read_parquet;
use gristmill::record::from_batch;
use rustix::process::{Pid, Signal, kill_process};

/// A row that the command writes.
#[derive(Record, Debug, Clone, PartialEq, Eq)]
struct WordCount {
    word: String,
    count: u64,
}

fn parquet_rows(path: &Path) -> Vec<(String, u64)> {
    let batches = read_parquet(path, None).unwrap();
    let rows = batches.flat_map(|batch| from_batch::<WordCount>(&batch.unwrap()).unwrap());
    rows.map(|row| (row.word, row.count)).collect()
}

fn csv_rows(path: &Path) -> Vec<(String, u64)> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    assert_eq!(reader.headers().unwrap(), vec!["word", "count"]);
    reader.deserialize().map(Result::unwrap).collect()
}

/// The rows of an output: a directory that verifies, or a single file.
fn rows(path: &Path) -> Vec<(String, u64)> {
    let one = |path: &Path| if is_csv(path) { csv_rows(path) } else { parquet_rows(path) };
    if !path.is_dir() {
        return one(path);
    }
    let manifest = manifest::verify(path).unwrap();
    let rows: Vec<_> = manifest.parts.iter().flat_map(|part| one(&path.join(&part.name))).collect();
    assert_eq!(rows.len() as u64, manifest.rows);
    rows
}

fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "csv")
}

/// What a plain loop counts.
fn model(text: &str) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_owned()).or_insert(0) += 1;
    }
    counts
}

fn assert_counts(path: &Path, text: &str) {
    let rows = rows(path);
    let found: HashMap<String, u64> = rows.iter().cloned().collect();
    assert_eq!(found.len(), rows.len(), "a word stands in two rows");
    assert!(found == model(text), "{} words, not those of the model", rows.len());
}

/// The directory of the example data, and all text in it; `_ORIGIN.md` is hidden by its name.
fn examples() -> (String, String) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let texts = ["genesis.txt", "psalms.txt"].map(|book| std::fs::read_to_string(dir.join(book)).unwrap());
    (dir.to_str().unwrap().to_owned(), texts.join("\n"))
}

#[test]
fn the_words_of_the_examples_are_counted_and_shown() {
    let (place, (data, text)) = (Place::new(&[]), examples());
    let (stdout, stderr) = place.succeed(&format!("wordcount {data} -o out"));
    assert_eq!(stdout, "");
    let words = model(&text).len();
    assert!(stderr.starts_with(&format!("wrote {words} words to ")), "{stderr}");
    assert_counts(&place.at("out"), &text);
    assert_eq!(names(&place.at("out")), ["_manifest.json", "part-00000.parquet"]);
    assert_eq!(place.names(), ["out"]);

    let (shown, _) = place.succeed("show out --rows 5");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!((lines.len(), lines[7]), (8, format!("5 of {words} rows").as_str()), "{shown}");
    for (line, (word, count)) in lines[2..7].iter().zip(rows(&place.at("out"))) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(cells, ["", &word, &count.to_string(), ""], "{shown}");
    }
}

#[test]
fn the_top_words_come_in_order() {
    let (place, (data, text)) = (Place::new(&[]), examples());
    let mut expected: Vec<(String, u64)> = model(&text).into_iter().collect();
    expected.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    for top in [0, 1, 20, 2_000, usize::MAX] {
        place.succeed(&format!("wordcount {data} -o out --overwrite --top {top}"));
        assert_eq!(rows(&place.at("out")), expected[..top.min(expected.len())]);
    }
}

#[test]
fn the_format_is_chosen_by_flag_or_ending() {
    let content = "a \"quoted\" 1,5 a\n=x";
    let place = Place::new(&[("in.txt", content)]);
    for (output, flag, first) in [
        ("a.parquet", "", "PAR1"),
        ("a.csv", "", "word"),
        ("b.csv", " --format csv", "word"),
        ("dir", " --format csv", ""),
        ("other", " --format parquet", ""),
    ] {
        place.succeed(&format!("wordcount in.txt -o {output}{flag}"));
        let path = place.at(output);
        if path.is_dir() {
            assert_counts(&path, content);
        } else {
            assert!(std::fs::read(&path).unwrap().starts_with(first.as_bytes()), "{output}");
        }
    }
    assert_counts(&place.at("a.csv"), content);
    assert_counts(&place.at("a.parquet"), content);
    assert_eq!(names(&place.at("dir")), ["_manifest.json", "part-00000.csv"]);
    assert!(place.run("wordcount in.txt -o x --format json").status.code() == Some(2));
}

#[test]
fn the_ending_and_the_format_agree_in_any_case() {
    let place = Place::new(&[("in.txt", "a b a")]);
    for (output, other) in
        [("x.csv", "parquet"), ("x.parquet", "csv"), ("x.CSV", "parquet"), ("x.Parquet", "csv")]
    {
        let message = place.fail(&format!("wordcount in.txt -o {output} --format {other} --force"), 2);
        assert_says(&message, &[output, "ends in", "--format"]);
        place.succeed(&format!("wordcount in.txt -o {output} --overwrite"));
        assert!(place.at(output).is_file(), "{output}");
        assert_eq!(place.succeed(&format!("show {output}")).0.lines().last(), Some("2 of 2 rows"));
    }
}

#[test]
fn an_output_is_replaced_only_if_asked() {
    let place = Place::new(&[("in.txt", "one"), ("other.txt", "two two")]);
    for output in ["out", "out.csv", "out.parquet"] {
        place.succeed(&format!("wordcount in.txt -o {output}"));
        assert_says(
            &place.fail(&format!("wordcount other.txt -o {output}"), 2),
            &[output, "--overwrite", "exists already"],
        );
        place.succeed(&format!("wordcount other.txt -o {output} --overwrite"));
        assert_counts(&place.at(output), "two two");
    }
}

#[test]
fn a_foreign_directory_is_replaced_only_by_force() {
    let place = Place::new(&[("in.txt", "one"), ("mine/thesis.tex", "years of work")]);
    for flag in ["", " --overwrite"] {
        let message = place.fail(&format!("wordcount in.txt -o mine{flag}"), 2);
        assert_says(&message, &["mine"]);
    }
    assert_says(
        &place.fail("wordcount in.txt -o mine --overwrite", 2),
        &["--force", "not written by gristmill"],
    );
    place.succeed("wordcount in.txt -o mine --force");
    assert_eq!(names(&place.at("mine")), ["_manifest.json", "part-00000.parquet"]);
}

#[test]
fn what_is_in_the_way_is_not_replaced() {
    let place = Place::new(&[("in.txt", "one"), ("file", "mine")]);
    symlink("nowhere", place.at("dangling")).unwrap();
    symlink("loop", place.at("loop")).unwrap();
    for (output, code) in
        [("file", 2), (".", 2), ("/", 2), ("file/out", 1), ("missing/out", 1), ("loop", 1), ("dangling", 1)]
    {
        let Output { status, stderr, .. } = place.run(&format!("wordcount in.txt -o {output} --force"));
        assert_says(&utf8(stderr), &["to_parquet", output.split("/out").next().unwrap()]);
        assert_eq!(status.code(), Some(code), "{output}");
        assert_eq!(place.names(), ["dangling", "file", "in.txt", "loop"]);
    }
    assert_eq!(std::fs::read_to_string(place.at("file")).unwrap(), "mine");
}

#[test]
fn wrong_usage_exits_with_2() {
    let place = Place::new(&[("in.txt", "one")]);
    for (line, expected) in [
        ("wordcount in.txt", "--output"),
        ("wordcount -o out", "<INPUT>"),
        ("wordcount in.txt -o out --top many", "many"),
        ("wordcount in.txt -o out --memory lots", "512MiB"),
        ("wordcount in.txt -o out --threads 0", "threads"),
        ("wordcount in.txt -o out --threads 1025", "1024"),
        ("wordcount in.txt -o out --threads 9999999999", "1024"),
        ("wordcount in.txt -o out --progress perhaps", "perhaps"),
        ("wordcount in.txt -o out --no-such-flag", "--no-such-flag"),
        ("show", "<OUT>"),
        ("dance", "dance"),
    ] {
        let message = place.fail(line, 2);
        assert!(message.contains(expected), "{line}: {message}");
    }
    assert_eq!(gristmill(&[]).status().unwrap().code(), Some(2));
    let many = place.command("wordcount in.txt -o out").env("GRISTMILL_THREADS", "1000000").output().unwrap();
    assert_says(&utf8(many.stderr), &["threads is 1000000", "1024"]);
}

#[test]
fn more_words_than_the_memory_holds_go_to_the_spill_directory() {
    let words: String = (0..40_000).map(|n| format!("{}-{n} ", "word".repeat(n % 9))).collect();
    let place = Place::new(&[("in.txt", &words), ("spill/mine", "")]);
    place.succeed("wordcount in.txt -o whole");
    place.succeed("wordcount in.txt -o out --memory 500KB --spill-dir spill --metrics m.json --threads 2");
    assert!(files(&place.at("whole")) == files(&place.at("out")));
    assert_eq!(names(&place.at("spill")), ["mine"]);
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.at("m.json")).unwrap()).unwrap();
    assert!(report["stage_bytes_written"].as_u64().unwrap() > 100_000, "{report}");
    for (flags, expected) in [
        ("--spill-dir nowhere", ["nowhere", "--spill-dir"]),
        ("--spill-dir spill --spill-limit 10KB", ["10000 bytes", "--spill-limit"]),
    ] {
        let line = format!("wordcount in.txt -o none --memory 500KB --threads 2 {flags}");
        assert_says(&place.fail(&line, 1), &expected);
        assert!(!place.at("none").exists());
        assert_eq!(names(&place.at("spill")), ["mine"]);
    }
}

#[test]
fn an_empty_execution_is_none_and_its_case_does_not_matter() {
    let place = Place::new(&[("in.txt", "one two")]);
    for (set, expected) in [("", "dataflow"), ("MapReduce", "mapreduce"), ("DATAFLOW", "dataflow")] {
        let mut command = place.command("wordcount in.txt -o out --force --metrics m.json");
        assert!(command.env("GRISTMILL_EXECUTION", set).status().unwrap().success(), "{set:?}");
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(place.at("m.json")).unwrap()).unwrap();
        assert_eq!(report["execution"], expected, "{set:?}");
    }
    place.succeed("wordcount in.txt -o out --force --execution MapReduce");
}

#[test]
fn no_message_names_a_source_line_of_the_command() {
    let place = Place::new(&[("in.txt", "one"), ("bad.txt", "two\n"), ("out/mine", "")]);
    std::fs::write(place.at("bad.txt"), b"\xff").unwrap();
    for line in
        ["in.txt -o out", "missing -o new", "bad.txt -o new", "in.txt -o new --memory 1", "in.txt -o no/new"]
    {
        let Output { status, stderr, .. } = place.run(&format!("wordcount {line}"));
        let message = utf8(stderr);
        assert!(!status.success() && !message.contains(".rs:"), "{line}: {message}");
    }
}

#[test]
fn input_that_is_not_there_is_named() {
    let place = Place::new(&[("in.txt", "one")]);
    for input in ["missing.txt", "*.log", "in.txt/below"] {
        let message = place.fail(&format!("wordcount {input} -o out"), 1);
        assert_says(&message, &[input, "read_words"]);
    }
    assert_says(&place.fail("wordcount in.txt missing.txt -o out", 1), &["missing.txt"]);
    assert_says(&place.fail("show missing", 1), &["missing"]);
}

#[test]
fn text_that_is_not_utf_8_is_located_and_nothing_is_left() {
    let place = Place::new(&[("good.txt", "one\n"), ("out/keep", "")]);
    std::fs::write(place.at("bad.txt"), b"ab\nc\xc3\xa9 \xff e\n").unwrap();
    std::fs::remove_dir_all(place.at("out")).unwrap();
    let expected = ["bad.txt", "line 2", "offset 7", "UTF-8"];
    assert_says(&place.fail("wordcount good.txt bad.txt -o out", 1), &expected);
    place.succeed("wordcount good.txt -o out");
    assert_says(&place.fail("wordcount bad.txt -o out --overwrite", 1), &expected);
    assert_counts(&place.at("out"), "one");
}

#[test]
fn a_compressed_input_that_ends_early_is_called_so() {
    let place = Place::new(&[]);
    for (name, content) in [
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03KL\x02\0".as_slice()),
        ("zstd", b"\x28\xb5\x2f\xfd\x04\x58\x19\0\0abc"),
        ("bzip2", b"BZh91AY&SY\x64\x8c\xbb\x73\0"),
        ("xz", b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46"),
    ] {
        std::fs::write(place.at("in"), content).unwrap();
        let message = place.fail("wordcount in -o out", 1);
        let offset = format!("(in, byte offset {})", content.len());
        assert_says(&message, &[&format!("the {name} data is cut off"), &offset, "fetch or compress"]);
    }
}

#[test]
fn lines_end_in_every_way_or_not_at_all() {
    let contents = [
        "",
        "\n",
        "\n\n\n",
        "\r\n",
        "a",
        "a\n",
        "a b",
        "a\r\nb a\r\n",
        "a\rb\r",
        "\u{feff}",
        "a\0b \0\n",
        "\u{a0}x\u{3000}y\u{85}z",
    ];
    for content in contents {
        let place = Place::new(&[("in.txt", content)]);
        place.succeed("wordcount in.txt -o out");
        place.succeed("wordcount in.txt -o out.csv");
        assert_counts(&place.at("out"), content.trim_start_matches('\u{feff}'));
        assert_counts(&place.at("out.csv"), content.trim_start_matches('\u{feff}'));
        let count = rows(&place.at("out")).len();
        assert!(place.succeed("show out").0.ends_with(&format!("{count} of {count} rows\n")), "{content:?}");
    }
}

#[test]
fn any_name_of_a_file_works() {
    let place = Place::new(&[]);
    for name in [b"a b\nc".as_slice(), b"\"'", b"-x", b"\xff\xfe.txt", b"[a]{b}*?", b"caf\xc3\xa9 \x1b[31m"] {
        let name = OsStr::from_bytes(name);
        std::fs::write(place.at(name), "one").unwrap();
        let mut command = place.command("wordcount --overwrite -o out --");
        let Output { status, stderr, .. } = command.arg(name).output().unwrap();
        assert!(status.success(), "{name:?}: {}", utf8(stderr));
        assert_counts(&place.at("out"), "one");
        let absent =
            place.command("wordcount --overwrite -o out --").arg(name).arg("absent").output().unwrap();
        assert_says(&utf8(absent.stderr), &["absent"]);
    }
}

#[test]
fn what_is_left_out_of_an_input_is_told() {
    let place = Place::new(&[("in/a.txt", "one")]);
    symlink("/dev/null", place.at("in/null\n\u{1b}[31m")).unwrap();
    for n in 0..6 {
        symlink(format!("loop{n}"), place.at(format!("in/loop{n}"))).unwrap();
    }
    let (_, stderr) = place.succeed("wordcount in -o out");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 7, "{stderr}");
    assert!(
        lines[0].contains("in/loop0 is left out: it is a symbolic link that leads to itself"),
        "{stderr}"
    );
    assert!(lines[5].contains("2 more"), "{stderr}");
    std::fs::remove_file(place.at("in/loop0")).unwrap();
    std::fs::remove_file(place.at("in/loop1")).unwrap();
    let (_, stderr) = place.succeed("wordcount in --explain");
    assert_eq!(stderr.lines().count(), 5, "{stderr}");
    assert!(stderr.contains("in/null\\n\\u{1b}[31m is left out") && !stderr.contains("more"), "{stderr}");
}

#[test]
fn an_input_is_never_the_output() {
    let place = Place::new(&[("in/a.txt", "one"), ("a.csv", "one")]);
    symlink("in", place.at("alias")).unwrap();
    for line in [
        "in -o in",
        "in/a.txt -o in",
        "in/* -o in",
        "a.csv -o a.csv",
        "alias -o in",
        "in -o in/a.txt",
        "in -o in/new",
        "* -o new",
    ] {
        let message = place.fail(&format!("wordcount {line} --force"), 2);
        assert_says(&message, &[line.rsplit(' ').next().unwrap()]);
    }
}

#[test]
fn explain_prints_the_plan_and_writes_nothing() {
    let place = Place::new(&[("in.txt", "one")]);
    let (plan, stderr) = place.succeed("wordcount in.txt -o out --explain");
    assert_eq!((place.names(), stderr.as_str()), (vec!["in.txt".to_owned()], ""));
    for part in ["Logical graph", "read_words in.txt", "count_by_value", "stage 2"] {
        assert!(plan.contains(part), "no {part} in:\n{plan}");
    }
    assert!(place.succeed("wordcount in.txt --explain").0.contains("result of #"));
    let (plan, _) = place.succeed("wordcount in.txt -o out.csv --explain --top 3");
    assert!(plan.contains("top_k") && plan.contains("to_csv of #") && plan.contains("out.csv"), "{plan}");
    assert_eq!(place.names(), ["in.txt"]);
}

#[test]
fn progress_is_shown_where_it_is_wanted() {
    let place = Place::new(&[("in.txt", "a b c")]);
    for when in ["always", "never", "auto"] {
        let (_, stderr) = place.succeed(&format!("wordcount in.txt -o out --overwrite --progress {when}"));
        let (progress, wrote) = stderr.rsplit_once("wrote 3 words").unwrap();
        assert_eq!(progress.contains("5 B of 5 B (100 %)"), when == "always", "{stderr}");
        assert_eq!(progress.is_empty(), when != "always", "{stderr}");
        assert_eq!(wrote.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn any_number_of_threads_writes_the_same_bytes() {
    let text = text(3_000_000, 1);
    let place = Place::new(&[("in/a.txt", &text[..1_000_000]), ("in/b.txt", "x y\n"), ("in/c.txt", &text)]);
    for format in ["parquet", "csv"] {
        place.succeed(&format!("wordcount in -o 1 --threads 1 --overwrite --format {format}"));
        let expected = files(&place.at("1"));
        for threads in ["2", "3", "8"] {
            place.succeed(&format!("wordcount in -o out --threads {threads} --overwrite --format {format}"));
            assert!(files(&place.at("out")) == expected, "{threads} threads: other bytes");
        }
    }
    assert_counts(&place.at("out"), &[&text[..1_000_000], "x y", &text].join("\n"));
}

/// Runs until a signal is sent while the staging directory is there, so that the run has begun.
fn stop(place: &Place, signal: Signal) -> Option<i32> {
    let mut child = place.command("wordcount in.txt -o out").stderr(Stdio::null()).spawn().unwrap();
    while place.names().len() == 1 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let _ = kill_process(Pid::from_child(&child), signal); // it may have ended
    child.wait().unwrap().code()
}

#[test]
fn a_signal_stops_the_run_and_nothing_is_left() {
    let place = Place::new(&[("in.txt", &text(2_000_000, 2))]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let stopped = (0..20).any(|_| {
            let found = stop(&place, signal);
            assert!(found == Some(code) || found == Some(0), "{found:?}");
            assert_eq!(place.at("out").exists(), found == Some(0));
            let _ = std::fs::remove_dir_all(place.at("out")); // of a run that was faster
            assert_eq!(place.names(), ["in.txt"]);
            found == Some(code)
        });
        assert!(stopped, "20 runs ended before {signal:?} came");
    }
}

/// A pipe whose reader has gone.
fn closed_pipe() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let (place, (data, _)) = (Place::new(&[]), examples());
    place.succeed(&format!("wordcount {data} -o out"));
    for line in ["show out --rows 9000", &format!("wordcount {data} -o new --explain")] {
        let Output { status, stderr, .. } = place.command(line).stdout(closed_pipe()).output().unwrap();
        assert_eq!((status.code(), utf8(stderr).as_str()), (Some(0), ""), "{line}");
    }
}

#[test]
fn messages_that_nobody_reads_change_nothing() {
    let place = Place::new(&[("in.txt", "one")]);
    let code = |line: &str| place.command(line).stderr(closed_pipe()).status().unwrap().code();
    assert_eq!(code("wordcount in.txt -o out --progress always"), Some(0));
    assert_eq!(code("wordcount missing -o new"), Some(1));
    assert_eq!(code("wordcount in.txt -o out"), Some(2));
    assert_counts(&place.at("out"), "one");
}

#[test]
fn an_output_that_is_being_written_is_refused_and_its_writer_named() {
    let place = Place::new(&[("in.txt", "one")]);
    let target = Target::new(place.at("out"), Shape::Directory, Existing::Refuse);
    let attempt = target.check(&[]).unwrap().begin().unwrap();
    let writer = format!("process {} on", std::process::id());
    assert_says(&place.fail("wordcount in.txt -o out", 1), &["out", &writer, "wait for it to end"]);
    attempt.abort().unwrap();
    place.succeed("wordcount in.txt -o out");
}

#[test]
fn of_runs_on_one_output_at_least_one_succeeds_and_none_spoils_it() {
    let text = text(200_000, 3);
    let place = Place::new(&[("in.txt", &text)]);
    let start =
        |_| place.command("wordcount in.txt -o out --overwrite").stderr(Stdio::piped()).spawn().unwrap();
    let runs: Vec<Child> = (0..4).map(start).collect();
    let outputs: Vec<Output> = runs.into_iter().map(|run| run.wait_with_output().unwrap()).collect();
    assert!(outputs.iter().any(|output| output.status.success()));
    for output in outputs.into_iter().filter(|output| !output.status.success()) {
        assert_says(&utf8(output.stderr), &["out is being written by", "wait for it to end"]);
    }
    assert_counts(&place.at("out"), &text);
    assert_eq!(place.names(), ["in.txt", "out"]);
}
