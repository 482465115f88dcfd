//! The table in BENCHMARKS.md: the lines between two marks are replaced, the rest is written by hand.

use std::fs;

use crate::shell;
use crate::trouble::{Doing, Result, Trouble};

/// The lines before and after a table.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    begin: &'static str,
    end: &'static str,
}

/// Around the table of the works.
pub(super) const WORKS: Marks = Marks {
    begin: "<!-- the last run: written by `cargo xtask bench --record` -->\n",
    end: "<!-- end of the last run -->\n",
};

/// Around the table of growth.
pub(super) const GROWTH: Marks = Marks {
    begin: "<!-- growth: written by `cargo xtask bench growth --record` -->\n",
    end: "<!-- end of growth -->\n",
};

/// Puts `table` between the marks of BENCHMARKS.md.
pub(super) fn write(marks: Marks, table: &str) -> Result<()> {
    let path = shell::repository().join("BENCHMARKS.md");
    let text = fs::read_to_string(&path).doing(|| format!("read `{}`", path.display()))?;
    let Some(text) = placed(&text, marks, table) else {
        return Err(Trouble::Said(format!(
            "`{}` has no place for the table: the marks `{}` and `{}`, each on a line",
            path.display(),
            marks.begin.trim(),
            marks.end.trim()
        )));
    };
    fs::write(&path, text).doing(|| format!("write `{}`", path.display()))
}

fn placed(text: &str, marks: Marks, table: &str) -> Option<String> {
    let Marks { begin, end } = marks;
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}{table}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let Marks { begin, end } = WORKS;
        let text = format!("# B\n{begin}old\n{end}rest\n");
        assert_eq!(placed(&text, WORKS, "new\n").unwrap(), format!("# B\n{begin}new\n{end}rest\n"));
        assert_eq!(placed(&text, GROWTH, "new\n"), None);
    }
}
