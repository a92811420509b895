//! One member of compressed bytes: what the decoders of all codecs have in common.

use bzip2::Decompress as Bzip2;
use flate2::{Decompress as Gzip, FlushDecompress};
use liblzma::stream::{Action, Stream as Xz};
use zstd::stream::raw::{Decoder as Zstd, Operation};
use zstd::zstd_safe::DParameter;

use super::{Codec, InflateFaultKind};

/// A decoder of one gzip member, zstd frame, bzip2 stream or xz stream.
pub(super) enum Stream {
    Gzip(Gzip),
    Zstd(Zstd<'static>, u64),
    Bzip2(Bzip2),
    Xz(Xz, u64),
}

/// What one call of a decoder has done.
pub(super) struct Step {
    /// Compressed bytes that it took in.
    pub taken: usize,
    /// Bytes that it gave.
    pub given: usize,
    /// Whether that was all, and the checksum is right.
    pub ended: bool,
}

/// The window of gzip, as a power of two: all of it, and with the header and the checksum of gzip.
const GZIP_WINDOW: u8 = 15;

impl Stream {
    /// A decoder at the start of a member.
    pub(super) fn new(codec: Codec, max_window_bytes: u64) -> Result<Stream, InflateFaultKind> {
        match codec {
            Codec::Gzip => Ok(Stream::Gzip(Gzip::new_gzip(GZIP_WINDOW))),
            Codec::Bzip2 => Ok(Stream::Bzip2(Bzip2::new(false))),
            Codec::Xz => {
                let stream = Xz::new_stream_decoder(max_window_bytes, 0).map_err(|error| damaged(&error))?;
                Ok(Stream::Xz(stream, max_window_bytes))
            }
            Codec::Zstd => {
                let mut stream = Zstd::new().map_err(|error| damaged(&error))?;
                // Least and greatest of what the library knows.
                let window = max_window_bytes.max(1).ilog2().clamp(10, 31);
                stream.set_parameter(DParameter::WindowLogMax(window)).map_err(|error| damaged(&error))?;
                Ok(Stream::Zstd(stream, max_window_bytes))
            }
        }
    }

    /// Takes in some bytes and gives some, as far as either reaches.
    pub(super) fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, InflateFaultKind> {
        match self {
            Stream::Gzip(stream) => {
                let before = (stream.total_in(), stream.total_out());
                let status = stream.decompress(input, output, FlushDecompress::None);
                let status = status.map_err(|error| {
                    damaged(&error.message().map_or_else(|| error.to_string(), str::to_string))
                })?;
                let after = (stream.total_in(), stream.total_out());
                Ok(step(before, after, status == flate2::Status::StreamEnd))
            }
            Stream::Bzip2(stream) => {
                let before = (stream.total_in(), stream.total_out());
                let status = stream.decompress(input, output).map_err(|error| damaged(&error))?;
                let after = (stream.total_in(), stream.total_out());
                Ok(step(before, after, status == bzip2::Status::StreamEnd))
            }
            Stream::Xz(stream, limit) => {
                let before = (stream.total_in(), stream.total_out());
                let status = stream.process(input, output, Action::Run).map_err(|error| match error {
                    liblzma::stream::Error::MemLimit => InflateFaultKind::Window(*limit),
                    error => damaged(&error),
                })?;
                let after = (stream.total_in(), stream.total_out());
                Ok(step(before, after, status == liblzma::stream::Status::StreamEnd))
            }
            Stream::Zstd(stream, limit) => {
                let status = stream.run_on_buffers(input, output).map_err(|error| {
                    let message = error.to_string();
                    // The library has a number for it, which its binding gives as a message only.
                    let window = message.contains("too much memory");
                    if window { InflateFaultKind::Window(*limit) } else { InflateFaultKind::Damaged(message) }
                })?;
                Ok(Step {
                    taken: status.bytes_read,
                    given: status.bytes_written,
                    ended: status.remaining == 0,
                })
            }
        }
    }
}

fn step(before: (u64, u64), after: (u64, u64), ended: bool) -> Step {
    Step { taken: (after.0 - before.0) as usize, given: (after.1 - before.1) as usize, ended }
}

fn damaged(error: &impl ToString) -> InflateFaultKind {
    InflateFaultKind::Damaged(error.to_string())
}
