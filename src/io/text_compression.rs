//! Compression of text outputs: each piece by itself, so that tasks compress in parallel.

use std::io::Write;

use flate2::write::GzEncoder;

use crate::error::{Error, ErrorKind, Result};

/// What the files of a text output are compressed with.
///
/// A file consists of several gzip members or Zstandard frames, one after the other, each of about a mebibyte of text. All decoders
/// read them as one text: `gzip -d` and `zstd -d`, and the readers of DuckDB, Polars and pandas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TextCompression {
    /// Nothing.
    #[default]
    None,
    /// gzip, of a level from 1 (fast) to 9 (small). Names end in `.gz`.
    Gzip(u8),
    /// Zstandard, of a level from 1 (fast) to 22 (small). Names end in `.zst`.
    Zstd(u8),
}

impl TextCompression {
    /// Fails if the level is out of range.
    pub(crate) fn check(self) -> Result<()> {
        let (name, level, max) = match self {
            TextCompression::None => return Ok(()),
            TextCompression::Gzip(level) => ("gzip", level, 9),
            TextCompression::Zstd(level) => ("Zstandard", level, 22),
        };
        if (1..=max).contains(&level) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Config, format!("the {name} level is {level}"))
            .hint(format!("give 1 to {max}")))
    }

    /// A member or frame that holds these bytes; the bytes themselves if there is no compression. The same bytes give the same member.
    pub(crate) fn member(self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let compressed = match self {
            TextCompression::None => return Ok(bytes),
            TextCompression::Gzip(level) => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(level.into()));
                encoder.write_all(&bytes).and_then(|()| encoder.finish())
            }
            TextCompression::Zstd(level) => frame(&bytes, level),
        };
        compressed.map_err(|error| Error::new(ErrorKind::Output, "cannot compress an output").because(error))
    }
}

fn frame(bytes: &[u8], level: u8) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level.into())?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn members_one_after_the_other_are_read_as_one_text() {
        let texts = ["one\n".repeat(1000), String::new(), "two\n".to_owned()];
        let file = |compression: TextCompression| -> Vec<u8> {
            texts.iter().flat_map(|text| compression.member(text.clone().into_bytes()).unwrap()).collect()
        };
        let mut read = String::new();
        let gzip = file(TextCompression::Gzip(6));
        flate2::read::MultiGzDecoder::new(gzip.as_slice()).read_to_string(&mut read).unwrap();
        assert_eq!(read, texts.concat());
        assert_eq!(zstd::decode_all(file(TextCompression::Zstd(3)).as_slice()).unwrap(), read.as_bytes());
        assert_eq!(file(TextCompression::None), read.as_bytes());
    }

    #[test]
    fn levels_have_their_ranges() {
        for wrong in [TextCompression::Gzip(0), TextCompression::Gzip(10), TextCompression::Zstd(23)] {
            assert!(wrong.check().unwrap_err().to_string().contains("give 1 to"));
        }
        TextCompression::Zstd(22).check().unwrap();
    }
}
