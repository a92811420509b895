//! Files: the same bytes under every setting, and what they say.

use std::collections::BTreeMap;
use std::path::Path;

use gristmill::io::parquet::read_parquet;
use gristmill::prelude::*;
use gristmill::record::from_batch;

use crate::harness::check;

/// The names and bytes of the files of a directory.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let file = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    entries.map(file).filter(|(name, _)| name != "_manifest.json").collect()
}

#[test]
fn write_parquet_and_write_csv_and_write_json_lines() {
    check(
        |data| {
            let dir = tempfile::tempdir().unwrap();
            let [parquet, csv, json] = ["parquet", "csv", "rows.jsonl"].map(|name| dir.path().join(name));
            let options = ParquetOptions::default().row_group_rows(50).data_page_bytes(100);
            let sorted = data.sort_by_key(|row| row.1);
            let outputs = (
                sorted.to_parquet(&parquet, options),
                data.to_csv(&csv, CsvOptions::default()),
                data.to_json_lines(&json, JsonOptions::default()),
            );
            data.context().run(outputs).unwrap();
            assert_eq!(data.context().budget().used_bytes(), 0);
            let batches = read_parquet(&parquet.join("part-00000.parquet"), None).unwrap();
            let rows = batches.flat_map(|batch| from_batch::<(Text, i64)>(&batch.unwrap()).unwrap());
            (rows.collect::<Vec<_>>(), files(&parquet), files(&csv), std::fs::read_to_string(&json).unwrap())
        },
        |input, (rows, parquet, csv, json)| {
            let mut model = input.to_vec();
            model.sort_by_key(|row| row.1);
            assert_eq!(rows, model);
            assert_eq!((parquet.len(), csv.len()), (1, 1));
            let lines: String = input.iter().map(|(key, n)| format!("{key},{n}\n")).collect();
            assert_eq!(String::from_utf8_lossy(&csv["part-00000.csv"]), format!("_1,_2\n{lines}"));
            let lines = input.iter().map(|(key, n)| format!("{{\"_1\":\"{key}\",\"_2\":{n}}}\n"));
            assert_eq!(json, lines.collect::<String>());
        },
    );
}

/// One task gives far more than the memory holds, and all of it waits for its turn.
#[test]
fn what_a_task_encodes_may_exceed_the_memory() {
    let key = |n: u64| (Text::from("the only key"), n);
    let write = |memory_bytes: u64| {
        let ctx = Context::builder().threads(2).memory_bytes(memory_bytes).build().unwrap();
        let pairs = ctx.range(0..400).map(key).join(&ctx.range(0..800).map(move |n| key(n * n)));
        let dir = tempfile::tempdir().unwrap();
        let options = ParquetOptions::default().row_group_rows(100_000).data_page_bytes(20_000);
        let flat = pairs.map(|(key, (a, b))| (key, (a * 800 + b).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        flat.write_parquet(dir.path().join("pairs"), options).unwrap();
        (ctx.spilled_bytes(), files(&dir.path().join("pairs")))
    };
    let (spilled, bytes) = write(u64::MAX);
    assert_eq!(spilled, 0);
    let (spilled, same) = write(200_000);
    assert!(spilled > 1 << 20, "{spilled}");
    assert!(bytes == same);
}
