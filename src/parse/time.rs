//! The text of a field to a date or an instant, in the fixed layouts that logs have. No format is interpreted.
//!
//! An instant is an [`UnixTime`]: seconds since 1970 began in UTC. None of it asks for the present time or for the time zone of
//! the machine: what a text leaves out, such as the year of RFC 3164, its caller gives.

use arrow::datatypes::TimeUnit;

use super::Invalid;

/// An instant: seconds since 1970-01-01T00:00:00Z, without leap seconds, and nanoseconds after that second.
///
/// # Examples
///
/// ```
/// use gristmill::parse::rfc3339;
///
/// let time = rfc3339("1970-01-01T01:00:01.5+01:00")?;
/// assert_eq!((time.seconds, time.nanos, time.millis()), (1, 500_000_000, 1500));
/// # Ok::<(), gristmill::parse::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds after that second, below 1,000,000,000.
    pub nanos: u32,
}

impl UnixTime {
    /// Whole milliseconds since 1970, rounded down. Times beyond what 64 bits hold, which no text in here reaches, saturate.
    #[inline]
    pub fn millis(self) -> i64 {
        self.seconds.saturating_mul(1000).saturating_add(i64::from(self.nanos / 1_000_000))
    }

    /// Whole microseconds since 1970, rounded down; otherwise as [`UnixTime::millis`].
    #[inline]
    pub fn micros(self) -> i64 {
        self.seconds.saturating_mul(1_000_000).saturating_add(i64::from(self.nanos / 1000))
    }

    /// Whether the time is a whole number of a unit of Arrow.
    ///
    /// # Examples
    ///
    /// ```
    /// use arrow::datatypes::TimeUnit;
    /// use gristmill::parse::rfc3339;
    ///
    /// let time = rfc3339("2026-01-31T23:59:59.120Z")?;
    /// assert!(time.is_whole_in(TimeUnit::Millisecond) && !time.is_whole_in(TimeUnit::Second));
    /// # Ok::<(), gristmill::parse::Invalid>(())
    /// ```
    #[inline]
    pub fn is_whole_in(self, unit: TimeUnit) -> bool {
        self.nanos.is_multiple_of(match unit {
            TimeUnit::Second => 1_000_000_000,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1000,
            TimeUnit::Nanosecond => 1,
        })
    }

    /// The time in a unit of Arrow, rounded down.
    ///
    /// # Errors
    ///
    /// If 64 bits do not hold it: in nanoseconds, what lies outside of 1678 to 2261.
    pub fn in_unit(self, unit: TimeUnit) -> Result<i64, Invalid> {
        let (factor, divisor) = match unit {
            TimeUnit::Second => (1, 1_000_000_000),
            TimeUnit::Millisecond => (1000, 1_000_000),
            TimeUnit::Microsecond => (1_000_000, 1000),
            TimeUnit::Nanosecond => (1_000_000_000, 1),
        };
        let whole = self.seconds.checked_mul(factor);
        whole
            .and_then(|whole| whole.checked_add(i64::from(self.nanos / divisor)))
            .ok_or(Invalid("the time lies outside of what its column holds"))
    }

    #[inline]
    fn new(days: i32, clock: i32, offset: i32, nanos: u32) -> UnixTime {
        UnixTime { seconds: i64::from(days) * 86_400 + i64::from(clock) - i64::from(offset), nanos }
    }
}

/// How the times of a column are written.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{CommonFormat, LineFormat, TimeFormat};
///
/// assert_eq!(CommonFormat.time_format(3), TimeFormat::Clf);
/// assert_eq!(TimeFormat::Clf.parse("01/Jan/1970:00:00:01 +0000")?.seconds, 1);
/// # Ok::<(), gristmill::parse::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TimeFormat {
    /// [`rfc3339`], or the same without a zone, which is UTC then.
    #[default]
    Rfc3339,
    /// [`clf`], of Apache and nginx.
    Clf,
    /// [`rfc3164`], or [`rfc3339`] where the text begins with a digit, as syslog daemons can be told to write.
    Rfc3164(Assumed),
    /// [`nginx_error`], of nginx's error log. The year stands there.
    NginxError(Assumed),
    /// [`unix_seconds`].
    UnixSeconds,
    /// [`unix_millis`].
    UnixMillis,
}

impl TimeFormat {
    /// The instant of a text.
    ///
    /// # Errors
    ///
    /// If the text has another layout, or there is no such time.
    pub fn parse(self, text: &str) -> Result<UnixTime, Invalid> {
        match self {
            TimeFormat::Rfc3339 => rfc3339_or(text, Some(0)),
            TimeFormat::Clf => clf(text),
            TimeFormat::Rfc3164(_) if text.starts_with(|first: char| first.is_ascii_digit()) => rfc3339(text),
            TimeFormat::Rfc3164(assumed) => rfc3164(text, assumed),
            TimeFormat::NginxError(assumed) => nginx_error(text, assumed),
            TimeFormat::UnixSeconds => unix_seconds(text),
            TimeFormat::UnixMillis => unix_millis(text),
        }
    }
}

/// Whether a time such as `2026-01-31T23:59:59Z` says its zone.
pub(crate) fn has_zone(time: &str) -> bool {
    let behind_clock = time.get("2026-01-31T23:59:59".len()..);
    behind_clock.unwrap_or_default().contains(['Z', 'z', '+', '-'])
}

/// What is taken for granted where a text leaves it out.
///
/// # Examples
///
/// ```
/// use gristmill::parse::Assumed;
///
/// let central_europe_in_winter = Assumed { offset_minutes: 60, ..Assumed::year(2026) };
/// assert_eq!(central_europe_in_winter.year, 2026);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumed {
    /// The year, where there is none.
    pub year: u16,
    /// How many minutes clocks are ahead of UTC, where there is no zone.
    pub offset_minutes: i16,
}

impl Assumed {
    /// A year, and UTC.
    pub const fn year(year: u16) -> Assumed {
        Assumed { year, offset_minutes: 0 }
    }
}

/// A date, `2026-01-31`, as days since 1970-01-01. Years are 0000 to 9999.
///
/// # Errors
///
/// If the text has another layout, or there is no such day.
///
/// # Examples
///
/// ```
/// use gristmill::parse::date;
///
/// assert_eq!(date("1970-02-01"), Ok(31));
/// assert!(date("2026-02-29").is_err());
/// ```
pub fn date(text: &str) -> Result<i32, Invalid> {
    let Ok(&bytes) = <&[u8; 10]>::try_from(text.as_bytes()) else { return Err(NO_DATE) };
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else { return Err(NO_DATE) };
    let (Some(year), Some(month), Some(day)) = (four([y1, y2, y3, y4]), two(m1, m2), two(d1, d2)) else {
        return Err(NO_DATE);
    };
    days(year, month, day)
}

/// A time of [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6): `2003-10-11T22:14:15.003Z`.
///
/// Date and time may also be separated by a space, and letters be small. Digits beyond nanoseconds are left out. The second 60 is
/// the first one of the next minute.
///
/// # Errors
///
/// If the text has another layout, lacks the zone, or there is no such time.
///
/// # Examples
///
/// ```
/// use gristmill::parse::rfc3339;
///
/// assert_eq!(rfc3339("1985-04-12T23:20:50.52Z").map(|time| time.millis()), Ok(482_196_050_520));
/// assert!(rfc3339("1985-04-12T23:20:50").is_err());
/// ```
pub fn rfc3339(text: &str) -> Result<UnixTime, Invalid> {
    rfc3339_or(text, None)
}

/// The same with an offset for texts that have none.
fn rfc3339_or(text: &str, assumed: Option<i32>) -> Result<UnixTime, Invalid> {
    const WRONG: Invalid = Invalid("this is no time like 2026-01-31T23:59:59Z");
    let Some((head, rest)) = text.as_bytes().split_first_chunk::<19>() else { return Err(WRONG) };
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ', clock @ ..] = head else {
        return Err(WRONG);
    };
    let (Some(year), Some(month), Some(day)) = (four([*y1, *y2, *y3, *y4]), two(*m1, *m2), two(*d1, *d2))
    else {
        return Err(WRONG);
    };
    let (nanos, zone) = match rest {
        [b'.', digits @ ..] => fraction(digits).ok_or(WRONG)?,
        _ => (0, rest),
    };
    let offset = match *zone {
        [b'Z' | b'z'] => 0,
        [] => assumed.ok_or(WRONG)?,
        [sign, h1, h2, b':', m1, m2] => offset(sign, [h1, h2, m1, m2]).ok_or(WRONG)?,
        _ => return Err(WRONG),
    };
    Ok(UnixTime::new(days(year, month, day)?, clock_seconds(*clock)?, offset, nanos))
}

/// A time of the Common Log Format of Apache and nginx: `10/Oct/2000:13:55:36 -0700`, without brackets.
///
/// # Errors
///
/// If the text has another layout, or there is no such time.
///
/// # Examples
///
/// ```
/// use gristmill::parse::clf;
///
/// assert_eq!(clf("10/Oct/2000:13:55:36 -0700").map(|time| time.seconds), Ok(971_211_336));
/// ```
#[inline]
pub fn clf(text: &str) -> Result<UnixTime, Invalid> {
    const WRONG: Invalid = Invalid("this is no time like 10/Oct/2000:13:55:36 -0700");
    let Ok(&bytes) = <&[u8; 26]>::try_from(text.as_bytes()) else { return Err(WRONG) };
    let [d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':', rest @ ..] = bytes else { return Err(WRONG) };
    let [h1, h2, b':', i1, i2, b':', s1, s2, b' ', sign, z1, z2, z3, z4] = rest else { return Err(WRONG) };
    let digits = [d1, d2, y1, y2, y3, y4, h1, h2, i1, i2, s1, s2, z1, z2, z3, z4];
    let Some([day, century, year, hour, minute, second, zone_hours, zone_minutes]) = pairs(digits) else {
        return Err(WRONG);
    };
    let month = month([m1, m2, m3]).ok_or(WRONG)?;
    let offset = zone(sign, zone_hours, zone_minutes).ok_or(WRONG)?;
    let clock = second_of_day(hour, minute, second)?;
    Ok(UnixTime::new(days(century * 100 + year, month, day)?, clock, offset, 0))
}

/// A time of [RFC 3164](https://www.rfc-editor.org/rfc/rfc3164#section-4.1.2): `Oct 11 22:14:15`. It has neither year nor zone, so
/// these must be given. The day is padded by a space or a zero.
///
/// # Errors
///
/// If the text has another layout, or there is no such time in that year.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{Assumed, rfc3164};
///
/// assert_eq!(rfc3164("Jan  2 00:00:01", Assumed::year(1970)).map(|time| time.seconds), Ok(86_401));
/// assert!(rfc3164("Feb 29 00:00:00", Assumed::year(2026)).is_err());
/// ```
pub fn rfc3164(text: &str, assumed: Assumed) -> Result<UnixTime, Invalid> {
    const WRONG: Invalid = Invalid("this is no time like Oct 11 22:14:15");
    let Ok(&bytes) = <&[u8; 15]>::try_from(text.as_bytes()) else { return Err(WRONG) };
    let [m1, m2, m3, b' ', d1, d2, b' ', clock @ ..] = bytes else { return Err(WRONG) };
    let tens = if d1 == b' ' { b'0' } else { d1 };
    let (Some(month), Some(day)) = (month([m1, m2, m3]), two(tens, d2)) else { return Err(WRONG) };
    let days = days(assumed.year.into(), month, day)?;
    Ok(UnixTime::new(days, clock_seconds(clock)?, i32::from(assumed.offset_minutes) * 60, 0))
}

/// A time of nginx's error log, `2026/01/31 23:59:59`. It has no zone, so that must be given; the assumed year is not looked at.
///
/// # Errors
///
/// If the text has another layout, or there is no such time.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{Assumed, nginx_error};
///
/// assert_eq!(nginx_error("1970/01/02 00:00:01", Assumed::year(0)).map(|time| time.seconds), Ok(86_401));
/// ```
pub fn nginx_error(text: &str, assumed: Assumed) -> Result<UnixTime, Invalid> {
    const WRONG: Invalid = Invalid("this is no time like 2026/01/31 23:59:59");
    let Ok(&bytes) = <&[u8; 19]>::try_from(text.as_bytes()) else { return Err(WRONG) };
    let [y1, y2, y3, y4, b'/', m1, m2, b'/', d1, d2, b' ', clock @ ..] = bytes else { return Err(WRONG) };
    let (Some(year), Some(month), Some(day)) = (four([y1, y2, y3, y4]), two(m1, m2), two(d1, d2)) else {
        return Err(WRONG);
    };
    let offset = i32::from(assumed.offset_minutes) * 60;
    Ok(UnixTime::new(days(year, month, day)?, clock_seconds(clock)?, offset, 0))
}

/// Seconds since 1970, with or without a fraction: `1700000000.25`. Digits beyond nanoseconds are left out.
///
/// # Errors
///
/// If the text has another layout or more than 18 digits before the point.
///
/// # Examples
///
/// ```
/// use gristmill::parse::unix_seconds;
///
/// assert_eq!(unix_seconds("-0.25").map(|time| time.millis()), Ok(-250));
/// ```
pub fn unix_seconds(text: &str) -> Result<UnixTime, Invalid> {
    const WRONG: Invalid = Invalid("this is no number of seconds");
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let point = digits.iter().position(|&byte| byte == b'.').unwrap_or(digits.len());
    let (whole, rest) = digits.split_at(point);
    if whole.is_empty() || whole.len() > 18 || !whole.iter().all(u8::is_ascii_digit) {
        return Err(WRONG);
    }
    let seconds = whole.iter().fold(0_i64, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    let nanos = match rest {
        [] => 0,
        [_, digits @ ..] => match fraction(digits) {
            Some((nanos, [])) => nanos,
            _ => return Err(WRONG),
        },
    };
    Ok(match (negative, nanos) {
        (false, nanos) => UnixTime { seconds, nanos },
        (true, 0) => UnixTime { seconds: -seconds, nanos: 0 },
        (true, nanos) => UnixTime { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

/// Whole milliseconds since 1970.
///
/// # Errors
///
/// If the text is no whole number, or does not fit 64 bits.
///
/// # Examples
///
/// ```
/// use gristmill::parse::unix_millis;
///
/// assert_eq!(unix_millis("-1").map(|time| (time.seconds, time.nanos)), Ok((-1, 999_000_000)));
/// ```
pub fn unix_millis(text: &str) -> Result<UnixTime, Invalid> {
    let millis: i64 = super::int(text)?;
    let nanos = millis.rem_euclid(1000) as u32 * 1_000_000;
    Ok(UnixTime { seconds: millis.div_euclid(1000), nanos })
}

const NO_DATE: Invalid = Invalid("this is no date like 2026-01-31");
const NO_TIME: Invalid = Invalid("there is no such time of day");
const NO_DAY: Invalid = Invalid("there is no such day in the calendar");

/// A number of two ASCII digits.
#[inline]
fn two(tens: u8, ones: u8) -> Option<i32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i32::from(tens) * 10 + i32::from(ones))
}

/// A number of four ASCII digits.
#[inline]
fn four([a, b, c, d]: [u8; 4]) -> Option<i32> {
    Some(two(a, b)? * 100 + two(c, d)?)
}

/// Eight numbers of two ASCII digits each. One check of all digits at once takes half the time of one for each.
#[inline]
fn pairs(digits: [u8; 16]) -> Option<[i32; 8]> {
    let digits = digits.map(|digit| digit.wrapping_sub(b'0'));
    let largest = digits.iter().fold(0, |largest, &digit| digit.max(largest));
    let mut numbers = [0; 8];
    for (number, pair) in numbers.iter_mut().zip(digits.chunks_exact(2)) {
        *number = pair.iter().fold(0, |number, &digit| number * 10 + i32::from(digit));
    }
    (largest <= 9).then_some(numbers)
}

/// The number of a month by its English name of three letters.
#[inline]
fn month(name: [u8; 3]) -> Option<i32> {
    Some(match &name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// The nanoseconds that the digits after a point say, and what follows the digits, of which there must be one.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(count);
    let digit = |place: usize| digits.get(place).map_or(0, |byte| u32::from(byte - b'0'));
    (count > 0).then(|| ((0..9).fold(0, |sum, place| sum * 10 + digit(place)), rest))
}

/// The seconds by which a zone is ahead of UTC, from its sign and the digits of hours and minutes.
#[inline]
fn offset(sign: u8, [h1, h2, m1, m2]: [u8; 4]) -> Option<i32> {
    zone(sign, two(h1, h2)?, two(m1, m2)?)
}

#[inline]
fn zone(sign: u8, hours: i32, minutes: i32) -> Option<i32> {
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// The seconds since midnight of `22:14:15`.
#[inline]
fn clock_seconds(clock: [u8; 8]) -> Result<i32, Invalid> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = clock else { return Err(NO_TIME) };
    match (two(h1, h2), two(m1, m2), two(s1, s2)) {
        (Some(hour), Some(minute), Some(second)) => second_of_day(hour, minute, second),
        _ => Err(NO_TIME),
    }
}

/// The seconds since midnight.
#[inline]
fn second_of_day(hour: i32, minute: i32, second: i32) -> Result<i32, Invalid> {
    if hour > 23 || minute > 59 || second > 60 {
        return Err(NO_TIME);
    }
    Ok(hour * 3600 + minute * 60 + second)
}

/// The days since 1970-01-01 of a day of the Gregorian calendar, in the years 0 to 65,535.
///
/// Years are counted from March, so that the leap day is the last one, and days of months follow one line.
#[inline]
fn days(year: i32, month: i32, day: i32) -> Result<i32, Invalid> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i32::from(leap),
        _ => return Err(NO_DAY),
    };
    if day < 1 || day > last {
        return Err(NO_DAY);
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let positive = (year + 400).cast_unsigned(); // unsigned numbers are faster to divide
    let leap_days = (positive / 4 - positive / 100 + positive / 400).cast_signed() - 97;
    let days_since_march = (153 * month + 2) / 5 + day - 1;
    Ok(365 * year + leap_days + days_since_march - DAYS_TO_1970)
}

/// From the first of March of the year 0 to 1970-01-01.
const DAYS_TO_1970: i32 = 719_468;

#[cfg(test)]
mod tests;
