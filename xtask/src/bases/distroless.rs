//! Node.js with the libraries it needs and nothing else: no shell, no package manager.

use serde_json::{Value, json};

use super::debian::Debian;
use super::layout::{Image, Layout};
use super::node::Parts;
use super::tree::{Node, Tree};
use crate::trouble::Result;

/// The number of the user and group `nonroot`.
const NONROOT: u64 = 65532;

/// Starts of the names of the shared libraries that the Node binary loads, and of those that the C
/// library loads by itself to look up names.
const LIBRARIES: &[&str] = &[
    "ld-linux",
    "libc.so",
    "libm.so",
    "libdl.so",
    "libpthread.so",
    "librt.so",
    "libresolv.so",
    "libnss_dns.so",
    "libnss_files.so",
    "libgcc_s.so",
    "libstdc++.so",
];

pub(crate) fn image(layout: &Layout, debian: &Debian, node: &Parts) -> Result<Vec<Value>> {
    let mut own = Tree::default();
    for (path, entry) in debian.root.iter() {
        let Some((folder, file)) = path.rsplit_once('/') else { continue };
        let in_library_folder = folder.starts_with("usr/lib/") && folder.ends_with("-linux-gnu");
        let loader = folder == "usr/lib64" || folder == "usr/lib";
        if !(in_library_folder || loader) || !LIBRARIES.iter().any(|start| file.starts_with(start)) {
            continue;
        }
        match &entry.node {
            Node::File(bytes) => {
                own.file(path, entry.mode, bytes.as_slice());
            }
            Node::Symlink(target) => own.symlink(path, target),
            _ => {}
        }
    }
    own.symlink("lib", "usr/lib");
    if debian.root.get("usr/lib64").is_some() {
        own.symlink("lib64", "usr/lib64");
    }
    own.file(
        "etc/passwd",
        0o644,
        *b"root:x:0:0:root:/root:/sbin/nologin\n\
           nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n\
           nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
    );
    own.file("etc/group", 0o644, *b"root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n");
    own.file("etc/nsswitch.conf", 0o644, *b"hosts: files dns\n");
    own.file("etc/os-release", 0o644, debian.root.bytes("usr/lib/os-release")?);
    own.file("etc/ssl/certs/ca-certificates.crt", 0o644, debian.certificates()?);
    own.folder("tmp", 0o1777);
    own.folder("root", 0o700);
    own.folder("home", 0o755);
    let home = own.folder("home/nonroot", 0o700);
    (home.uid, home.gid) = (NONROOT, NONROOT);
    own.complete(None);
    let own = layout.layer(&own, "the libraries that node needs, users, certificates")?;
    layout.image(Image {
        names: &["gcr.io/distroless/nodejs22-debian12:latest"],
        layers: &[&own, &node.alone],
        config: json!({
            "User": "0",
            "Env": [super::PATH, "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
            "Entrypoint": ["/nodejs/bin/node"],
            "WorkingDir": "/",
        }),
        stands_in_for: "gcr.io/distroless/nodejs22-debian12",
    })
}
