//! A disk without room: what is there can be removed, and then there is room again.

use crate::harness::{Context, LIMIT, busybox, own, program, run};
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
