//! Syslog as most daemons write it to files, and as [RFC 3164](https://www.rfc-editor.org/rfc/rfc3164) found it on the wire.

use arrow::datatypes::Fields;
use gristmill_derive::Record;

use super::priority::Priority;
use super::scan::Scan;
use super::{Assumed, Fault, LineFormat, Row, TimeFormat, UnixTime, shared, value};
use crate::record::schema;
use crate::text::Text;

/// A message of syslog in the old format. [`Syslog3164Format::parse`] makes it.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Syslog3164 {
    /// What kind of program the message is of, from 0 to 23. It is not in files, as a rule.
    pub facility: Option<u8>,
    /// How bad it is, from 0, an emergency, to 7, for debugging. It is not in files, as a rule.
    pub severity: Option<u8>,
    /// When it was written, in milliseconds since 1970, UTC.
    #[record(timestamp = "ms")]
    pub time: i64,
    /// The machine.
    pub host: Text,
    /// The program, or the tag that it chose.
    pub app: Option<Text>,
    /// The number of the process, or what the program gave in its place.
    pub pid: Option<Text>,
    /// The message, without what stands in the other columns.
    pub message: Text,
}

/// The format of [`Syslog3164`]: `<34>Oct 11 22:14:15 host app[pid]: message`.
///
/// The priority in angle brackets may be missing, as it does in files, and the time may be one of RFC 3339, as daemons can be told to
/// write. Otherwise the time has neither year nor zone, and these must be given; a file that spans the new year has to be read in two.
///
/// `app` is a word that a colon ends, or brackets with the `pid`, and a colon behind them or not. Without such a word, as in
/// `-- MARK --`, all is message.
///
/// # Examples
///
/// ```
/// use gristmill::Text;
/// use gristmill::parse::{Assumed, Syslog3164Format};
///
/// let format = Syslog3164Format::new(Assumed::year(2003));
/// let line = "<34>Oct 11 22:14:15 mymachine su[231]: 'su root' failed for lonvick on /dev/pts/8";
/// let entry = format.parse(&Text::new(line))?;
/// assert_eq!((entry.facility, entry.severity), (Some(4), Some(2)));
/// assert_eq!((entry.app.as_deref(), entry.pid.as_deref()), (Some("su"), Some("231")));
/// assert_eq!(entry.message, "'su root' failed for lonvick on /dev/pts/8");
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syslog3164Format {
    assumed: Assumed,
}

struct Cut<'a> {
    priority: Option<Priority>,
    time: &'a str,
    host: &'a str,
    app: Option<&'a str>,
    pid: Option<&'a str>,
    message: &'a str,
}

impl Syslog3164Format {
    /// The format, in a year and a zone.
    pub const fn new(assumed: Assumed) -> Syslog3164Format {
        Syslog3164Format { assumed }
    }

    /// The record of a line. Its texts are slices of the line.
    ///
    /// # Errors
    ///
    /// If the line does not have the format, or there is no such time in the year.
    pub fn parse(&self, line: &Text) -> Result<Syslog3164, Fault> {
        let cut = cut(line)?;
        let part = |part: &str| shared(line, part);
        let format = TimeFormat::Rfc3164(self.assumed);
        Ok(Syslog3164 {
            facility: cut.priority.map(|priority| priority.facility),
            severity: cut.priority.map(|priority| priority.severity),
            time: value(line, "time", cut.time, |time| format.parse(time).map(UnixTime::millis))?,
            host: part(cut.host),
            app: cut.app.map(part),
            pid: cut.pid.map(part),
            message: part(cut.message),
        })
    }
}

/// The length of `Oct 11 22:14:15`.
const TIME_LEN: usize = 15;

fn cut(line: &str) -> Result<Cut<'_>, Fault> {
    let mut scan = Scan::new(line);
    let priority = Priority::take(&mut scan)?;
    let time = match scan.rest().as_bytes() {
        [b'0'..=b'9', ..] => scan.word("time")?,
        bytes if bytes.len() >= TIME_LEN && scan.rest().is_char_boundary(TIME_LEN) => scan.take(TIME_LEN),
        _ => return Err(scan.missing("time", "there is no time like Oct 11 22:14:15")),
    };
    scan.space("host")?;
    let host = scan.word("host")?;
    scan.space("message")?;
    let (app, pid) = tag(&mut scan);
    Ok(Cut { priority, time, host, app, pid, message: scan.rest() })
}

/// Takes `app[pid]: ` or `app: `, if there is one of these.
fn tag<'a>(scan: &mut Scan<'a>) -> (Option<&'a str>, Option<&'a str>) {
    let ends = |byte: &u8| matches!(byte, b' ' | b':' | b'[');
    let text = scan.rest();
    let Some(end) = text.as_bytes().iter().position(ends).filter(|&end| end > 0) else { return (None, None) };
    let (app, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let (pid, rest) = match rest.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((pid, rest))) if !pid.contains(' ') => (Some(pid), rest.strip_prefix(':').unwrap_or(rest)),
        Some(_) => return (None, None),
        None => match rest.strip_prefix(':') {
            Some(rest) => (None, rest),
            None => return (None, None),
        },
    };
    if !(rest.is_empty() || rest.starts_with(' ')) {
        return (None, None); // as in `10:30 is too late`
    }
    scan.take(text.len() - rest.len());
    scan.skip(' ');
    (Some(app), pid)
}

impl LineFormat for Syslog3164Format {
    fn fields(&self) -> Fields {
        schema::<Syslog3164>().fields().clone()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        let cut = cut(line)?;
        row.clear();
        Priority::push_to(cut.priority, row);
        row.push(Some(cut.time));
        row.push(Some(cut.host));
        row.push(cut.app);
        row.push(cut.pid);
        row.push(Some(cut.message));
        Ok(())
    }

    fn time_format(&self, _column: usize) -> TimeFormat {
        TimeFormat::Rfc3164(self.assumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Syslog3164Format = Syslog3164Format::new(Assumed::year(2003));

    fn parse(line: &str) -> Result<Syslog3164, Fault> {
        FORMAT.parse(&Text::new(line))
    }

    /// App, pid and message.
    fn content(line: &str) -> (Option<String>, Option<String>, String) {
        let entry = parse(&format!("Oct 11 22:14:15 host {line}")).unwrap();
        (entry.app.map(String::from), entry.pid.map(String::from), entry.message.into())
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let entry =
            parse("<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8").unwrap();
        assert_eq!(entry.time, 1_065_910_455_000);
        assert_eq!((entry.host.as_str(), entry.app.as_deref(), entry.pid), ("mymachine", Some("su"), None));
        let entry = parse("<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!").unwrap();
        assert_eq!((entry.app, entry.message.as_str()), (None, "Use the BFG!"));
        // In the second example of section 5.4, the zone and the year stand where RFC 3164 has no place for them.
        let entry = parse("<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time").unwrap();
        assert_eq!(
            (entry.host.as_str(), entry.message.as_str()),
            ("CST", "1987 mymachine myproc[10]: %% It's time")
        );
    }

    #[test]
    fn tags() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(content("sshd[7]: a: b"), (some("sshd"), some("7"), "a: b".into()));
        assert_eq!(content("postfix/smtpd[12]: x"), (some("postfix/smtpd"), some("12"), "x".into()));
        assert_eq!(content("kernel: [ 1.5] up"), (some("kernel"), None, "[ 1.5] up".into()));
        assert_eq!(content("app[1] x"), (some("app"), some("1"), "x".into()));
        assert_eq!(content("app:"), (some("app"), None, String::new()));
        for untagged in [
            "-- MARK --",
            "last message repeated 2 times",
            "10:30 late",
            "a[b c]: d",
            "a[1]b",
            ": x",
            "a[1",
            "",
        ] {
            assert_eq!(content(untagged), (None, None, untagged.to_owned()));
        }
    }

    #[test]
    fn times_of_rfc_3339() {
        let entry = parse("2003-10-11T22:14:15.25+00:00 host app: x").unwrap();
        assert_eq!(entry.time, 1_065_910_455_250);
    }

    #[test]
    fn faults() {
        let fault = |line| parse(line).unwrap_err().to_string();
        assert_eq!(fault(""), "the line ends before the column (column `time`, byte 0)");
        assert_eq!(fault("<34>Oct 11"), "there is no time like Oct 11 22:14:15 (column `time`, byte 4)");
        assert_eq!(fault("Oct 11 22:14:15"), "the line ends before the column (column `host`, byte 15)");
        assert_eq!(fault("Oct 11 22:14:15 h"), "the line ends before the column (column `message`, byte 17)");
        assert_eq!(
            fault("Feb 29 22:14:15 h m"),
            "there is no such day in the calendar (column `time`, value `Feb 29 22:14:15`, byte 0)"
        );
        assert!(parse("Oct 11 22:14:1é h m").is_err());
    }
}
