//! As a plain user: with a range of subordinate ids, and with the one id there is.
//!
//! A user of a test's own is made without touching the machine: in a mount namespace of its own, files of the test lie
//! over `/etc/passwd`, `/etc/subuid` and `/etc/subgid`.

use crate::harness::{
    Context, Files, LIMIT, Out, busybox, http_get, new_key, own_with_busybox, program, put_ssh_add, run,
    short_folder,
};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A plain user with a home folder, a store in it and the program where they can reach it.
struct Plain {
    folder: TempDir,
    uid: u32,
}

impl Plain {
    /// A user for whom `/etc/subuid` and `/etc/subgid` say `count` ids; 0 is no line.
    fn new(uid: u32, count: u32) -> Self {
        // The workspace may be where only root may go.
        let folder = short_folder();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let ranges = if count == 0 { String::new() } else { format!("plain:{}:{count}\n", 200_000 + uid) };
        let passwd = format!(
            "root:x:0:0::/root:/bin/sh\nplain:x:{uid}:{uid}::{}/home:/bin/sh\n",
            folder.path().display()
        );
        for (name, text) in [("passwd", passwd.as_str()), ("subuid", &ranges), ("subgid", &ranges)] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        // By another process: a file that this one has open for writing may be so in a child of another test, too, and
        // then cannot be executed.
        let copied = Command::new("cp").arg(program()).arg(folder.path().join("jettison")).status().unwrap();
        assert!(copied.success());
        fs::copy(busybox(), folder.path().join("busybox.tar")).unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        std::os::unix::fs::chown(folder.path().join("home"), Some(uid), Some(uid)).unwrap();
        let plain = Self { folder, uid };
        plain.ok(&["load", "--quiet", "--input", &plain.at("busybox.tar")]);
        plain
    }

    fn at(&self, path: &str) -> String {
        self.folder.path().join(path).to_str().unwrap().to_owned()
    }

    /// A build context in the user's reach.
    fn context(&self, dockerfile: &str) -> String {
        let path: PathBuf = self.folder.path().join("context");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("Dockerfile"), dockerfile).unwrap();
        fs::write(path.join("f"), "of the context\n").unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        let binds = ["passwd", "subuid", "subgid"]
            .map(|name| format!("mount --bind {} /etc/{name}", self.at(name)))
            .join(" && ");
        let line = format!(
            "{binds} && exec setpriv --reuid={0} --regid={0} --clear-groups {1} \"$@\"",
            self.uid,
            self.at("jettison")
        );
        command.args(["--mount", "sh", "-c", &line, "sh"]).args(args).current_dir("/");
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.at("home"))
            .env("USER", "plain")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Out {
        run(self.command(args), LIMIT)
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> Out {
        self.run(args).ok()
    }

    fn files(&self, dockerfile: &str) -> Files {
        Files::read(
            &self
                .ok(&[
                    "build",
                    "--progress",
                    "plain",
                    "--output",
                    "type=tar,dest=-",
                    &self.context(dockerfile),
                ])
                .bytes,
        )
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        for id in self.run(&["ps", "--all", "--quiet"]).stdout.lines() {
            self.run(&["rm", "--force", "--volumes", id]);
        }
    }
}

/// What both kinds of user can do.
fn builds_and_runs(plain: &Plain) {
    let files = plain.files("FROM busybox AS builder\nCOPY f /f\nRUN id -u > /uid && cat /f > /g && mkdir /d && rm -r /home\nFROM busybox\nCOPY --from=builder /uid /g /\nCOPY --from=builder /d /d\n");
    assert_eq!(files.text("uid"), "0\n");
    assert_eq!(files.text("g"), "of the context\n");
    assert_eq!(files.owner("g"), (0, 0), "the user's own ids are not in the image");

    let context = plain.context("FROM busybox\nCOPY f /f\nRUN echo made > /made\nCMD [\"cat\", \"/made\"]\n");
    plain.ok(&["build", "--tag", "own", &context]);
    let again = plain.ok(&["build", "--progress", "plain", "--tag", "own", &context]);
    assert_eq!(again.stderr.matches("CACHED").count(), 2, "{}", again.stderr);
    assert_eq!(plain.ok(&["run", "--rm", "own"]).stdout, "made\n");
    assert_eq!(plain.run(&["run", "--rm", "own", "sh", "-c", "exit 7"]).code, Some(7));

    // Detached, with logs, exec, a published port and cp.
    let server =
        "mkdir -p /www && echo rootless > /www/index.html && echo ready && exec httpd -f -p 8080 -h /www";
    plain.ok(&["run", "-d", "--name", "server", "-p", "127.0.0.1::8080", "own", "sh", "-c", server]);
    let line = plain.ok(&["port", "server", "8080"]).stdout;
    let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(http_get(port, "/"), "rootless\n");
    assert_eq!(plain.ok(&["exec", "server", "cat", "/made"]).stdout, "made\n");
    assert_eq!(plain.ok(&["logs", "server"]).stdout, "ready\n");
    plain.ok(&["cp", "server:/made", &plain.at("home/copied")]);
    assert_eq!(fs::read_to_string(plain.at("home/copied")).unwrap(), "made\n");
    assert_eq!(fs::metadata(plain.at("home/copied")).unwrap().uid(), plain.uid);
    plain.ok(&["stop", "-t", "0", "server"]);
    plain.ok(&["rm", "server"]);

    // Everything lies in the user's home folder.
    assert!(fs::metadata(plain.at("home/.local/share/jettison/index.sqlite")).is_ok());
}

#[test]
fn with_subordinate_ids_everything_works() {
    let plain = Plain::new(54_401, 65_536);
    builds_and_runs(&plain);
    let files = plain.files(
        "FROM busybox\nRUN adduser -D app 2>/dev/null || echo 'app:x:1000:1000::/home/app:/bin/sh' >> /etc/passwd\nRUN mkdir /data && chown 12:34 /data && touch /data/f\nCOPY --chown=55:66 f /owned\nUSER 1000\nWORKDIR /work\nRUN id -u > mine\n",
    );
    assert_eq!(files.owner("data"), (12, 34));
    assert_eq!(files.owner("owned"), (55, 66));
    assert_eq!(files.owner("work/mine").0, 1000);
    assert_eq!(files.text("work/mine"), "1000\n");
    assert_eq!(plain.ok(&["run", "--rm", "--user", "12:34", "busybox", "id", "-u"]).text(), "12");
}

#[test]
fn with_a_single_id_what_can_be_done_is_and_the_rest_is_said() {
    let plain = Plain::new(54_402, 0);
    builds_and_runs(&plain);
    // One clear line.
    let out = plain.ok(&["build", "--progress", "plain", &plain.context("FROM busybox\nRUN true\n")]);
    let notes: Vec<&str> =
        out.stderr.lines().filter(|line| line.starts_with("note: ") && line.contains("one id")).collect();
    assert_eq!(notes.len(), 1, "{}", out.stderr);
    // Owners that a COPY gives live in the listing, and are right in what is exported.
    let files = plain.files("FROM busybox\nCOPY --chown=55:66 f /owned\n");
    assert_eq!(files.owner("owned"), (55, 66));
    // What cannot be done fails and says why.
    let failed =
        plain.run(&["build", "--progress", "plain", &plain.context("FROM busybox\nUSER 1000\nRUN id\n")]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
}

#[test]
fn keys_are_lent_to_steps() {
    for (uid, count) in [(54_406, 65_536), (54_407, 0)] {
        let plain = Plain::new(uid, count);
        // Where owners cannot be changed, the one user of steps is root.
        let user = if count == 0 { "" } else { "USER 1000\n" };
        let mount = if count == 0 { "type=ssh" } else { "type=ssh,uid=1000" };
        let text = format!("FROM busybox\nCOPY ssh /ssh\n{user}RUN --mount={mount} /ssh/add -L\n");
        let context = plain.context(&text);
        let tools = Context::new();
        put_ssh_add(&tools);
        let copied = Command::new("cp").args(["-r", &tools.at("ssh"), &context]).status().unwrap();
        assert!(copied.success());
        let key = PathBuf::from(plain.at("home/key"));
        let public = new_key(&key);
        std::os::unix::fs::chown(&key, Some(plain.uid), Some(plain.uid)).unwrap();
        let ssh = format!("default={}", key.display());
        let out = plain.ok(&["build", "--progress", "plain", "--ssh", &ssh, &context]);
        out.says(&public);
    }
}

#[test]
fn the_store_of_another_user_is_refused() {
    let plain = Plain::new(54_403, 65_536);
    let root = plain.at("home/.local/share/jettison");
    let mut command = Command::new(program());
    command.args(["images"]).env("JETTISON_ROOT", &root);
    let out = run(command, LIMIT);
    assert_eq!(out.code, Some(1), "{}", out.stderr);
    out.says(&root).says("hint: ");
}

#[test]
fn a_low_port_is_refused_with_a_reason() {
    let plain = Plain::new(54_404, 65_536);
    let out = plain.run(&["run", "-d", "-p", "127.0.0.1:81:80", "busybox", "sleep", "9"]);
    // Where the machine lets plain users have low ports, it works.
    let first: u32 =
        fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap().trim().parse().unwrap();
    if first > 81 {
        assert_eq!(out.code, Some(125), "{}", out.stderr);
        out.says("81");
    } else {
        assert_eq!(out.code, Some(0), "{}", out.stderr);
    }
}

#[test]
fn the_archive_of_a_plain_user_is_the_one_of_root() {
    let plain = Plain::new(54_405, 65_536);
    let dockerfile = "FROM scratch\nCOPY --chown=5:6 --chmod=640 f /f\n";
    let context = plain.context(dockerfile);
    fs::File::options()
        .write(true)
        .open(plain.at("context/f"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000))
        .unwrap();
    plain.ok(&["build", "--tag", "same", &context]);
    let theirs: Value =
        serde_json::from_str(plain.ok(&["inspect", "--format", "{{json .RootFS}}", "same"]).text()).unwrap();
    let house = crate::harness::own();
    house.ok(&["build", "--tag", "same", &context]);
    assert_eq!(house.inspect("same")["RootFS"], theirs);
}

#[test]
fn the_index_of_a_plain_user_is_the_one_of_root() {
    let dockerfile = "FROM --platform=$BUILDPLATFORM busybox AS tools\n\
        ARG TARGETARCH\n\
        RUN mkdir -p /made/$TARGETARCH && echo $TARGETARCH > /made/arch && chown 7:8 /made/arch && chmod 4750 /made/arch\n\
        RUN ln /made/arch /made/linked && ln -s arch /made/link && touch -d @5 /made/old\n\
        FROM scratch\n\
        COPY --from=tools /made /made\n\
        COPY --chown=5:6 --chmod=640 f /f\n";
    let build = |jobs, archive: &str, context: &str| {
        let output = format!("type=oci,dest={archive},rewrite-timestamp=true");
        ["build", "-q", "--platform=linux/amd64,linux/arm64", "--jobs", jobs, "--output", &output, context]
            .into_iter()
            .chain(["--build-arg", "SOURCE_DATE_EPOCH=1000000000"])
            .map(str::to_owned)
            .collect::<Vec<String>>()
    };
    let plain = Plain::new(54_406, 65_536);
    let theirs = plain.at("home/image.tar");
    let args = build("1", &theirs, &plain.context(dockerfile));
    let their_id = plain.ok(&args.iter().map(String::as_str).collect::<Vec<_>>()).stdout;
    // Another store, another context, another number of threads, another user, another second.
    let (house, context) = (own_with_busybox(), Context::dockerfile(dockerfile));
    context.write("f", "of the context\n");
    let ours = house.home().join("image.tar");
    let args = build("4", ours.to_str().unwrap(), context.text());
    let our_id = house.ok(&args.iter().map(String::as_str).collect::<Vec<_>>()).stdout;
    assert_eq!(their_id, our_id);
    assert!(fs::read(theirs).unwrap() == fs::read(ours).unwrap(), "the archives differ");
}
