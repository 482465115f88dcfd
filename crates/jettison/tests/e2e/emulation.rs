//! Programs of other platforms, by a handler in binfmt_misc: the kernel's own way, with an interpreter of this machine
//! for a made-up processor, so that no real handler is met or needed.

use crate::harness::{self, Context, LIMIT, Out, folder, own_with_busybox, unique};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The header of a program for the made-up processor 0x5afe.
const PROGRAM: [u8; 20] = [0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xfe, 0x5a];

/// A handler, taken back when it is dropped.
struct Handler {
    folder: TempDir,
    name: String,
}

impl Handler {
    /// Has the made-up processor's programs run by `interpreter`. Says why where the kernel does not allow it.
    fn register(interpreter: &Path) -> Result<Self, String> {
        let handler = Self { folder: folder(), name: unique("jettison-test") };
        let mounted =
            Command::new("mount").args(["-t", "binfmt_misc", "none"]).arg(handler.folder.path()).output();
        let mounted = mounted.map_err(|error| error.to_string())?;
        if !mounted.status.success() {
            return Err(String::from_utf8_lossy(&mounted.stderr).into_owned());
        }
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let mask: Vec<u8> =
            (0..PROGRAM.len()).map(|at| if (4..=17).contains(&at) { 0 } else { 0xff }).collect();
        let (name, magic, mask) = (&handler.name, hex(&PROGRAM), hex(&mask));
        // F: the interpreter is opened now, so that it is found in every root.
        let line = format!(":{name}:M::{magic}:{mask}:{}:F", interpreter.display());
        fs::write(handler.folder.path().join("register"), line).map_err(|error| error.to_string())?;
        Ok(handler)
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let entry: PathBuf = self.folder.path().join(&self.name);
        if entry.exists() {
            fs::write(entry, "-1").unwrap();
        }
        let _ = Command::new("umount").arg(self.folder.path()).output();
    }
}

#[test]
fn an_image_of_another_platform_is_warned_of_unless_it_was_chosen() {
    let house = own_with_busybox();
    let context = Context::dockerfile(
        "FROM --platform=$BUILDPLATFORM busybox AS files\nFROM scratch\nCOPY --from=files /bin/busybox /sh\n",
    );
    // What is in it runs here all the same: nothing but its configuration says where it belongs.
    house.build(&context, &["--platform", "linux/arm64", "--tag", "foreign"]);
    let said = "warning: the image `foreign` is for linux/arm64, and this machine is linux/amd64; `--platform linux/arm64`";
    let run = ["run", "--rm", "foreign", "/sh", "-c", "true"];
    house.ok(&run).says(said);
    house.ok(&["create", "--name", "made", "foreign", "/sh", "-c", "true"]).says(said);
    let silent = |out: Out| assert!(!out.stderr.contains("warning"), "{}", out.stderr);
    silent(house.ok(&["start", "--attach", "made"]));
    silent(house.ok(&["run", "--rm", "--platform", "linux/arm64", "foreign", "/sh", "-c", "true"]));
    silent(house.ok(&["run", "--rm", "busybox", "true"]));
    let mut command = house.command(&run);
    command.env("DOCKER_DEFAULT_PLATFORM", "linux/arm64");
    silent(harness::run(command, LIMIT).ok());
}

#[test]
fn steps_and_containers_of_another_platform_run_by_a_handler() {
    let (house, temp) = (own_with_busybox(), folder());
    let tools = temp.path().join("tools");
    house.build(&Context::dockerfile("FROM busybox\n"), &["--output", tools.to_str().unwrap()]);
    let context = Context::dockerfile(
        "FROM scratch\nCOPY --chmod=755 program /bin/sh\nRUN echo made of $0 > /made\nCMD [\"/bin/sh\", \"-c\", \"echo runs\"]\n",
    );
    fs::write(context.path().join("program"), PROGRAM).unwrap();
    let flags = ["--platform", "linux/riscv64", "--tag", "foreign"];
    let failed = house.try_build(&context, &flags).out.fails(1);
    failed.says("`/bin/sh` is a program of linux/riscv64").says("hint: install a handler for its programs");
    let handler = match Handler::register(&tools.join("bin/busybox")) {
        Ok(handler) => handler,
        Err(reason) => {
            eprintln!("not tried: binfmt_misc takes no handler here: {reason}");
            return;
        }
    };
    house.build(&context, &flags);
    assert_eq!(house.inspect("foreign")["Architecture"], "riscv64");
    assert_eq!(
        house.ok(&["run", "--rm", "foreign", "/bin/sh", "-c", "read x < /made; echo $x"]).stdout,
        "made of /bin/sh\n"
    );
    assert_eq!(house.ok(&["run", "--rm", "--platform", "linux/riscv64", "foreign"]).stdout, "runs\n");
    drop(handler);
    house.fails(126, &["run", "--rm", "foreign"]).says("hint: a program of another platform needs a handler");
}
