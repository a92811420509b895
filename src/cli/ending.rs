//! What the ending of a path says: the format of a file, and what it is compressed with.

use std::path::Path;

/// The ending of a format and that of a compression, in lower case; each is empty if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub format: String,
    pub compression: String,
}

impl Ending {
    pub fn of(path: &Path) -> Ending {
        const COMPRESSIONS: [&str; 4] = ["gz", "zst", "bz2", "xz"];
        let last = lower(path);
        if COMPRESSIONS.contains(&last.as_str()) {
            Ending { format: lower(&path.with_extension("")), compression: last }
        } else {
            Ending { format: last, compression: String::new() }
        }
    }
}

fn lower(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_and_compression() {
        for (path, format, compression) in [
            ("a/b.CSV", "csv", ""),
            ("b.jsonl.Gz", "jsonl", "gz"),
            ("b.gz", "", "gz"),
            ("a.csv/b", "", ""),
            ("-", "", ""),
        ] {
            let expected = Ending { format: format.to_owned(), compression: compression.to_owned() };
            assert_eq!(Ending::of(Path::new(path)), expected, "{path}");
        }
    }
}
