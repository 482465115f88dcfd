//! The texts of the findings that the frontend makes. They are BuildKit's, because tools read them.

/// UndefinedArgInFrom: FROM uses a variable that no ARG above it declares; `nearest` is one that is declared.
pub fn undefined_arg_in_from(name: &str, nearest: Option<&str>) -> String {
    let suggestion = nearest.map(|nearest| format!(" (did you mean {nearest}?)")).unwrap_or_default();
    format!("FROM argument '{name}' is not declared{suggestion}")
}

/// UndefinedVar: an instruction uses a variable that is not set; `nearest` is one that is.
pub fn undefined_var(name: &str, nearest: Option<&str>) -> String {
    let suggestion = nearest.map(|nearest| format!(" (did you mean ${nearest}?)")).unwrap_or_default();
    format!("Usage of undefined variable '${name}'{suggestion}")
}

/// WorkdirRelativePath, of a path that a variable gave.
pub fn workdir_relative_path(path: &str) -> String {
    format!("Relative workdir {path:?} can have unexpected results if the base image changes")
}

/// InvalidBaseImagePlatform: the base is there for another platform only.
pub fn invalid_base_image_platform(image: &str, expected: &str, actual: &str) -> String {
    format!("Base image {image} was pulled with platform {actual:?}, expected {expected:?} for current build")
}

/// RedundantTargetPlatform: FROM is told to take TARGETPLATFORM; `written` is its `--platform`.
pub fn redundant_target_platform(written: &str) -> String {
    format!("Setting platform to predefined {written} in FROM is redundant as this is the default behavior")
}

/// InvalidDefaultArgInFrom: with the defaults of its variables FROM names no valid image; `written` is the base.
pub fn invalid_default_arg_in_from(written: &str) -> String {
    format!("Default value for ARG {written} results in empty or invalid base image name")
}

/// CopyIgnoredFile: a source of COPY (ADD: `is_add`) is in the ignore file.
pub fn copy_ignored_file(is_add: bool, path: &str) -> String {
    let instruction = if is_add { "Add" } else { "Copy" };
    format!("Attempting to {instruction} file {path:?} that is excluded by .dockerignore")
}

/// ExposeProtoCasing, of a word that a variable gave.
pub fn expose_proto_casing(word: &str) -> String {
    format!("Defined protocol '{word}' in EXPOSE instruction should be lowercase")
}

/// ExposeInvalidFormat, of a word that a variable gave.
pub fn expose_invalid_format(word: &str) -> String {
    format!("EXPOSE instruction should not define an IP address or host-port mapping, found '{word}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_optional() {
        assert_eq!(
            undefined_var("FO", Some("FOO")),
            "Usage of undefined variable '$FO' (did you mean $FOO?)"
        );
        assert_eq!(undefined_arg_in_from("X", None), "FROM argument 'X' is not declared");
    }
}
