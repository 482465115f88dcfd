//! What the rules of advice are told besides the text: the top of the context, and images that the store knows.

use super::super::context::Context;
use super::images::Images;
use advice::{Base, Facts};
use dockerfile::ignore::Patterns;
use dockerfile::{Dockerfile, lint};
use frontend::MetaResolver;
use source::Root;
use std::path::Path;

/// More names than any folder that somebody works in has at its top; such a folder is not looked into.
const MOST_NAMES: usize = 1 << 16;

/// Files of more bytes say nothing.
const LARGEST: u64 = 1 << 20;

/// Gathers them. Whatever cannot be read is not known, and no error.
pub(super) fn facts(
    dockerfile: &Dockerfile,
    options: &frontend::Options,
    context: &Context,
    images: &Images,
) -> Facts {
    let folder = context.folder();
    let mut facts = Facts {
        target: options.target.clone(),
        build_args: options.build_args.clone(),
        context: folder.and_then(|folder| looked_into(folder, images.ignored())),
        ..Facts::default()
    };
    for name in advice::base_names(dockerfile, &facts) {
        if let Some(image) = images.config(&name, &options.platform) {
            let config = image.config;
            let base = Base { environment: config.env, directory: config.working_dir, user: config.user };
            facts.bases.insert(name, base);
        }
    }
    facts
}

fn looked_into(folder: &Path, ignore: Option<&Patterns>) -> Option<advice::Context> {
    let mut context = advice::Context { ignore: ignore.cloned(), ..advice::Context::default() };
    for entry in std::fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        context.names.insert(entry.file_name().to_string_lossy().into_owned(), is_folder);
        if context.names.len() > MOST_NAMES {
            return None;
        }
    }
    let root = Root::open(folder).ok()?;
    for name in advice::FILES.into_iter().filter(|name| context.names.contains_key(*name)) {
        if let Ok(Some(bytes)) = root.read(name.as_bytes(), LARGEST)
            && let Ok(text) = String::from_utf8(bytes)
        {
            context.texts.insert(name.to_owned(), text);
        }
    }
    Some(context)
}

/// Which rules count: what the build argument says, else what the file says. What cannot be read is told by the
/// frontend, and here skips nothing.
pub(super) fn config(dockerfile: &Dockerfile, options: &frontend::Options) -> lint::Config {
    let given = options.build_args.iter().rev().find(|(name, _)| name == "BUILDKIT_DOCKERFILE_CHECK");
    let config = match given {
        Some((_, text)) => lint::Config::parse(text),
        None => lint::Config::of(dockerfile),
    };
    config.unwrap_or_default()
}
