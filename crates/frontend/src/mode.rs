//! `--chmod` of here-documents, whose mode is known before there is a file: an octal number, or clauses as chmod(1)
//! has them (`u+x,go=r`) over 0644.

/// What a new file has.
const FILE: u32 = 0o644;

/// The mode of a new file under `--chmod`; nothing where the text is no mode.
pub(crate) fn of_file(text: &str) -> Option<u32> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    }
    let mut mode = FILE;
    for clause in text.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let who = clause[..at].chars().try_fold(0, |who, letter| Some(who | class(letter)?))?;
        let who = if who == 0 { 0o7777 } else { who };
        let mut rest = &clause[at..];
        while let Some(operator) = rest.chars().next() {
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |end| end + 1);
            let bits = bits(&rest[1..end], mode)? & who;
            mode = match operator {
                '+' => mode | bits,
                '-' => mode & !bits,
                _ => mode & !(who & 0o777) | bits,
            };
            rest = &rest[end..];
        }
    }
    Some(mode)
}

/// The bits that a letter before the operator speaks of.
fn class(letter: char) -> Option<u32> {
    Some(match letter {
        'u' => 0o4700,
        'g' => 0o2070,
        'o' => 0o1007,
        'a' => 0o7777,
        _ => return None,
    })
}

/// The bits that the letters after an operator mean, for all classes.
fn bits(letters: &str, mode: u32) -> Option<u32> {
    match letters {
        "u" => return Some((mode >> 6 & 7) * 0o111),
        "g" => return Some((mode >> 3 & 7) * 0o111),
        "o" => return Some((mode & 7) * 0o111),
        _ => {}
    }
    letters.chars().try_fold(0, |bits, letter| {
        Some(
            bits | match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if mode & 0o111 != 0 => 0o111,
                'X' => 0,
                's' => 0o6000,
                't' => 0o1000,
                _ => return None,
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_numbers_and_clauses() {
        for (text, mode) in [
            ("755", 0o755),
            ("04755", 0o4755),
            ("+x", 0o755),
            ("u+x", 0o744),
            ("a=r,u+w", 0o644),
            ("go=", 0o600),
            ("u=rwx,go=u-w", 0o755),
            ("a+X", 0o644),
            ("u+xs", 0o4744),
        ] {
            assert_eq!(of_file(text).map(|mode| format!("{mode:o}")), Some(format!("{mode:o}")), "{text}");
        }
        for text in ["", "8", "17777", "x", "z+x", "u+q", "+-é"] {
            assert_eq!(of_file(text), None, "{text}");
        }
    }
}
