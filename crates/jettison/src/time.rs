//! Points in time as people write them: "3 minutes ago".

pub(crate) use oci::timestamp::{parse, rfc3339};
use std::time::{Duration, SystemTime};

/// How long ago, as Docker writes it: `3 minutes ago`.
pub(crate) fn ago(time: SystemTime) -> String {
    format!("{} ago", span(SystemTime::now().duration_since(time).unwrap_or_default()))
}

/// A span as Docker writes it: `About a minute`, `3 hours`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{} minutes", seconds / 60),
        3600..7200 => "About an hour".to_owned(),
        7200..172_800 => format!("{} hours", seconds / 3600),
        172_800..1_209_600 => format!("{} days", seconds / 86_400),
        1_209_600..5_184_000 => format!("{} weeks", seconds / 604_800),
        5_184_000..63_072_000 => format!("{} months", seconds / 2_592_000),
        _ => format!("{} years", seconds / 31_536_000),
    }
}
