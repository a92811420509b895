//! What quotes mean in CSV, byte by byte, as RFC 4180 has it: for finding records in the middle of a file, and for telling what is wrong
//! with one.

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

/// What is wrong with the quotes of a record, for people.
pub fn fault(record: &[u8], delimiter: u8) -> Option<&'static str> {
    const NOT_CLOSED: &str = "a quote is not closed";
    let (mut state, mut line) = (State::Start, 0);
    for &byte in record {
        state = match state.after(byte, delimiter) {
            Ok(state) => state,
            Err(_) if line > 0 => return Some(NOT_CLOSED), // a quote of a later record seems to close it
            Err(Stray::Inside) => return Some("a quote stands in a field that does not begin with one"),
            Err(Stray::Before) => return Some("a quote ends a field, and something else follows it"),
        };
        line += usize::from(byte == b'\n');
    }
    (state == State::Quoted).then_some(NOT_CLOSED)
}

/// Whether the field at an index of a record is quoted.
pub fn is_quoted(record: &[u8], delimiter: u8, field: usize) -> bool {
    let (mut state, mut at) = (State::Start, 0);
    for &byte in record {
        if at == field {
            return byte == b'"';
        }
        let Ok(next) = state.after(byte, delimiter) else { return false };
        at += usize::from(state != State::Quoted && byte == delimiter);
        state = next;
    }
    false
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

    #[test]
    fn faults_are_told_apart() {
        assert_eq!(fault(b"a,\"b\",\"c\"\"d\ne\"\r\n", b','), None);
        assert!(fault(b"a,b\"c", b',').is_some_and(|fault| fault.contains("does not begin")));
        assert!(fault(b"a,\"b\"c", b',').is_some_and(|fault| fault.contains("follows")));
        assert!(fault(b"a,\"bc\n", b',').is_some_and(|fault| fault.contains("not closed")));
    }

    #[test]
    fn quoted_fields_are_found() {
        let record = b"\"\",,\"a,\"\"b\",c";
        let quoted: Vec<bool> = (0..5).map(|field| is_quoted(record, b',', field)).collect();
        assert_eq!(quoted, [true, false, true, false, false]);
    }

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
