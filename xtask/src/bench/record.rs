//! The table in BENCHMARKS.md: the lines between two marks are replaced, the rest is written by hand.

use std::fs;

use crate::shell;
use crate::trouble::{Doing, Result, Trouble};

const BEGIN: &str = "<!-- the last run: written by `cargo xtask bench --record` -->\n";
const END: &str = "<!-- end of the last run -->\n";

/// Puts `table` between the marks of BENCHMARKS.md.
pub(super) fn write(table: &str) -> Result<()> {
    let path = shell::repository().join("BENCHMARKS.md");
    let text = fs::read_to_string(&path).doing(|| format!("read `{}`", path.display()))?;
    let Some(text) = placed(&text, table) else {
        return Err(Trouble::Said(format!(
            "`{}` has no place for the table: the marks `{}` and `{}`, each on a line",
            path.display(),
            BEGIN.trim(),
            END.trim()
        )));
    };
    fs::write(&path, text).doing(|| format!("write `{}`", path.display()))
}

fn placed(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let text = format!("# B\n{BEGIN}old\n{END}rest\n");
        assert_eq!(placed(&text, "new\n").unwrap(), format!("# B\n{BEGIN}new\n{END}rest\n"));
        assert_eq!(placed("# B\n", "new\n"), None);
    }
}
