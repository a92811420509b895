//! What `--compression` says, for columnar files and for text.

use crate::error::{Error, ErrorKind, Result};
use crate::io::parquet::Compression;
use crate::io::text_compression::TextCompression;

/// What files are compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    None,
    Snappy,
    Gzip(u8),
    Zstd(u8),
}

/// The level of gzip where none is given, as of the program of that name.
const GZIP_LEVEL: u8 = 6;

/// The level of Zstandard where none is given: that of Parquet files by default.
const ZSTD_LEVEL: u8 = 1;

impl Codec {
    /// As people write it: a name, and a level behind a colon.
    pub fn parse(text: &str) -> Result<Codec, String> {
        let (name, level) = text.split_once(':').map_or((text, None), |(name, level)| (name, Some(level)));
        let level = level.map(str::parse).transpose().map_err(|_| "the level is no number".to_owned())?;
        match (name, level) {
            ("none", None) => Ok(Codec::None),
            ("snappy", None) => Ok(Codec::Snappy),
            ("gzip", level) => Ok(Codec::Gzip(level.unwrap_or(GZIP_LEVEL))),
            ("zstd", level) => Ok(Codec::Zstd(level.unwrap_or(ZSTD_LEVEL))),
            _ => Err("give none, snappy, gzip, gzip:LEVEL, zstd or zstd:LEVEL".to_owned()),
        }
    }

    /// That of a file that ends so.
    pub fn of_ending(ending: &str) -> Option<Codec> {
        match ending {
            "gz" => Some(Codec::Gzip(GZIP_LEVEL)),
            "zst" => Some(Codec::Zstd(ZSTD_LEVEL)),
            _ => None,
        }
    }

    /// Of the pages of Parquet files.
    pub fn of_pages(self) -> Result<Compression> {
        match self {
            Codec::None => Ok(Compression::None),
            Codec::Snappy => Ok(Compression::Snappy),
            Codec::Zstd(level) => Ok(Compression::Zstd(level)),
            Codec::Gzip(_) => Err(Error::new(ErrorKind::Config, "Parquet is not written with gzip here")
                .hint("give none, snappy or zstd, or let the output not end in .gz")),
        }
    }

    /// Of files of text.
    pub fn of_text(self) -> Result<TextCompression> {
        match self {
            Codec::None => Ok(TextCompression::None),
            Codec::Gzip(level) => Ok(TextCompression::Gzip(level)),
            Codec::Zstd(level) => Ok(TextCompression::Zstd(level)),
            Codec::Snappy => {
                Err(Error::new(ErrorKind::Config, "text is not compressed with snappy")
                    .hint("give gzip or zstd"))
            }
        }
    }
}
