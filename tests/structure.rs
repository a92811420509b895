//! The layers of the sources, and the length of files and functions: what ARCHITECTURE.md promises.

#![allow(clippy::unwrap_used)] // in a test, a panic is the report

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the lowest to the highest; a file may import from its own layer and from lower ones.
const LAYERS: [&[&str]; 8] = [
    &["error", "config", "text", "record"],
    &["parse"],
    &["io"],
    &["exec"],
    &["plan"],
    &["spark"],
    &["dataset", "context", "ops"],
    &["cli", "flow", "report", "main", "lib"],
];

const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 70;

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|layer| layer.contains(&module));
    found.unwrap_or_else(|| {
        panic!("module {module} stands in no layer: add it to LAYERS and to ARCHITECTURE.md")
    })
}

/// The top-level module that a source file of `src` belongs to.
fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).unwrap();
    relative.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_string()
}

/// The code of a file: without comments and without its unit tests, which may import from anywhere.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The modules that a piece of code names after `crate::`.
fn imports(code: &str) -> Vec<String> {
    let names = code.split("crate::").skip(1).flat_map(|rest| {
        let list = rest.strip_prefix('{').map(|list| list.split('}').next().unwrap_or(""));
        let names: Vec<&str> = list.map_or_else(|| vec![rest], |list| list.split(',').collect());
        names.into_iter().map(|name| {
            let end = name.trim_start().find(|c: char| !c.is_alphanumeric() && c != '_');
            name.trim_start()[..end.unwrap_or(name.trim_start().len())].to_string()
        })
    });
    // What begins with a capital is an item that lib.rs re-exports; files import it from where it is defined.
    names.filter(|name| name.starts_with(|c: char| c.is_lowercase())).collect()
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let module = module_of(&path);
        let text = code(&fs::read_to_string(&path).unwrap());
        for import in imports(&text) {
            if layer(&import) > layer(&module) {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that go up:\n{}", wrong.join("\n"));
}

#[test]
fn an_upward_import_would_be_found() {
    assert_eq!(
        imports("use crate::{plan::graph, exec::job};\nuse crate::dataset::Dataset;"),
        ["plan", "exec", "dataset"]
    );
    assert!(layer("dataset") > layer("exec"));
}

#[test]
fn files_have_one_subject() {
    let dirs = ["src", "derive/src", "tests", "examples", "benches"];
    let files =
        dirs.iter().map(|dir| root().join(dir)).filter(|dir| dir.exists()).flat_map(|dir| sources(&dir));
    let long: Vec<String> = files
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > MAX_FILE_LINES)
        .map(|(lines, path)| format!("{} has {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "over {MAX_FILE_LINES} lines:\n{}", long.join("\n"));
}

/// The functions of a formatted source that are too long, by the indentation of their braces.
fn long_functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut long = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let start = line.trim_start();
        let words = [
            "fn ",
            "pub fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "const fn ",
            "unsafe fn ",
            "pub const fn ",
        ];
        if !words.iter().any(|word| start.starts_with(word)) {
            continue;
        }
        let indent = &line[..line.len() - start.len()];
        let end = lines[first..].iter().position(|line| {
            *line == format!("{indent}}}")
                || line.ends_with(';') && line.starts_with(indent) && !line[indent.len()..].starts_with(' ')
        });
        if let Some(length) = end.filter(|length| length + 1 > MAX_FUNCTION_LINES) {
            long.push((start.to_string(), length + 1));
        }
    }
    long
}

#[test]
fn a_function_fits_a_screen() {
    let dirs = ["src", "derive/src", "examples", "benches"];
    let files =
        dirs.iter().map(|dir| root().join(dir)).filter(|dir| dir.exists()).flat_map(|dir| sources(&dir));
    let long: Vec<String> = files
        .flat_map(|path| {
            let functions = long_functions(&fs::read_to_string(&path).unwrap());
            functions
                .into_iter()
                .map(move |(name, lines)| format!("{}: {name} has {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "over {MAX_FUNCTION_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn a_long_function_would_be_found() {
    let body = "    let a = 1;\n".repeat(MAX_FUNCTION_LINES);
    assert_eq!(long_functions(&format!("fn long() {{\n{body}}}\n")).len(), 1);
    assert_eq!(long_functions("fn short() {\n    let a = 1;\n}\n").len(), 0);
}

#[test]
fn unsafe_code_stands_in_one_file() {
    let allowed = root().join("src/text.rs");
    for path in sources(&root().join("src")).into_iter().filter(|path| *path != allowed) {
        let text = code(&fs::read_to_string(&path).unwrap());
        let found = text.lines().find(|line| line.contains("unsafe ") || line.contains("allow(unsafe_code)"));
        assert_eq!(found, None, "{}", path.display());
    }
}
