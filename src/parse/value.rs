//! The text of a field to a value: numbers, truth values, addresses. Times are in their own file.
//!
//! Nothing is trimmed, and nothing wraps, saturates or is rounded where that would change a whole number.

use std::net::IpAddr;
use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

use super::Invalid;

/// A whole number of any of Rust's integer types: ASCII digits, after a `-` or a `+` if one is there.
///
/// # Errors
///
/// If it is no number, or does not fit the type.
///
/// # Examples
///
/// ```
/// use gristmill::parse::int;
///
/// assert_eq!(int::<u16>("404"), Ok(404));
/// assert_eq!(int::<i64>("-9223372036854775808"), Ok(i64::MIN));
/// assert!(int::<u16>("65536").is_err());
/// assert!(int::<u16>("４０４").is_err()); // full-width digits
/// ```
#[inline]
pub fn int<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, Invalid> {
    text.parse().map_err(|error: ParseIntError| {
        Invalid(match error.kind() {
            IntErrorKind::Empty => "the field is empty and should be a whole number",
            IntErrorKind::PosOverflow => "the number is too large for its column",
            IntErrorKind::NegOverflow => "the number is too small for its column",
            IntErrorKind::Zero => "the number must not be 0",
            _ => "this is no whole number",
        })
    })
}

/// A number of double precision: the nearest to what is written, as in `-1.5`, `2e-3`, `.5`, `inf` or `NaN`.
///
/// # Errors
///
/// If it is no number, or a finite number so large that only infinity would be near. What is near to 0 is 0.
///
/// # Examples
///
/// ```
/// use gristmill::parse::float;
///
/// assert_eq!(float("1.5e3"), Ok(1500.0));
/// assert!(float("1e999").is_err());
/// ```
pub fn float(text: &str) -> Result<f64, Invalid> {
    if let Some(value) = short_decimal(text.as_bytes()) {
        return Ok(value);
    }
    let value: f64 = text.parse().map_err(|_| NO_NUMBER)?;
    if value.is_infinite() && has_digits(text) { Err(TOO_LARGE) } else { Ok(value) }
}

/// The value of at most 15 digits with at most one point between them, such as `-12.75`: what most files hold.
///
/// The digits as a whole number and the power of ten are exact then, so that the quotient is the nearest number, as it should be.
#[inline]
fn short_decimal(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let (mut whole, mut point) = (0_u64, None);
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => whole = whole * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let after = point.map_or(0, |point| digits.len() - point - 1);
    let count = digits.len() - usize::from(point.is_some());
    let power = POWERS.get(after).filter(|_| (1..=15).contains(&count))?;
    let value = whole as f64 / power;
    Some(if is_negative { -value } else { value })
}

/// A number of single precision; otherwise as [`float`].
///
/// # Errors
///
/// As with [`float`].
///
/// # Examples
///
/// ```
/// use gristmill::parse::float32;
///
/// assert_eq!(float32("0.25"), Ok(0.25));
/// assert!(float32("1e39").is_err());
/// ```
pub fn float32(text: &str) -> Result<f32, Invalid> {
    let value: f32 = text.parse().map_err(|_| NO_NUMBER)?;
    if value.is_infinite() && has_digits(text) { Err(TOO_LARGE) } else { Ok(value) }
}

const NO_NUMBER: Invalid = Invalid("this is no number");
const TOO_LARGE: Invalid = Invalid("the number is too large for its column");

/// Whether a number is written in digits, and not as the word `inf`.
fn has_digits(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// A truth value: `true`, `t` or `1`, and `false`, `f` or `0`, in letters of any case.
///
/// # Errors
///
/// If it is anything else.
///
/// # Examples
///
/// ```
/// use gristmill::parse::boolean;
///
/// assert_eq!((boolean("true"), boolean("F")), (Ok(true), Ok(false)));
/// assert!(boolean("maybe").is_err());
/// ```
pub fn boolean(text: &str) -> Result<bool, Invalid> {
    let is = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match (is(["true", "t", "1"]), is(["false", "f", "0"])) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Invalid("this is neither true nor false")),
    }
}

/// A decimal number as a count of its last digit, of which `scale` stand after the point: with a scale of 2, `12.3` is 1230.
///
/// It has at most `precision` digits in all, and may be written with less digits after the point than the scale, but not with more,
/// unless these are zeros.
///
/// # Errors
///
/// If it is no decimal number, has too many digits, or would have to be rounded.
///
/// # Examples
///
/// ```
/// use gristmill::parse::decimal;
///
/// assert_eq!(decimal("-12.3", 9, 2), Ok(-1230));
/// assert_eq!(decimal("12.300", 9, 2), Ok(1230));
/// assert!(decimal("12.345", 9, 2).is_err());
/// ```
pub fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, Invalid> {
    const NO_DECIMAL: Invalid = Invalid("this is no decimal number");
    const TOO_MANY: Invalid = Invalid("the number has more digits than its column");
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let point = digits.iter().position(|&byte| byte == b'.').unwrap_or(digits.len());
    let (whole, after) = digits.split_at(point);
    let after = after.get(1..).unwrap_or_default();
    if whole.is_empty() && after.is_empty() {
        return Err(NO_DECIMAL);
    }
    let kept = after.len().min(scale.into());
    let (after, beyond) = after.split_at(kept);
    let mut value = 0_i128;
    for &byte in whole.iter().chain(after) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(NO_DECIMAL);
        }
        value = value.checked_mul(10).and_then(|value| value.checked_add(digit.into())).ok_or(TOO_MANY)?;
    }
    match beyond.iter().find(|&&byte| byte != b'0') {
        Some(byte) if byte.is_ascii_digit() => {
            return Err(Invalid("the number has more digits after the point than its column"));
        }
        Some(_) => return Err(NO_DECIMAL),
        None => {}
    }
    let missing = u32::from(scale) - kept as u32;
    let value = 10_i128.checked_pow(missing).and_then(|ten| value.checked_mul(ten)).ok_or(TOO_MANY)?;
    if 10_i128.checked_pow(precision.into()).is_some_and(|limit| value >= limit) {
        return Err(TOO_MANY);
    }
    Ok(if negative { -value } else { value })
}

/// An IP address, version 4 or 6, without brackets, port and zone.
///
/// # Errors
///
/// If it is none. Numbers with leading zeros, as in `010.0.0.1`, are none: some programs take them for octal.
///
/// # Examples
///
/// ```
/// use gristmill::parse::ip;
///
/// assert!(ip("2001:db8::1").is_ok_and(|address| address.is_ipv6()));
/// assert!(ip("127.0.0.256").is_err());
/// ```
pub fn ip(text: &str) -> Result<IpAddr, Invalid> {
    text.parse().map_err(|_| Invalid("this is no IP address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers() {
        assert_eq!(int::<i8>("-128"), Ok(-128));
        assert_eq!(int::<u64>("+5"), Ok(5));
        assert_eq!(int::<u64>("18446744073709551615"), Ok(u64::MAX));
        for wrong in ["", "+", "-", "+ 5", " 5", "5 ", "5.0", "1e3", "0x10", "1_000", "５", "٣", "-1", "256"]
        {
            assert!(int::<u8>(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(int::<i8>("-129"), Err(Invalid("the number is too small for its column")));
    }

    #[test]
    fn floats() {
        assert_eq!(float("-0"), Ok(-0.0));
        assert_eq!(float("-inf"), Ok(f64::NEG_INFINITY));
        assert!(float("NaN").is_ok_and(f64::is_nan));
        assert_eq!(float("1e-999"), Ok(0.0));
        assert_eq!(float("1e999"), Err(TOO_LARGE));
        assert_eq!(float("-1e999"), Err(TOO_LARGE));
        assert_eq!(float32("3.5e38"), Err(TOO_LARGE));
        assert_eq!(float32("3.4e38"), Ok(3.4e38));
        for wrong in ["", " 1", "1,5", "１", "1e", "--1", "."] {
            assert_eq!(float(wrong), Err(NO_NUMBER), "{wrong:?}");
        }
    }

    #[test]
    fn truth_values() {
        for (text, expected) in [("TRUE", true), ("t", true), ("1", true), ("False", false), ("0", false)] {
            assert_eq!(boolean(text), Ok(expected));
        }
        for wrong in ["", "2", "tru", "yes", " true"] {
            assert!(boolean(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal("0", 38, 38), Ok(0));
        assert_eq!(decimal(".5", 3, 1), Ok(5));
        assert_eq!(decimal("5.", 3, 1), Ok(50));
        assert_eq!(decimal("-0.01", 3, 2), Ok(-1));
        assert_eq!(decimal("+999.99", 5, 2), Ok(99_999));
        let largest = 10_i128.pow(38) - 1;
        assert_eq!(decimal(&largest.to_string(), 38, 0), Ok(largest));
        for wrong in ["", "-", ".", "-.", "1.2.3", "1.00.0", "1e3", "1.x", "1.00x", "５", "--1", "1 "] {
            assert_eq!(decimal(wrong, 9, 2), Err(Invalid("this is no decimal number")), "{wrong:?}");
        }
        let long = "9".repeat(40);
        for (text, precision, scale) in [("1000", 3, 0), ("10", 3, 2), (long.as_str(), 38, 0), ("1", 38, 38)]
        {
            let expected = Err(Invalid("the number has more digits than its column"));
            assert_eq!(decimal(text, precision, scale), expected, "{text}");
        }
    }

    #[test]
    fn addresses() {
        for right in ["0.0.0.0", "255.255.255.255", "::", "::ffff:192.0.2.1", "2001:db8:0:0:0:0:0:1"] {
            assert!(ip(right).is_ok(), "{right}");
        }
        for wrong in ["", "1.2.3", "1.2.3.4:80", "[::1]", "fe80::1%eth0", "010.0.0.1", "1.2.3.4 ", "host"] {
            assert!(ip(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: i64, double: f64, units in -99_999_999_i128..=99_999_999, scale in 0_u8..=8) {
            prop_assert_eq!(int(&number.to_string()), Ok(number));
            let read = float(&double.to_string());
            prop_assert!(read.is_ok_and(|read| read.to_bits() == double.to_bits() || read.is_nan() && double.is_nan()));
            let divisor = 10_i128.pow(scale.into());
            let (sign, size) = (if units < 0 { "-" } else { "" }, units.abs());
            let written = match scale {
                0 => format!("{sign}{size}"),
                _ => format!("{sign}{}.{:0width$}", size / divisor, size % divisor, width = scale.into()),
            };
            prop_assert_eq!(decimal(&written, 8, scale), Ok(units));
        }

        #[test]
        fn short_numbers_are_the_nearest(text in "-?[0-9]{0,17}\\.?[0-9]{0,17}") {
            let expected: Option<f64> = text.parse().ok();
            prop_assert_eq!(float(&text).ok().map(f64::to_bits), expected.map(f64::to_bits), "{}", text);
        }

        #[test]
        fn nothing_panics(text in ".{0,40}", precision: u8, scale: u8) {
            let _ = (int::<i64>(&text), float(&text), float32(&text), boolean(&text), ip(&text));
            let _ = decimal(&text, precision, scale);
        }

        #[test]
        fn no_digits_panic(text in "[-+]?[0-9]{0,45}\\.?[0-9]{0,45}", precision: u8, scale: u8) {
            let value = decimal(&text, precision, scale);
            prop_assert!(value.is_err() || precision > 38 || value.is_ok_and(|v| v.abs() < 10_i128.pow(precision.into())));
        }
    }
}
