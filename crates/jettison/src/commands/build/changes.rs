//! `--change INSTRUCTION` of `import`: what instructions of a Dockerfile do to the configuration of an image that was
//! not built.

use super::failure;
use crate::error::{CommandError, Outcome};
use frontend::{BaseImage, BoxError, MetaResolver};
use oci::{ImageConfig, Platform};

/// The instructions that change nothing but the configuration, as Docker has them.
const KNOWN: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Instructions that name no image.
struct NoImages;

impl MetaResolver for NoImages {
    fn image(&self, reference: &str, _platform: &Platform) -> Result<BaseImage, BoxError> {
        Err(format!("`{reference}` is named where nothing is built").into())
    }
}

/// The configuration of an image for a platform as the instructions have it, without layers and history.
pub(crate) fn config(changes: &[String], platform: &Platform) -> Outcome<ImageConfig> {
    for change in changes {
        let word = change.split_whitespace().next().unwrap_or_default();
        if !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            return Err(CommandError::usage(format!("--change: `{change}` is none of {}", KNOWN.join(", "))));
        }
    }
    let text = format!("FROM scratch\n{}\n", changes.join("\n"));
    let parsed = dockerfile::parse(text.as_bytes(), "--change")
        .map_err(|failure| failure::diagnostics(&failure.dockerfile.source, &failure.diagnostics()))?;
    let options = frontend::Options {
        platform: platform.clone(),
        build_platform: platform.clone(),
        ..frontend::Options::default()
    };
    let lowered = frontend::lower(&parsed, &options, &NoImages)
        .map_err(|error| failure::frontend(&parsed.source, &error))?;
    let mut config = lowered.config;
    config.history.clear();
    // What a build gives every image, and Docker none that is imported.
    let sets = |word: &str, name: &str| {
        changes.iter().any(|change| {
            let mut words = change.split([' ', '\t', '=']).filter(|part| !part.is_empty());
            words.next().is_some_and(|first| first.eq_ignore_ascii_case(word))
                && words.any(|part| name.is_empty() || part == name)
        })
    };
    if !sets("ENV", "PATH") {
        config.config.env.retain(|entry| !entry.starts_with("PATH="));
    }
    if !sets("WORKDIR", "") {
        config.config.working_dir.clear();
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(changes: &[&str]) -> Outcome<ImageConfig> {
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        config(&changes, &Platform::host())
    }

    #[test]
    fn nothing_is_set_that_nobody_asked_for() {
        let plain = of(&[]).unwrap();
        assert_eq!(plain.config, oci::ContainerConfig::default());
        assert!(plain.history.is_empty());
        let platform = Platform::host();
        assert_eq!((plain.os, plain.architecture), (platform.os, platform.architecture));
    }

    #[test]
    fn instructions_set_their_part() {
        let config = of(&["cmd [\"a\"]", "ENV PATH=/x A=b", "WORKDIR /w", "LABEL k=v"]).unwrap().config;
        assert_eq!(config.cmd.unwrap(), ["a"]);
        assert_eq!(config.env, ["PATH=/x", "A=b"]);
        assert_eq!(config.working_dir, "/w");
        assert_eq!(config.labels["k"], "v");
    }

    #[test]
    fn what_would_build_is_refused() {
        for change in ["RUN true", "COPY a b", "FROM x", "", "SHELL [\"a\"]"] {
            assert!(of(&[change]).unwrap_err().message.starts_with("--change: "), "{change}");
        }
    }
}
