//! `terasort`, against the sort of the standard library: on records it generates, and on the verses of a book.

use std::path::Path;

use gristmill::io::parquet::read_parquet;
use gristmill::record::from_batch;
use gristmill::{Record, Text};

use super::{example, printed, run};

#[derive(Record, Clone, Debug, PartialEq)]
struct Sorted {
    key: Text,
    value: Text,
}

/// Sorts a file within 2 MB; returns what was printed, and the rows in the order of the parts.
fn sort(input: &Path, execution: &str) -> (String, Vec<(String, String)>) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("sorted");
    let mut command = std::process::Command::new(example("terasort"));
    let limits =
        [("GRISTMILL_MEMORY", "2MB"), ("GRISTMILL_THREADS", "2"), ("GRISTMILL_EXECUTION", execution)];
    let output = command.args([input, &out]).envs(limits).output().unwrap();
    let manifest = super::manifest::verify(&out).unwrap();
    let rows = manifest.parts.iter().flat_map(|part| {
        let batches = read_parquet(&out.join(&part.name), None).unwrap();
        batches.flat_map(|batch| from_batch::<Sorted>(&batch.unwrap()).unwrap())
    });
    (printed(&output).to_owned(), rows.map(|row| (row.key.to_string(), row.value.to_string())).collect())
}

/// What the standard library makes of the lines.
fn model(text: &str) -> Vec<(String, String)> {
    let mut rows: Vec<_> = text.lines().map(|line| (line[..10].to_owned(), line[10..].to_owned())).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

#[test]
fn terasort_sorts_many_times_its_memory() {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("records.txt");
    printed(&run("terasort", &[Path::new("--generate"), Path::new("200000"), &records]));
    let text = std::fs::read_to_string(&records).unwrap();
    assert_eq!(text.len(), 200_000 * 100, "records of 100 bytes, with the ends of their lines");
    for execution in ["dataflow", "mapreduce"] {
        let (printed, rows) = sort(&records, execution);
        assert!(rows == model(&text));
        let spilled = printed.strip_prefix("200000 records, ").unwrap();
        let spilled = spilled.strip_suffix(" bytes spilled\n").unwrap();
        assert!(spilled.parse::<u64>().unwrap() > 5_000_000, "{printed}");
    }
}

#[test]
fn terasort_leaves_lines_of_equal_keys_in_their_order_and_refuses_short_ones() {
    let dir = tempfile::tempdir().unwrap();
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/genesis.txt");
    let text = std::fs::read_to_string(book).unwrap();
    let long: String = text.lines().filter(|line| line.len() > 10).map(|line| format!("{line}\n")).collect();
    let (lines, short) = (dir.path().join("lines.txt"), dir.path().join("short.txt"));
    std::fs::write(&lines, &long).unwrap();
    let rows = sort(&lines, "dataflow").1;
    assert_eq!(sort(&lines, "mapreduce").1, rows);
    assert!(rows.windows(2).any(|pair| pair[0].0 == pair[1].0), "some lines begin alike");
    assert_eq!(rows, model(&long));
    std::fs::write(&short, "a record that is long enough\ntoo short\n").unwrap();
    let output = run("terasort", &[&short, &dir.path().join("none")]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && message.contains("short.txt, line 2"), "{message}");
}
