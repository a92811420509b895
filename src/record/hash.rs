//! The stable hash: part of the file format, since the order of the rows in output files follows it.
//!
//! It depends on nothing but the value: not on the platform, the release of Rust, the process, or the hash of the
//! standard library. To change a line of it changes every output file; the golden values in the tests guard it.
//!
//! The one operation is the folded multiply of wyhash (Wang Yi, <https://github.com/wangyi-fudan/wyhash>) and rapidhash
//! (Nicolas De Carli, <https://github.com/Nicoshev/rapidhash>): multiply two words to 128 bits and xor the halves, which
//! lets every bit of either word reach every bit of the result. It would lose one word if the other were zero; the
//! constants are words that no UTF-8 string contains, so that text xor constant is never zero.

/// What a hash begins with.
pub(super) const SEED: u64 = S3;

// The secrets of wyhash 4.
const S0: u64 = 0xa076_1d64_78bd_642f;
const S1: u64 = 0xe703_7ed1_a0b4_28db;
const S2: u64 = 0x8ebc_6af0_9c88_c6e3;
const S3: u64 = 0x5899_65cc_7537_4cc3;

/// The last byte of a packed string is this plus the length, as in an inline `Text`.
const TAG: u8 = 0x80;

/// The longest string that is packed to three words.
const PACKED: usize = 23;

/// The folded multiply.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Adds a word to a hash.
#[inline]
pub(super) fn word(word: u64, hash: u64) -> u64 {
    // An integer may be any word, also the one that makes the product zero: neither it nor the hash is lost then.
    fold(word ^ S0, hash ^ S1) ^ word ^ hash
}

/// Adds the three words of a short string to a hash. The two multiplies do not wait for each other.
#[inline]
pub(super) fn packed(words: [u64; 3], hash: u64) -> u64 {
    fold(words[0] ^ S0, words[1] ^ hash) ^ fold(words[2] ^ S1, hash ^ S2)
}

/// Adds a string to a hash.
#[inline]
pub(super) fn bytes(bytes: &[u8], hash: u64) -> u64 {
    if bytes.len() > PACKED { long(bytes, hash) } else { packed(pack(bytes), hash) }
}

/// The bytes of a short string, zero padded, and its length with the tag in the last byte; little endian.
#[inline]
fn pack(bytes: &[u8]) -> [u64; 3] {
    let mut packed = [0; 24];
    packed[..bytes.len()].copy_from_slice(bytes);
    packed[PACKED] = TAG | bytes.len() as u8;
    [load(&packed, 0), load(&packed, 8), load(&packed, 16)]
}

/// The word at a position.
#[inline]
fn load(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// Adds a string of at least 16 bytes to a hash: pieces of 16 bytes, of which the last two may overlap, then the
/// length.
#[inline(never)]
pub(super) fn long(bytes: &[u8], mut hash: u64) -> u64 {
    for piece in bytes.chunks_exact(16) {
        hash = fold(load(piece, 0) ^ S0, load(piece, 8) ^ hash);
    }
    let last = &bytes[bytes.len() - 16..];
    hash = fold(load(last, 0) ^ S2, load(last, 8) ^ hash);
    fold(bytes.len() as u64 ^ S1, hash ^ S2)
}

/// The finished hash, in which the high bits are as good as the low ones: partitions use the former, tables the next.
#[inline]
pub(super) fn finish(hash: u64) -> u64 {
    fold(hash ^ S2, S1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_contains_a_secret() {
        for secret in [S0, S1, S2, S3] {
            let bytes = secret.to_le_bytes();
            // Cut at any place, for a piece may begin within a character: what is left is invalid in itself.
            let valid = (0..4).any(|skipped| {
                let first_bytes_continue = bytes[..skipped].iter().all(|byte| (0x80..0xC0).contains(byte));
                first_bytes_continue && std::str::from_utf8(&bytes[skipped..]).is_ok()
            });
            assert!(!valid, "{secret:#x}");
        }
    }

    #[test]
    fn golden_values() {
        let text = |text: &str| finish(bytes(text.as_bytes(), SEED));
        assert_eq!(finish(word(0, SEED)), 0x7412_50bf_2acf_6844);
        assert_eq!(finish(word(1, SEED)), 0x1050_1578_eaf7_de5f);
        assert_eq!(text(""), 0xfe3c_4ff6_f5ad_3774);
        assert_eq!(text("word"), 0x398b_7d24_45c4_8191);
        assert_eq!(text("twenty-three bytes long"), 0xc518_3d4b_c747_f837);
        assert_eq!(text("twenty-four bytes, long."), 0x37cd_d3ff_870e_1d93);
        assert_eq!(text(&"0123456789".repeat(10)), 0xa523_0c7e_578d_5140);
    }
}
