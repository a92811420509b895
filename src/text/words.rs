//! The words of a long text, many at a time.
#![deny(unsafe_code)]

use super::Text;
use super::whitespace::spaces_at;

/// So many words are found before the first of them is cut, so that neither loop waits for what the other one cannot predict.
const BATCH: usize = 256;

/// Places are written in groups of so many: one branch a word would be mispredicted at the end of every 64 bytes. Two groups are the
/// words of 64 bytes of English.
const GROUP: usize = 6;

/// 64 bytes end 32 words at most; and what is written beyond the last word of a group is overwritten by the next one.
const MAX_IN_64: usize = (32 + GROUP) / GROUP * GROUP;

/// The first words of a text.
struct Found {
    /// Where they begin.
    starts: [u32; BATCH + MAX_IN_64],
    /// Where they end.
    ends: [u32; BATCH + MAX_IN_64],
}

impl Text {
    /// Moves words from the beginning of the text to `words` until it has `limit` of them; false once there is nothing left.
    ///
    /// The same words as by [`Text::split_whitespace`], at a third of the cost where the text has many.
    pub(crate) fn take_words(&mut self, words: &mut Vec<Text>, limit: usize) -> bool {
        let mut found = Found { starts: [0; BATCH + MAX_IN_64], ends: [0; BATCH + MAX_IN_64] };
        while words.len() < limit && !self.is_empty() {
            let wanted = BATCH.min(limit - words.len());
            let (count, rest) = found.find(self, wanted);
            self.append_parts(&found.starts[..count], &found.ends[..count], words);
            *self = self.slice(rest..);
        }
        !self.is_empty()
    }
}

impl Found {
    /// Finds so many words, or all if there are fewer. Returns how many there are, and where the text goes on after them.
    fn find(&mut self, text: &Text, wanted: usize) -> (usize, usize) {
        let (mut next, mut after_space, mut carry) = (0, 1, 0);
        let (mut started, mut ended) = (0, 0);
        while ended < wanted && next <= text.len() {
            let spaces;
            (spaces, carry) = spaces_at(text, next, carry);
            let before = spaces << 1 | after_space;
            let (starts, ends) = (!spaces & before, spaces & !before);
            self.write(next, (started, starts), (ended, ends));
            after_space = spaces >> 63;
            ended += ends.count_ones() as usize;
            started = ended + usize::from(after_space == 0);
            next += 64;
        }
        let count = ended.min(wanted);
        let beyond = next + carry.trailing_ones() as usize;
        let rest = if count < started { self.starts[count] as usize } else { beyond.min(text.len()) };
        (count, rest)
    }

    /// Writes the places of bits that stand for the bytes from `base` on, each kind behind those that there are.
    fn write(&mut self, base: usize, (started, mut starts): (usize, u64), (ended, mut ends): (usize, u64)) {
        let base = base as u32;
        // Two chains of operations, of starts and of ends, take half the time of one.
        let (to_starts, _) = self.starts[started..started + MAX_IN_64].as_chunks_mut::<GROUP>();
        let (to_ends, _) = self.ends[ended..ended + MAX_IN_64].as_chunks_mut::<GROUP>();
        for (to_starts, to_ends) in to_starts.iter_mut().zip(to_ends) {
            if starts | ends == 0 {
                break;
            }
            for (start, end) in to_starts.iter_mut().zip(to_ends) {
                *start = base.wrapping_add(starts.trailing_zeros());
                *end = base.wrapping_add(ends.trailing_zeros());
                starts &= starts.wrapping_sub(1);
                ends &= ends.wrapping_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a text, taken so many at a time, as long as there are any.
    fn taken(text: &str, limit: usize) -> Vec<Text> {
        let (mut rest, mut words, mut all) = (Text::new(text), Vec::new(), Vec::new());
        let mut more = true;
        while more {
            more = rest.take_words(&mut words, limit);
            assert!(words.len() <= limit);
            assert!(!more || words.len() == limit, "{} of {limit} words, and there are more", words.len());
            all.append(&mut words);
        }
        all
    }

    #[test]
    fn the_words_are_those_of_the_standard_library() {
        let wide = "\u{2003}wide\u{3000}spaces\u{A0}ünd no\u{2008}\u{2009} end";
        let long = "x".repeat(200);
        let texts = [
            String::new(),
            " \t\n".repeat(70),
            "a b\r\nc ".repeat(300),
            long.clone(),
            format!("{long} {long}  a {wide}").repeat(7),
            wide.repeat(40),
            "é".repeat(64),
            format!("{} end", "\u{3000}".repeat(100)),
        ];
        for text in &texts {
            // Wherever the 64 bytes that are looked at together begin.
            for (start, _) in text.char_indices().take(130) {
                let text = &text[start..];
                for limit in [1, 3, 255, 1000] {
                    assert_eq!(taken(text, limit), text.split_whitespace().collect::<Vec<_>>(), "{text:?}");
                }
            }
        }
    }
}
