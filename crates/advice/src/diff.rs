//! What a fix changes, as a unified diff.

use similar::TextDiff;

/// A unified diff with three lines of context, empty where nothing changed. `name` is what its two headers call the
/// file.
pub fn unified(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let diff = TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(3).header(&format!("a/{name}"), &format!("b/{name}")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff() {
        insta::assert_snapshot!(unified("Dockerfile", "FROM a\nADD b c\nRUN d\n", "FROM a\nCOPY b c\nRUN d\n"), @r"
        --- a/Dockerfile
        +++ b/Dockerfile
        @@ -1,3 +1,3 @@
         FROM a
        -ADD b c
        +COPY b c
         RUN d
        ");
        assert_eq!(unified("Dockerfile", "x", "x"), "");
    }
}
