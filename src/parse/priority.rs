//! The priority that syslog messages begin with.

use super::scan::Scan;
use super::{Fault, Invalid, Row, int};

/// What a message is about, and how bad it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Priority {
    pub facility: u8,
    pub severity: u8,
}

/// The numbers of facilities, and of severities.
const NUMBERS: [&str; 24] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18",
    "19", "20", "21", "22", "23",
];

impl Priority {
    /// Takes `<34>`, or nothing if the line does not begin so. The number is 8 times the facility, plus the severity.
    pub fn take(scan: &mut Scan) -> Result<Option<Priority>, Fault> {
        const WRONG: Invalid = Invalid("a priority is a number from 0 to 191");
        if !scan.skip('<') {
            return Ok(None);
        }
        let at = scan.at();
        let Some(close) = memchr::memchr(b'>', scan.rest().as_bytes()) else {
            return Err(
                Fault::new(at - 1, "the bracket that begins here is not closed").in_column("facility")
            );
        };
        let text = scan.take(close);
        scan.skip('>');
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match int::<u8>(text) {
            Ok(number @ 0..=191) if digits => {
                Ok(Some(Priority { facility: number / 8, severity: number % 8 }))
            }
            _ => Err(Fault::in_value("facility", at, text, WRONG)),
        }
    }

    /// Adds facility and severity to a row.
    pub fn push_to(priority: Option<Priority>, row: &mut Row) {
        let number = |number: u8| NUMBERS.get(usize::from(number)).copied();
        row.push(priority.and_then(|priority| number(priority.facility)));
        row.push(priority.and_then(|priority| number(priority.severity)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities() {
        let take = |line| Priority::take(&mut Scan::new(line)).map(|p| p.map(|p| (p.facility, p.severity)));
        assert_eq!(take("<0>"), Ok(Some((0, 0))));
        assert_eq!(take("<34>Oct"), Ok(Some((4, 2))));
        assert_eq!(take("<191>"), Ok(Some((23, 7))));
        assert_eq!(take("Oct"), Ok(None));
        for wrong in ["<>", "<192>", "<-1>", "<+1>", "<1 >", "<é>", "<3", "<999999>"] {
            assert!(take(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows() {
        let mut row = Row::new();
        Priority::push_to(Some(Priority { facility: 23, severity: 7 }), &mut row);
        Priority::push_to(None, &mut row);
        assert_eq!(row.iter().collect::<Vec<_>>(), [Some("23"), Some("7"), None, None]);
    }
}
