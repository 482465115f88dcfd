//! Signal names for STOPSIGNAL, as Docker reads them on Linux.

const NAMES: [(&str, u8); 35] = [
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", 34),
];
const RT_MIN: u8 = 34;
const RT_MAX: u8 = 64;

/// The number of a signal: a number but 0, or a name in any case with or without `SIG`, `RTMIN+n` and `RTMAX-n`
/// among them. `None` for anything else.
pub fn parse(signal: &str) -> Option<i32> {
    if let Ok(number) = signal.parse::<i32>() {
        return (number != 0).then_some(number);
    }
    let upper = signal.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(i32::from(*number));
    }
    if name == "RTMAX" {
        return Some(i32::from(RT_MAX));
    }
    let span = RT_MAX - RT_MIN;
    let steps = |text: &str| text.parse::<u8>().ok().filter(|steps| (1..span).contains(steps));
    if let Some(steps) = name.strip_prefix("RTMIN+").and_then(steps) {
        return Some(i32::from(RT_MIN + steps));
    }
    name.strip_prefix("RTMAX-").and_then(steps).map(|steps| i32::from(RT_MAX - steps))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_and_numbers() {
        assert_eq!(parse("SIGTERM"), Some(15));
        assert_eq!(parse("quit"), Some(3));
        assert_eq!(parse("9"), Some(9));
        assert_eq!(parse("SIGRTMIN+3"), Some(37));
        assert_eq!(parse("RTMAX-14"), Some(50));
        for signal in ["", "0", "SIGX", "RTMIN+99", "SIG"] {
            assert_eq!(parse(signal), None, "{signal}");
        }
    }
}
