//! Dates that are part of a number.

/// Whether `text` begins with a day that exists, written year, month, day in two digits each.
pub(super) fn yymmdd(text: &[u8]) -> bool {
    parts(text).is_some_and(|[_, month, day]| is_day(month, day))
}

/// The same as day, month, year.
pub(super) fn ddmmyy(text: &[u8]) -> bool {
    parts(text).is_some_and(|[day, month, _]| is_day(month, day))
}

/// Three numbers of two digits.
pub(super) fn parts(text: &[u8]) -> Option<[u32; 3]> {
    let pair = |at: usize| match text.get(at..at + 2)? {
        [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => Some(u32::from(a - b'0') * 10 + u32::from(b - b'0')),
        _ => None,
    };
    Some([pair(0)?, pair(2)?, pair(4)?])
}

/// In some year.
pub(super) fn is_day(month: u32, day: u32) -> bool {
    let last = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return false,
    };
    (1..=last).contains(&day)
}
