//! What quotes mean in CSV, byte by byte, as RFC 4180 has it: for finding records in the middle of a file.

/// Where in a record a byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// At the start of a field.
    Start,
    /// In a field without quotes.
    Plain,
    /// Within quotes.
    Quoted,
    /// Behind a quote that ends a field, or is the first of two.
    Closed,
}

/// A quote where none can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// In a field that did not begin with one.
    Inside,
    /// Before something that is neither a delimiter nor the end of the record.
    Before,
}

impl State {
    /// Where the next byte stands.
    ///
    /// # Errors
    ///
    /// If a quote is not where it can be.
    #[inline]
    pub fn after(self, byte: u8, delimiter: u8) -> Result<State, Stray> {
        match self {
            State::Quoted => Ok(if byte == b'"' { State::Closed } else { State::Quoted }),
            _ if byte == delimiter || matches!(byte, b'\n' | b'\r') => Ok(State::Start),
            State::Start | State::Closed if byte == b'"' => Ok(State::Quoted),
            State::Plain if byte == b'"' => Err(Stray::Inside),
            State::Start | State::Plain => Ok(State::Plain),
            State::Closed => Err(Stray::Before),
        }
    }
}

/// Where the first record begins that begins in `bytes`, which are cut out of the middle of a file; `before` is the byte before them.
///
/// They may begin within quotes or not. Both are tried, until one of them leads to a quote where none can be. Nothing but a
/// file whose quotes do not pair, or a field as long as all of `bytes`, can be mistaken; so whoever asks must compare the answer with where
/// the records before end.
pub fn first_record(before: u8, bytes: &[u8], delimiter: u8) -> Option<usize> {
    let outside = match before {
        b'\n' | b'\r' => State::Start,
        b'"' => State::Closed,
        byte if byte == delimiter => State::Start,
        _ => State::Plain,
    };
    let mut outside = Guess::new(outside, before == b'\n');
    if memchr::memchr(b'"', bytes).is_none() {
        return outside.found.or_else(|| memchr::memchr(b'\n', bytes).map(|at| at + 1));
    }
    let mut within = Guess::new(State::Quoted, false);
    for (at, &byte) in bytes.iter().enumerate() {
        outside.step(at, byte, delimiter);
        within.step(at, byte, delimiter);
        match (outside.is_wrong, within.is_wrong) {
            (false, false) => {}
            (false, true) => return outside.finish(at + 1, bytes, delimiter),
            (true, false) => return within.finish(at + 1, bytes, delimiter),
            (true, true) => break,
        }
    }
    outside.found
}

/// A state that the bytes may begin in.
struct Guess {
    state: State,
    /// Where the first record begins, if it is true.
    found: Option<usize>,
    is_wrong: bool,
}

impl Guess {
    fn new(state: State, begins: bool) -> Guess {
        Guess { state, found: begins.then_some(0), is_wrong: false }
    }

    fn step(&mut self, at: usize, byte: u8, delimiter: u8) {
        if self.is_wrong {
            return;
        }
        if byte == b'\n' && self.state != State::Quoted {
            self.found.get_or_insert(at + 1);
        }
        match self.state.after(byte, delimiter) {
            Ok(state) => self.state = state,
            Err(_) => self.is_wrong = true,
        }
    }

    /// Goes on until it has found a record: it is known to be true.
    fn finish(mut self, from: usize, bytes: &[u8], delimiter: u8) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate().skip(from) {
            if self.found.is_some() {
                break;
            }
            self.step(at, byte, delimiter);
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z ]{0,6}", "\"(a|,|\n|\r\n|\"\"){0,8}\""]
    }

    proptest! {
        #[test]
        fn a_record_is_found_from_anywhere(
            records in prop::collection::vec(prop::collection::vec(field(), 2..4), 2..20),
            at in 1_usize..400,
        ) {
            let lines: Vec<String> = records.iter().map(|fields| fields.join(",") + "\n").collect();
            // Text without an end to its quotes in sight is what cannot be told; three plain lines end all doubt.
            let text = lines.concat() + "a,b,\"c\"\na,\"b\",c\nd,\"e f\",g\n";
            prop_assume!(at < text.len());
            let starts: Vec<usize> = lines.iter().scan(0, |end, line| {
                let start = *end;
                *end += line.len();
                Some(start)
            }).collect();
            let bytes = text.as_bytes();
            let found = first_record(bytes[at - 1], &bytes[at..], b',').map(|found| found + at);
            let end = lines.concat().len();
            let expected = starts.iter().copied().chain([end]).find(|start| *start >= at);
            if let Some(expected) = expected {
                prop_assert_eq!(found, Some(expected), "{:?} at {}", text, at);
            }
        }
    }
}
