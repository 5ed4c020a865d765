//! Numbers of JSON, compared exactly: a double would take `0.3` for a multiple of `0.1` or not as rounding falls.

use std::cmp::Ordering;

/// A number as it was written, whatever its length. `1`, `1.0` and `10e-1` are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// Digits behind `0.`, without zeros at either end; empty for zero.
    digits: Vec<u8>,
    /// Power of ten that `0.digits` is multiplied with. Stops at the ends of its range, which no double reaches.
    exponent: i64,
}

impl Decimal {
    /// Most digits of a divisor.
    pub const DIVISOR_DIGITS: usize = 15;

    /// Reads a number of RFC 8259 §6. Nothing for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction),
            None => (mantissa, ""),
        };
        let digits_only = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        if !digits_only(whole) || !digits_only(fraction) {
            return None;
        }
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = all.iter().take_while(|digit| **digit == b'0').count();
        let trailing = all.iter().rev().take_while(|digit| **digit == b'0').count();
        let digits = all.get(leading..all.len().saturating_sub(trailing)).unwrap_or_default().to_vec();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let shift = i64::try_from(whole.len()).ok()?.saturating_sub(i64::try_from(leading).ok()?);
        Some(Self { negative, digits, exponent: exponent.saturating_add(shift) })
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Greater than zero.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        !self.is_zero() && !self.negative
    }

    /// Whether there is nothing behind the point.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_zero() || i64::try_from(self.digits.len()).is_ok_and(|length| self.exponent >= length)
    }

    /// Significant digits.
    #[must_use]
    pub fn precision(&self) -> usize {
        self.digits.len()
    }

    /// Appends one spelling for all ways to write this number, which no other number has.
    pub fn spell(&self, out: &mut Vec<u8>) {
        out.push(if self.negative { b'-' } else { b'+' });
        out.extend_from_slice(&self.exponent.to_be_bytes());
        out.extend_from_slice(&self.digits);
        out.push(b';');
    }

    /// As the integer it is, where it fits.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        if self.is_zero() {
            return Some(0);
        }
        if !self.is_whole() || self.exponent > 19 {
            return None;
        }
        let zeros = usize::try_from(self.exponent).ok()?.checked_sub(self.digits.len())?;
        let magnitude = self
            .digits
            .iter()
            .copied()
            .chain(std::iter::repeat_n(b'0', zeros))
            .try_fold(0_i128, |sum, digit| sum.checked_mul(10)?.checked_add(i128::from(digit - b'0')))?;
        i64::try_from(if self.negative { -magnitude } else { magnitude }).ok()
    }

    /// Whether this is a whole number of times `divisor`, which is positive and has at most [`Self::DIVISOR_DIGITS`] digits.
    /// Linear in the digits.
    #[must_use]
    pub fn is_multiple_of(&self, divisor: &Self) -> bool {
        let length = |digits: &[u8]| i64::try_from(digits.len()).unwrap_or(i64::MAX);
        if self.is_zero() {
            return true;
        }
        if !divisor.is_positive() || divisor.digits.len() > Self::DIVISOR_DIGITS {
            return false;
        }
        let by = divisor.digits.iter().fold(0_u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        let own = self.exponent.saturating_sub(length(&self.digits));
        let steps = own.saturating_sub(divisor.exponent.saturating_sub(length(&divisor.digits)));
        // No zero is left at the end of the digits, so they do not divide by a power of ten.
        let Ok(steps) = u64::try_from(steps) else { return false };
        let rest = self.digits.iter().fold(0_u128, |rest, digit| (rest * 10 + u128::from(digit - b'0')) % by);
        (rest * power_of_ten(steps, by)).is_multiple_of(by)
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Ten to the `steps`, modulo `by`, by squaring. Both factors stay below 10^15, so products fit.
fn power_of_ten(mut steps: u64, by: u128) -> u128 {
    let (mut power, mut base) = (1 % by, 10 % by);
    while steps > 0 {
        if steps & 1 == 1 {
            power = power * base % by;
        }
        base = base * base % by;
        steps >>= 1;
    }
    power
}

/// The digits behind `e`. What is beyond any double stops at a value that is too.
fn read_exponent(text: &str) -> Option<i64> {
    const MOST: i64 = 1 << 60;
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits
        .bytes()
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
        .min(MOST);
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_equal_however_they_are_written() {
        for (one, other) in [("1", "1.0"), ("1", "10e-1"), ("0", "-0.00e9"), ("-1.50", "-15E-1"), ("1e3", "1000")] {
            assert_eq!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn only_numbers_of_json_are_read() {
        for text in ["", "-", "01", "1.", ".5", "+1", "1e", "1e+", "0x1", "1_0", "NaN", " 1", "1 ", "١"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn they_are_ordered_by_value() {
        let sorted = [
            "-1e400",
            "-10",
            "-9.99",
            "-1",
            "-1e-400",
            "0",
            "1e-99999999999999999999999",
            "0.1",
            "0.12",
            "1",
            "2",
            "10",
            "1e400",
        ];
        for pair in sorted.windows(2) {
            assert!(of(pair[0]) < of(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn multiples_are_exact() {
        for (value, divisor, want) in [
            ("0.3", "0.1", true),
            ("0.35", "0.1", false),
            ("19.99", "0.01", true),
            ("19.999", "0.01", false),
            ("1e308", "7", false),
            ("7e308", "7", true),
            ("0", "3", true),
            ("-9", "3", true),
            ("4.5", "1.5", true),
            ("10", "4", false),
            ("1e-400", "1", false),
            ("1", "1e-3", true),
            ("123456789012345678901234567890", "10", true),
        ] {
            assert_eq!(of(value).is_multiple_of(&of(divisor)), want, "{value} {divisor}");
        }
    }

    #[test]
    fn integers_are_told_and_fit() {
        for (text, whole, fits) in [
            ("1.0", true, Some(1)),
            ("1.5", false, None),
            ("12e1", true, Some(120)),
            ("9223372036854775807", true, Some(i64::MAX)),
            ("9223372036854775808", true, None),
            ("-9223372036854775808", true, Some(i64::MIN)),
            ("1e300", true, None),
        ] {
            assert_eq!((of(text).is_whole(), of(text).to_i64()), (whole, fits), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn they_compare_as_integers_do(a in -100_000_i64..100_000, b in -100_000_i64..100_000, m in 1_i64..1000) {
            let (x, y) = (of(&a.to_string()), of(&b.to_string()));
            proptest::prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            proptest::prop_assert_eq!(x.is_multiple_of(&of(&m.to_string())), a % m == 0);
            proptest::prop_assert_eq!(x.to_i64(), Some(a));
        }
    }
}
