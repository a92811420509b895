//! The lines of many places in files, that come in the order of the places.

use std::sync::Arc;

use super::inflate::InflateLimits;
use super::input::{InputBytes, read_error};
use super::lines::count_line_ends;
use super::resolve::InputFile;
use crate::error::Result;

/// Finds the lines of places, and reads each file once if these come in order.
#[derive(Debug, Default)]
pub struct LineFinder {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: Arc<InputFile>,
    bytes: InputBytes,
    /// How far it has been read, and the line there.
    at: u64,
    line: u64,
    buffer: Vec<u8>,
}

impl LineFinder {
    /// The 1-based line of a file that the byte at `offset` is in; standard input cannot be read again, and has none.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has changed since it was planned.
    pub fn line(&mut self, file: &Arc<InputFile>, offset: u64) -> Result<Option<u64>> {
        if file.is_standard_input() {
            return Ok(None);
        }
        let known = self.open.take().filter(|open| Arc::ptr_eq(&open.file, file) && open.at <= offset);
        let open = match known {
            Some(open) => open,
            // What it inflates to has been read before, within the limits.
            None => Open {
                file: Arc::clone(file),
                bytes: InputBytes::open(file, InflateLimits::default())?,
                at: 0,
                line: 1,
                buffer: vec![0; 64 << 10],
            },
        };
        let open = self.open.insert(open);
        open.go_to(offset)?;
        Ok(Some(open.line))
    }
}

impl Open {
    fn go_to(&mut self, offset: u64) -> Result<()> {
        let counted = count_line_ends(&mut self.bytes, offset - self.at, &mut self.buffer);
        let (read, ends) = counted.map_err(|error| read_error(&self.file.path, self.at, error))?;
        self.at += read;
        self.line += ends;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::resolve::resolve;

    #[test]
    fn lines_are_found_forwards_and_backwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        std::fs::write(&path, "ab\nc\n\nd").unwrap();
        let file = Arc::new(resolve(&[path]).unwrap().files.remove(0));
        let mut finder = LineFinder::default();
        let lines = [0, 2, 3, 5, 6, 6, 100, 3].map(|offset| finder.line(&file, offset).unwrap());
        assert_eq!(lines, [1, 1, 2, 3, 4, 4, 4, 2].map(Some));
    }
}
