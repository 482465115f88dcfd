//! Writes the page `docs/rules.md` to standard output.
#![allow(clippy::disallowed_macros, reason = "a chore of the developer's, not part of the program")]

fn main() {
    print!("{}", advice::reference());
}
