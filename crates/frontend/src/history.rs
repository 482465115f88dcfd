//! The texts of history entries, as BuildKit writes them; tools read them.

use oci::{Healthcheck, History};

const COMMENT: &str = "buildkit.dockerfile.v0";

/// An entry; `layer` says whether the instruction made one.
pub(crate) fn entry(created_by: String, layer: bool) -> History {
    History {
        created_by: Some(created_by),
        comment: Some(COMMENT.to_owned()),
        empty_layer: !layer,
        ..History::default()
    }
}

/// Strings as Go prints a slice with `%q`: `["node" "server.js"]`.
pub(crate) fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    format!("[{}]", words.join(" "))
}

/// Strings as Go prints a slice with `%v`: `[/bin/bash -c]`.
pub(crate) fn listed(words: &[String]) -> String {
    format!("[{}]", words.join(" "))
}

fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A duration as Go prints it: `30s`, `1m30s`, `500ms`, `0s`.
fn duration(nanoseconds: u64) -> String {
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    if seconds == 0 {
        let (unit, name) = match rest {
            1_000_000.. => (1_000_000, "ms"),
            1_000.. => (1_000, "µs"),
            _ => (1, "ns"),
        };
        let fraction = format!("{:.9}", rest as f64 / unit as f64);
        return format!("{}{name}", fraction.trim_end_matches('0').trim_end_matches('.'));
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction =
        if rest == 0 { String::new() } else { format!(".{rest:09}").trim_end_matches('0').to_owned() };
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

/// A health check as Go prints the struct with `%+v`.
pub(crate) fn health(check: &Healthcheck) -> String {
    format!(
        "{{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        listed(&check.test),
        duration(check.interval),
        duration(check.timeout),
        duration(check.start_period),
        duration(check.start_interval),
        check.retries
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_prints_so() {
        assert_eq!(
            quoted(&["/bin/sh".into(), "-c".into(), "echo \"a\\b\"\n".into()]),
            r#"["/bin/sh" "-c" "echo \"a\\b\"\n"]"#
        );
        for (nanoseconds, text) in [
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (500_000_000, "500ms"),
            (1_500_000_000, "1.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (0, "0s"),
        ] {
            assert_eq!(duration(nanoseconds), text);
        }
    }
}
