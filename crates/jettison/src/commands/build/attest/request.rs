//! What was asked for, in the words of BuildKit's frontend, and what version control says of where it was asked.

use crate::commands::build::BuildArgs;
use crate::commands::build::context::DockerfileText;
use crate::engine::git_options;
use crate::environment::Environment;
use attest::Request;
use frontend::{MainContext, NamedContext, Options};
use graph::{Network, Op};
use source::git::WorkTree;
use std::collections::BTreeMap;
use std::path::Path;

/// What was asked for.
pub(super) fn request(args: &BuildArgs, options: &Options, dockerfile: &DockerfileText) -> Request {
    let mut told = BTreeMap::new();
    let mut tell = |key: &str, value: String| {
        told.insert(key.to_owned(), value);
    };
    for (name, value) in &options.build_args {
        tell(&format!("build-arg:{name}"), value.clone());
    }
    for (name, value) in &options.labels {
        tell(&format!("label:{name}"), value.clone());
    }
    if let Some(target) = &options.target {
        tell("target", target.clone());
    }
    if options.no_cache || !options.no_cache_filter.is_empty() {
        tell("no-cache", options.no_cache_filter.join(","));
    }
    if !options.extra_hosts.is_empty() {
        let hosts: Vec<String> =
            options.extra_hosts.iter().map(|(host, ip)| format!("{host}={ip}")).collect();
        tell("add-hosts", hosts.join(","));
    }
    match options.network {
        Network::Default => {}
        Network::None => tell("force-network-mode", "none".to_owned()),
        Network::Host => tell("force-network-mode", "host".to_owned()),
    }
    if options.shm_size > 0 {
        tell("shm-size", options.shm_size.to_string());
    }
    if !args.ulimit.is_empty() {
        tell("ulimit", args.ulimit.join(","));
    }
    for (name, context) in &options.contexts {
        let value = match context {
            NamedContext::Local => format!("local:{name}"),
            // Of a path on this machine nothing is told.
            NamedContext::Image(image) if image.starts_with("oci-layout://") => {
                format!("oci-layout://{name}")
            }
            NamedContext::Image(image) => format!("docker-image://{image}"),
            NamedContext::Git(git) => git.remote.clone(),
            NamedContext::Http(http) => http.url.clone(),
        };
        tell(&format!("context:{name}"), value);
    }
    let context = match &options.context {
        MainContext::Local => None,
        MainContext::Git(git) => Some(Op::Git(git.clone())),
        MainContext::Archive(http) | MainContext::File(http) => Some(Op::Http(http.clone())),
    };
    let given = args.file.as_deref().filter(|file| *file != "-");
    let path = match given {
        // In a repository or an archive the whole path says which file it is.
        Some(file) if context.is_some() && !file.starts_with('/') => file.to_owned(),
        Some(file) => last(Path::new(file)),
        None => dockerfile.path().map(last).unwrap_or_default(),
    };
    let path = if path.is_empty() { "Dockerfile".to_owned() } else { path };
    Request { args: told, context, path }
}

fn last(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What version control says of the build context: `source`, `revision`, and where in it the folders are.
pub(super) fn vcs(
    args: &BuildArgs,
    folders: &BTreeMap<&str, &Path>,
    environment: &Environment,
) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let switch = |name: &str, default: bool| match environment.get(name) {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
        _ => default,
    };
    let context = Path::new(&args.context);
    if !switch("BUILDX_GIT_INFO", true) || !context.is_dir() {
        return facts;
    }
    let git = git_options(environment);
    let Some(tree) = WorkTree::of(context, &git) else { return facts };
    if let Some(mut revision) = tree.revision {
        if switch("BUILDX_GIT_CHECK_DIRTY", false) && WorkTree::is_dirty(context, &git) {
            revision.push_str("-dirty");
        }
        facts.insert("revision".to_owned(), revision);
    }
    facts.extend(tree.remote.map(|remote| ("source".to_owned(), remote)));
    for (name, folder) in folders {
        let inside = std::fs::canonicalize(folder).ok();
        if let Some(inside) = inside.as_deref().and_then(|folder| folder.strip_prefix(&tree.root).ok()) {
            let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
            facts.insert(format!("localdir:{name}"), inside.to_string_lossy().into_owned());
        }
    }
    facts
}
