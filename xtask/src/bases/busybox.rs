//! One static program with hundreds of names: the base of the tests that must be quick.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::debian::Debian;
use super::layout::{Image, Layout};
use super::tree::Tree;
use crate::shell;
use crate::trouble::{Doing, Result};

pub(crate) fn image(making: &Path, layout: &Layout, debian: &Debian) -> Result<Vec<Value>> {
    let package = debian.package("busybox-static")?;
    let binary = ["bin/busybox", "usr/bin/busybox"];
    let binary =
        package.bytes(binary.into_iter().find(|path| package.get(path).is_some()).unwrap_or(binary[0]))?;
    let mut own = Tree::default();
    own.file("bin/busybox", 0o755, binary);
    // Hard links, as in the official image.
    for applet in applets(making, binary)? {
        if applet != "busybox" {
            own.link(&format!("bin/{applet}"), "bin/busybox");
        }
    }
    own.symlink("usr/bin/env", "/bin/env");
    own.file(
        "etc/passwd",
        0o644,
        *b"root:x:0:0:root:/root:/bin/sh\n\
           daemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
           bin:x:2:2:bin:/bin:/bin/false\n\
           www-data:x:33:33:www-data:/var/www:/bin/false\n\
           nobody:x:65534:65534:nobody:/home:/bin/false\n",
    );
    own.file(
        "etc/group",
        0o644,
        *b"root:x:0:\ndaemon:x:1:\nbin:x:2:\nadm:x:4:root\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nnobody:x:65534:\n",
    );
    own.file("etc/shadow", 0o640, *b"root:*:20089:0:99999:7:::\n");
    own.folder("tmp", 0o1777);
    own.folder("root", 0o700);
    for folder in ["dev", "home", "proc", "sys", "usr/sbin", "var/tmp", "var/www"] {
        own.folder(folder, if folder == "var/tmp" { 0o1777 } else { 0o755 });
    }
    let home = own.folder("home", 0o755);
    (home.uid, home.gid) = (65534, 65534);
    own.complete(None);
    let own = layout.layer(&own, "busybox-static of Debian")?;
    layout.image(Image {
        names: &["docker.io/library/busybox:latest", "docker.io/library/alpine:latest"],
        layers: &[&own],
        config: json!({ "Env": [super::PATH], "Cmd": ["sh"] }),
        stands_in_for: "busybox:latest",
    })
}

/// Asks the program itself, from a copy, which names it answers to.
fn applets(making: &Path, binary: &[u8]) -> Result<Vec<String>> {
    use std::os::unix::fs::PermissionsExt as _;
    // It goes by the name that it is called by.
    let copy = making.join("busybox");
    std::fs::write(&copy, binary).doing(|| format!("write `{}`", copy.display()))?;
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o700))
        .doing(|| format!("make `{}` a program", copy.display()))?;
    let listed = shell::output(Command::new(&copy).arg("--list"))?;
    Ok(String::from_utf8_lossy(&listed).split_whitespace().map(str::to_owned).collect())
}
