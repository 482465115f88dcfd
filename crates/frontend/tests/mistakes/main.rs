//! Mistakes that people make, and the whole message that each of them gets from a build.
#![allow(clippy::unwrap_used, reason = "tests")]

mod flags;
mod stages;
mod words;

use dockerfile::diagnostic::render;
use frontend::{BaseImage, BoxError, MetaResolver, Options};
use oci::{Digest, ImageConfig, Platform};

/// One image, `alpine`; a registry would have no other.
struct Alpine;

impl MetaResolver for Alpine {
    fn image(&self, reference: &str, _platform: &Platform) -> Result<BaseImage, BoxError> {
        reference.parse::<oci::Reference>()?;
        if reference != "alpine" {
            return Err(format!("the registry does not have `{reference}`").into());
        }
        let config = r#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":[]}}"#;
        Ok(BaseImage {
            reference: reference.to_owned(),
            resolved: None,
            manifest: None,
            id: Digest::of(config.as_bytes()),
            config: ImageConfig::parse(config.as_bytes())?,
        })
    }
}

/// What a build of a text says that cannot be built.
fn told(text: &str) -> String {
    let dockerfile = match dockerfile::parse(text, "Dockerfile") {
        Ok(dockerfile) => dockerfile,
        Err(failure) => return render(&failure.dockerfile.source, &failure.diagnostics(), false),
    };
    let platform: Platform = "linux/amd64".parse().unwrap();
    let options = Options { platform: platform.clone(), build_platform: platform, ..Options::default() };
    match frontend::lower(&dockerfile, &options, &Alpine) {
        Err(error) => render(&dockerfile.source, &error.diagnostics(), false),
        Ok(lowered) => format!("no error\n{}", render(&dockerfile.source, &lowered.warnings, false)),
    }
}

/// What a check of a text says, which resolves no image.
fn checked(text: &str) -> String {
    let dockerfile = dockerfile::parse(text, "Dockerfile").unwrap();
    let checked = frontend::check(&dockerfile, &Options::default(), &Alpine);
    let all: Vec<_> = checked.findings.into_iter().chain(checked.warnings).chain(checked.errors).collect();
    render(&dockerfile.source, &all, false)
}
