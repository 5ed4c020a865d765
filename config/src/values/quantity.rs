//! Durations, sizes, moments.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::malformed;
use crate::Code;
use crate::decode::{Cx, Fault, Scalar};
use crate::secrets::shown;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Scalar for Duration {
    const NAME: &'static str = "Duration";
    const DOC: &'static str = "One to four whole numbers of at most five digits with the units `d` (24 h), `h`, `m`, `s`, `ms`, the \
        larger unit first: `1h30m`, `365d` (GEP-2257 plus `d`).";
    const UNIT: Option<&'static str> = Some("s");

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        parse_duration(text).ok_or_else(|| {
            malformed(
                text,
                cx,
                "a duration",
                "write whole numbers with units, the larger first: `1h30m`, `45s`, `500ms`, `365d`",
            )
        })
    }
}

/// A duration as manifests write it: `1h30m`, `365d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut millis, mut units) = (text, 0_u64, UNITS.iter());
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        parts += 1;
        if number.len() > 5 || parts > 4 {
            return None;
        }
        // Continuing the search where it stopped keeps the units descending and unique.
        let (_, scale) = units.find(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(*scale)?)?;
        rest = tail;
    }
    (parts > 0).then(|| Duration::from_millis(millis))
}

/// A duration as manifests write it. Parts smaller than a millisecond are dropped.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (unit, scale) in UNITS {
        if millis >= scale {
            out.push_str(&format!("{}{unit}", millis / scale));
            millis %= scale;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl Scalar for Size {
    const NAME: &'static str = "Size";
    const DOC: &'static str = "Bytes: a whole number, or one with `Ki`, `Mi` or `Gi` (powers of 1024): `512`, `256Ki`.";
    const NUMERIC: bool = true;

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        parse_size(text).map(Self).ok_or_else(|| {
            malformed(text, cx, "a size", "write whole bytes, or a whole number with `Ki`, `Mi` or `Gi`: `256Ki`")
        })
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let scales = [("Ki", 1_u64 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let (digits, scale) = scales
        .iter()
        .find_map(|(unit, scale)| text.strip_suffix(unit).map(|digits| (digits, *scale)))
        .unwrap_or((text, 1));
    let plain = digits.chars().all(|c| c.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if !plain {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(scale)
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("Gi", 30), ("Mi", 20), ("Ki", 10)] {
            if self.0 != 0 && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(pub u8);

impl Scalar for Percent {
    const NAME: &'static str = "Percent";
    const DOC: &'static str = "A whole number from 0 to 100, without a sign.";
    const NUMERIC: bool = true;

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let number = parse_size(text).and_then(|n| u8::try_from(n).ok()).filter(|n| *n <= 100);
        number
            .filter(|_| text.chars().all(|c| c.is_ascii_digit()))
            .map(Self)
            .ok_or_else(|| malformed(text, cx, "a percentage", "write a whole number from 0 to 100"))
    }
}

/// A moment, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Scalar for Time {
    const NAME: &'static str = "Time";
    const DOC: &'static str =
        "A moment of RFC 3339 with its offset: `2027-01-31T00:00:00Z`. Fractions of a second are dropped.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(|moment| Self(moment.unix_timestamp()))
            .map_err(|error| malformed(text, cx, "a moment", format!("write it as `2027-01-31T00:00:00Z` ({error})")))
    }
}

impl Time {
    /// A moment of RFC 3339 in a file beside the manifests, written as in one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(|moment| Self(moment.unix_timestamp()))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp(self.0).ok().and_then(|moment| moment.format(&Rfc3339).ok());
        f.write_str(text.as_deref().unwrap_or("a moment out of range"))
    }
}

/// Length of an RSA modulus, at least 2048.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RsaBits(pub u32);

impl Scalar for RsaBits {
    const NAME: &'static str = "RSA bits";
    const DOC: &'static str = "Length of an RSA key in bits, 2048 to 16384. Less is PV-032.";
    const NUMERIC: bool = true;

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        match parse_size(text).and_then(|bits| u32::try_from(bits).ok()) {
            Some(bits @ 2048..=16_384) => Ok(Self(bits)),
            Some(bits @ 0..2048) => {
                let message = format!("`{}` is {bits}, shorter than the 2048 that are not yet broken", cx.field());
                Err(Fault::coded(Code(32), message, "use 2048 or more"))
            }
            _ => Err(Fault::new(
                format!("`{}` is `{}`", cx.field(), shown(text)),
                "write a whole number from 2048 to 16384",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_has_one_to_four_descending_parts() {
        for (text, millis) in [
            ("0s", Some(0)),
            ("1h30m", Some(5_400_000)),
            ("365d", Some(31_536_000_000)),
            ("500ms", Some(500)),
            ("1d2h3m4s", Some(93_784_000)),
            ("1m1ms", Some(60_001)),
            ("99999h", Some(359_996_400_000)),
            ("", None),
            ("s", None),
            ("5", None),
            ("1.5h", None),
            ("-1s", None),
            ("1s1h", None),
            ("1s1s", None),
            ("1d2h3m4s5ms", None),
            ("100000s", None),
            ("1 h", None),
            ("1H", None),
            ("1y", None),
            ("٣s", None),
        ] {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn a_size_is_whole_and_fits() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("256Ki", Some(262_144)),
            ("100Mi", Some(104_857_600)),
            ("1Gi", Some(1 << 30)),
            ("", None),
            ("Ki", None),
            ("1KB", None),
            ("1k", None),
            ("1.5Mi", None),
            ("-1", None),
            ("010", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("18014398509481984Ki", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    proptest! {
        #[test]
        fn durations_round_trip(days in 0_u64..99_999, hours in 0_u64..24, minutes in 0_u64..60, seconds in 0_u64..60) {
            let duration = Duration::from_secs(((days * 24 + hours) * 60 + minutes) * 60 + seconds);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }

        #[test]
        fn sizes_round_trip(bytes: u64) {
            prop_assert_eq!(parse_size(&Size(bytes).to_string()), Some(bytes));
            let even = bytes & !0x3FF;
            prop_assert_eq!(parse_size(&Size(even).to_string()), Some(even));
        }

        #[test]
        fn parsers_of_quantities_never_panic(text in ".{0,24}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
