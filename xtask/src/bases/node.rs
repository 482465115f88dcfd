//! Node.js with npm and yarn, laid out as in the official image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use super::debian::Debian;
use super::layout::{Image, Layer, Layout};
use super::tree::Tree;
use crate::shell;
use crate::trouble::{Doing, Result, Trouble};

/// Everything of Node that needs no Debian.
pub(crate) struct Parts {
    /// `/usr/local/bin/node` and what comes with it.
    tools: Layer,
    /// `/nodejs/bin/node` alone, for distroless.
    pub(crate) alone: Layer,
    version: String,
    yarn: String,
}

impl Parts {
    /// Fetches the packages and writes the two large layers.
    pub(crate) fn make(making: &Path, layout: &Layout) -> Result<Self> {
        let begun = Instant::now();
        super::say("Node: fetching node 22, npm 10 and yarn 1 (npm pack)");
        let folder = making.join("npm");
        fs::create_dir_all(&folder).doing(|| format!("make the folder `{}`", folder.display()))?;
        let node = format!("node-linux-{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" });
        shell::output(
            Command::new("npm")
                .args(["pack", "--silent", &format!("{node}@22"), "npm@10", "yarn@1"])
                .current_dir(&folder),
        )?;
        let (version, node) = unpack(&folder, &node, |path| (path == "bin/node").then(|| path.to_owned()))?;
        let (_, npm) = unpack(&folder, "npm", |path| {
            let of_use = !["man/", "docs/"].iter().any(|start| path.starts_with(start));
            of_use.then(|| format!("usr/local/lib/node_modules/npm/{path}"))
        })?;
        let (yarn_version, yarn) = unpack(&folder, "yarn", |path| Some(format!("opt/yarn/{path}")))?;

        let binary = node.bytes("bin/node")?;
        let mut tools = npm;
        tools.merge(yarn);
        tools.file("usr/local/bin/node", 0o755, binary);
        tools.symlink("usr/local/bin/nodejs", "node");
        tools.symlink("usr/local/bin/npm", "../lib/node_modules/npm/bin/npm-cli.js");
        tools.symlink("usr/local/bin/npx", "../lib/node_modules/npm/bin/npx-cli.js");
        tools.symlink("usr/local/bin/yarn", "/opt/yarn/bin/yarn");
        tools.symlink("usr/local/bin/yarnpkg", "/opt/yarn/bin/yarnpkg");
        // A build that uses only local packages must ask no server, not even for advice.
        tools.file("usr/local/etc/npmrc", 0o644, *b"audit=false\nfund=false\nupdate-notifier=false\n");
        tools.complete(None);
        let mut alone = Tree::default();
        alone.file("nodejs/bin/node", 0o755, binary);
        alone.complete(None);
        let parts = Self {
            tools: layout.layer(&tools, &format!("node {version}, npm 10, yarn {yarn_version}"))?,
            alone: layout.layer(&alone, &format!("node {version}"))?,
            version,
            yarn: yarn_version,
        };
        super::say(&format!("Node: {} in {:.0} s", parts.version, begun.elapsed().as_secs_f64()));
        Ok(parts)
    }

    /// The image: Debian, Node, and the users and small scripts on top.
    pub(crate) fn image(&self, layout: &Layout, debian: &Debian, bottom: &Layer) -> Result<Vec<Value>> {
        let mut own = Tree::default();
        own.file("usr/local/bin/docker-entrypoint.sh", 0o755, include_str!("files/node-entrypoint.sh"));
        own.file("usr/local/sbin/addgroup", 0o755, include_str!("files/addgroup.sh"));
        own.file("usr/local/sbin/adduser", 0o755, include_str!("files/adduser.sh"));
        let passwd = debian.root.text("etc/passwd")? + "node:x:1000:1000::/home/node:/bin/sh\n";
        // Alpine's number, which is what `adduser -S` gives where this image stands in.
        let group =
            debian.root.text("etc/group")?.replace("nogroup:x:65534:", "nogroup:x:65533:") + "node:x:1000:\n";
        let shadow = debian.root.text("etc/shadow")? + "node:!:20089:0:99999:7:::\n";
        own.file("etc/passwd", 0o644, passwd);
        own.file("etc/group", 0o644, group);
        own.file("etc/shadow", 0o640, shadow).gid = 42;
        let home = own.folder("home/node", 0o755);
        (home.uid, home.gid) = (1000, 1000);
        own.complete(Some(&debian.root));
        let own = layout.layer(&own, "the user node, addgroup, adduser, docker-entrypoint.sh")?;
        layout.image(Image {
            names: &[
                "docker.io/library/node:22-alpine",
                "docker.io/library/node:22",
                "docker.io/library/node:latest",
                "docker.io/library/node:alpine",
                "docker.io/library/node:lts-alpine",
                "docker.io/library/node:14.4.0",
                "docker.io/library/node:14.4.0-alpine",
            ],
            layers: &[bottom, &self.tools, &own],
            config: json!({
                "Env": [super::PATH, format!("NODE_VERSION={}", self.version), format!("YARN_VERSION={}", self.yarn)],
                "Entrypoint": ["docker-entrypoint.sh"],
                "Cmd": ["node"],
            }),
            stands_in_for: "node:22-alpine",
        })
    }
}

/// Unpacks the package `name` out of `folder`; gives its version and its files, as `keep` names them.
fn unpack(folder: &Path, name: &str, keep: impl Fn(&str) -> Option<String>) -> Result<(String, Tree)> {
    let archive = find(folder, name)?;
    let file = fs::File::open(&archive).doing(|| format!("open `{}`", archive.display()))?;
    let mut tree = Tree::read(name, flate2::read::GzDecoder::new(file), |path| {
        // Everything in a package of npm is below one folder, mostly `package`.
        path.split_once('/').and_then(|(_, path)| keep(path))
    })?;
    tree.root_owned();
    let version = archive
        .file_stem()
        .and_then(|stem| stem.to_str())
        .and_then(|stem| stem.strip_prefix(name)?.strip_prefix('-'))
        .unwrap_or_default();
    Ok((version.to_owned(), tree))
}

fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let listing = fs::read_dir(folder).doing(|| format!("list `{}`", folder.display()))?;
    listing
        .filter_map(|file| Some(file.ok()?.path()))
        .find(|path| {
            let file = path.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
            let rest = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
            rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        })
        .ok_or_else(|| Trouble::Said(format!("npm fetched no package `{name}`")))
}
