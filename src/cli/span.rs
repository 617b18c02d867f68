//! Spans of time as people write and read them.

use std::time::Duration;

/// Reads `30s`, `10m`, `2h` or `1d`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let accepted = || "accepted is a number with s, m, h or d, such as 90s or 2h, from 1s to 365d".to_owned();
    let unit_at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(accepted)?;
    let (number, unit) = text.split_at(unit_at);
    let secs = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(accepted()),
    };
    let number: u64 = number.parse().map_err(|_| accepted())?;
    let total = number.checked_mul(secs).filter(|total| (1..=365 * 86_400).contains(total));
    total.map(Duration::from_secs).ok_or_else(accepted)
}

/// A span for people, in its largest unit.
pub(super) fn of(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// As [`of`], in milliseconds.
pub(super) fn of_ms(ms: u64) -> String {
    of(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_in_their_largest_unit() {
        let cases =
            [(0, "0 s"), (119_999, "119 s"), (120_000, "2 min"), (7_200_000, "2 h"), (172_800_000, "2 d")];
        for (ms, shown) in cases {
            assert_eq!(of_ms(ms), shown);
        }
    }

    #[test]
    fn spans_are_read_with_their_unit() {
        for (text, secs) in [("1s", 1), ("10m", 600), ("2h", 7_200), ("365d", 31_536_000)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(secs)));
        }
        for text in ["", "m", "10", "0s", "-1s", "1.5h", "366d", "10 m", "1é", "99999999999999999999d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
