//! `--chmod`: an octal mode, or symbolic clauses as chmod(1) has them (`u+x,go=rX`).

use crate::{Error, Result};

/// A `--chmod` that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chmod {
    Octal(u32),
    Clauses(Vec<Clause>),
}

/// One clause: who, how, what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    who: u32,
    operator: u8,
    permissions: Vec<u8>,
}

const LETTERS: &[u8] = b"rwxXst";

impl Chmod {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |reason| Error::Mode { mode: text.to_owned(), reason };
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).map_err(|_| wrong("its digits are octal"))?;
            return if mode <= 0o7777 { Ok(Self::Octal(mode)) } else { Err(wrong("the largest is 7777")) };
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            let bytes = part.as_bytes();
            let at = bytes
                .iter()
                .position(|b| b"+-=".contains(b))
                .ok_or_else(|| wrong("a clause has `+`, `-` or `=`"))?;
            let mut who = 0;
            for letter in &bytes[..at] {
                who |= match letter {
                    b'u' => 0o4700,
                    b'g' => 0o2070,
                    b'o' => 0o1007,
                    b'a' => 0o7777,
                    _ => return Err(wrong("those meant are `u`, `g`, `o` and `a`")),
                };
            }
            let who = if who == 0 { 0o7777 } else { who };
            let mut rest = &bytes[at..];
            while let Some((operator, tail)) = rest.split_first() {
                let end = tail.iter().position(|b| b"+-=".contains(b)).unwrap_or(tail.len());
                let permissions = tail[..end].to_vec();
                let copied = permissions.len() == 1 && b"ugo".contains(&permissions[0]);
                if !copied && permissions.iter().any(|b| !LETTERS.contains(b)) {
                    return Err(wrong("permissions are `r`, `w`, `x`, `X`, `s` and `t`"));
                }
                clauses.push(Clause { who, operator: *operator, permissions });
                rest = &tail[end..];
            }
        }
        Ok(Self::Clauses(clauses))
    }

    /// The mode that something with `mode` gets.
    pub(crate) fn apply(&self, mode: u32, directory: bool) -> u32 {
        let clauses = match self {
            Self::Octal(mode) => return *mode,
            Self::Clauses(clauses) => clauses,
        };
        let mut mode = mode;
        for clause in clauses {
            let mut bits = 0;
            for letter in &clause.permissions {
                bits |= match letter {
                    b'r' => 0o444,
                    b'w' => 0o222,
                    b'x' => 0o111,
                    b'X' if directory || mode & 0o111 != 0 => 0o111,
                    b's' => 0o6000,
                    b't' => 0o1000,
                    b'u' => (mode >> 6 & 7) * 0o111,
                    b'g' => (mode >> 3 & 7) * 0o111,
                    b'o' => (mode & 7) * 0o111,
                    _ => 0,
                };
            }
            let bits = bits & clause.who;
            match clause.operator {
                b'+' => mode |= bits,
                b'-' => mode &= !bits,
                _ => mode = mode & !(clause.who & 0o777) | bits,
            }
        }
        mode & 0o7777
    }

    /// What directories get that the copy makes on its way: the permission bits of an octal mode; clauses say
    /// nothing of them, as in BuildKit.
    pub(crate) fn parents(&self) -> u32 {
        match self {
            Self::Octal(mode) => mode & 0o777,
            Self::Clauses(_) => 0o755,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_and_symbolic_modes() {
        for (text, mode, directory, is) in [
            ("755", 0o644, false, 0o755),
            ("0600", 0o644, false, 0o600),
            ("u+x", 0o644, false, 0o744),
            ("a+rX", 0o600, false, 0o644),
            ("a+rX", 0o600, true, 0o755),
            ("go-rwx", 0o755, false, 0o700),
            ("u=rwx,g=rx,o=", 0o777, false, 0o750),
            ("g=u", 0o740, false, 0o770),
            ("+t", 0o755, true, 0o1755),
            ("u+s", 0o755, false, 0o4755),
        ] {
            assert_eq!(Chmod::parse(text).unwrap().apply(mode, directory), is, "{text} on {mode:o}");
        }
        for text in ["", "999", "17777", "rw", "u+q", "z+x"] {
            assert!(Chmod::parse(text).is_err(), "{text}");
        }
    }
}
