//! Debian's nginx, configured as the official image is.

use serde_json::{Value, json};

use super::debian::Debian;
use super::layout::{Image, Layer, Layout};
use super::tree::{Node, Tree};
use crate::trouble::Result;

/// The number of the user and group `nginx` in the official image.
const NGINX: u64 = 101;

pub(crate) fn image(layout: &Layout, debian: &Debian, bottom: &Layer) -> Result<Vec<Value>> {
    let package = debian.package("nginx")?;
    let mut own = Tree::default();
    own.file("usr/sbin/nginx", 0o755, package.bytes("usr/sbin/nginx")?);
    own.file("etc/nginx/mime.types", 0o644, package.bytes("etc/nginx/mime.types")?);
    // OpenSSL is the one library that nginx needs and a minimal Debian lacks.
    for (path, entry) in debian.package("libssl3")?.iter() {
        match &entry.node {
            Node::File(bytes) if path.contains("/lib") && path.contains(".so") => {
                own.file(path, entry.mode, bytes.as_slice());
            }
            Node::Symlink(target) if path.contains(".so") => own.symlink(path, target),
            _ => {}
        }
    }
    own.file("etc/nginx/nginx.conf", 0o644, include_str!("files/nginx.conf"));
    own.file("etc/nginx/conf.d/default.conf", 0o644, include_str!("files/default.conf"));
    own.file("usr/share/nginx/html/index.html", 0o644, include_str!("files/index.html"));
    own.file(
        "usr/share/nginx/html/50x.html",
        0o644,
        *b"<!doctype html><title>error</title><p>Out of order.\n",
    );
    own.file("docker-entrypoint.sh", 0o755, include_str!("files/nginx-entrypoint.sh"));
    own.folder("docker-entrypoint.d", 0o755);
    own.symlink("var/log/nginx/access.log", "/dev/stdout");
    own.symlink("var/log/nginx/error.log", "/dev/stderr");
    for folder in ["var/lib/nginx", "var/cache/nginx"] {
        let folder = own.folder(folder, 0o755);
        (folder.uid, folder.gid) = (NGINX, NGINX);
    }
    let passwd = debian.root.text("etc/passwd")? + "nginx:x:101:101:nginx:/nonexistent:/bin/false\n";
    let group = debian.root.text("etc/group")? + "nginx:x:101:\n";
    own.file("etc/passwd", 0o644, passwd);
    own.file("etc/group", 0o644, group);
    own.complete(Some(&debian.root));
    let own = layout.layer(&own, "nginx of Debian, configured as the official image")?;
    layout.image(Image {
        names: &["docker.io/library/nginx:stable-alpine", "docker.io/library/nginx:latest"],
        layers: &[bottom, &own],
        config: json!({
            "ExposedPorts": { "80/tcp": {} },
            "Env": [super::PATH],
            "Entrypoint": ["/docker-entrypoint.sh"],
            "Cmd": ["nginx", "-g", "daemon off;"],
            "StopSignal": "SIGQUIT",
        }),
        stands_in_for: "nginx:stable-alpine",
    })
}
