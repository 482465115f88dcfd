//! A disk without room: what is there can be removed, and then there is room again.

use crate::harness::{Context, House, LIMIT, Out, busybox, own, own_with_busybox, program, run};
use std::process::Command;

#[test]
fn things_can_be_removed_when_the_disk_is_full() {
    let (house, context) =
        (own(), Context::dockerfile("FROM busybox\nRUN head -c 8000000 /dev/urandom > /big\n"));
    // A small disk of this test alone, in a mount namespace that ends with it.
    let script = format!(
        r#"set -eu
        j={program}
        mkdir -p "$JETTISON_ROOT"; mount -t tmpfs -o size=96m none "$JETTISON_ROOT"
        $j load -q -i {busybox} >/dev/null 2>&1 || $j load -i {busybox} >/dev/null
        $j build -q -t one {context} >/dev/null
        $j run -d --name stays one sleep 1000 >/dev/null
        $j run --name ended one true
        dd if=/dev/zero of="$JETTISON_ROOT/filler" bs=4k 2>/dev/null || true
        test "$(stat -f -c %a "$JETTISON_ROOT")" = 0 && echo full
        $j rm ended
        $j rm -f stays >/dev/null && echo removed
        dd if=/dev/zero of="$JETTISON_ROOT/filler2" bs=4k 2>/dev/null || true
        $j rmi -f one >/dev/null
        $j system prune -af >/dev/null
        echo pruned
        test "$(stat -f -c %a "$JETTISON_ROOT")" -gt 1000 && echo room
        $j ps -aq
        $j images -q
        "#,
        program = program().display(),
        busybox = busybox().display(),
        context = context.text(),
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    house.surround(&mut command);
    let out = run(command, LIMIT).ok();
    assert_eq!(out.stdout, "full\nended\nremoved\npruned\nroom\n", "{}", out.stderr);
}

/// A house with the image `noise` of 8 MB that do not get smaller, and its context.
fn noise() -> (House, Context) {
    let (house, context) = (own(), Context::dockerfile("FROM scratch\nCOPY noise /\n"));
    let mut noise = vec![0; 8_000_000];
    rustix::rand::getrandom(&mut noise, rustix::rand::GetRandomFlags::empty()).unwrap();
    std::fs::write(context.path().join("noise"), noise).unwrap();
    house.build(&context, &["--tag", "noise"]);
    (house, context)
}

/// Runs a line of the shell, in which `jettison` is the program and `small` a folder with a small disk of its own.
fn shell(house: &House, line: &str) -> Out {
    let script = format!(
        r#"jettison() {{ {program} "$@"; }}
        cd "$HOME"; mkdir -p small; mount -t tmpfs -o size=4m none small || exit 99
        {line}
        code=$?; ls -RA small; exit $code"#,
        program = program().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "bash", "-c", &script]);
    house.surround(&mut command);
    run(command, LIMIT)
}

#[test]
fn an_export_names_the_disk_that_is_full() {
    let (house, context) = noise();
    let build = format!("jettison build --progress plain {}", context.text());
    for (line, path) in [
        ("jettison save -o small/a.tar noise", "small/a.tar"),
        ("jettison save --format oci-archive -o small/a.tar noise", "small/a.tar"),
        ("jettison save --format oci-dir -o small/d noise", "small/d/blobs/sha256/"),
        ("jettison push noise oci-layout://$PWD/small/l", "/small/l/blobs/sha256/"),
        (&format!("{build} -o type=oci,dest=small/o.tar"), "small/o.tar"),
        (&format!("{build} -o type=oci,dest=small/o,tar=false"), "small/o/blobs/sha256/"),
        (&format!("{build} -o type=docker,dest=small/d.tar"), "small/d.tar"),
        (&format!("{build} -o type=tar,dest=small/t.tar"), "small/t.tar"),
        (&format!("{build} -o small/f"), "small/f/noise"),
        (&format!("{build} --cache-to type=local,dest=small/c,ignore-error=false"), "small/c/blobs/sha256/"),
    ] {
        let out = shell(&house, line).fails(1);
        let told: Vec<&str> = out.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(
            matches!(told[..], [only] if only.starts_with("error: cannot write `")
                && only.contains(path) && only.matches("cannot").count() == 1
                && only.ends_with("`: No space left on device (os error 28)")),
            "{line}: {}",
            out.stderr
        );
        // What was being written is gone, but for the files of a folder.
        if !line.ends_with("/f") {
            out.says("of it were written and are removed again; there is room for ");
            assert!(!out.stdout.contains(".tar") && !out.stdout.contains("\n."), "{line}: {}", out.stdout);
        }
        if line.contains("build") {
            assert!(out.stderr.contains(" ERROR: cannot write `"), "{line}: {}", out.stderr);
        }
    }
}

#[test]
fn an_output_that_takes_no_more_says_so_and_a_reader_that_is_gone_is_none() {
    let (house, context) = noise();
    let build = format!("jettison build -q {}", context.text());
    for line in [
        "jettison save noise",
        "jettison save --format oci-archive noise",
        &format!("{build} -o -"),
        &format!("{build} -o type=oci,dest=-"),
        &format!("{build} -o type=docker,dest=-"),
    ] {
        let out = shell(&house, &format!("{line} >/dev/full")).fails(1);
        assert!(
            out.stderr.starts_with(
                "error: cannot write `standard output`: No space left on device (os error 28)\n"
            ),
            "{line}: {}",
            out.stderr
        );
        let out =
            shell(&house, &format!("{line} | head -c 10 >/dev/null; (exit ${{PIPESTATUS[0]}})")).fails(141);
        assert_eq!(out.stderr, "", "{line}");
    }
    let out = shell(&own_with_busybox(), "jettison run --rm busybox echo hi >/dev/full").fails(125);
    assert_eq!(out.stderr, "error: cannot write to standard output: No space left on device (os error 28)\n");
}

#[test]
fn a_store_that_cannot_be_made_is_not_an_image_that_is_not_there() {
    let house = own();
    let line = "mount -o remount,ro small; echo FROM busybox | JETTISON_ROOT=small/store jettison build -";
    let out = shell(&house, line).fails(1);
    out.says("small/store`: Read-only file system")
        .says("hint: JETTISON_ROOT names a folder that can be written");
    assert!(!out.stderr.contains("busybox"), "{}", out.stderr);
}
