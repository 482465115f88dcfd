//! Many copied files: what a command sees of them, what it can do with them, and what a kill leaves.

use crate::harness::{Context, House, own_with_busybox, shared, unique};
use std::time::Duration;

/// A context of so many small files in folders of 50, each of which says its own path and something that no other test
/// says.
fn many(files: usize, dockerfile: &str) -> Context {
    let salt = unique("many");
    let context = Context::dockerfile(&dockerfile.replace("SALT", &salt));
    for number in 0..files {
        let path = format!("data/d{}/f{number}", number / 50);
        context.write(&path, &format!("{path} {salt}\n"));
    }
    context
}

/// A command that fails unless every file of [`many`] below `folder` is there and says what it should.
fn whole(folder: &str, files: usize) -> String {
    format!(
        "test $(find {folder} -type f | wc -l) = {files} && for f in $(cd {folder} && find . -type f); do grep -q \"data/${{f#./}} \" {folder}/$f || exit 9; done"
    )
}

#[test]
fn a_command_does_with_many_copied_files_what_it_likes() {
    let house = shared();
    let check = whole("/data", 400);
    let context = many(
        400,
        &format!(
            "FROM busybox AS made
COPY data /data
RUN {check}
RUN echo more >> /data/d0/f7 && rm /data/d1/f50 && chmod 600 /data/d2/f100 && mv /data/d3 /moved && rm -r /data/d4 && \
    mkdir /data/d4 && echo new > /data/d4/f && ln /data/d5/f250 /data/d5/link && touch -d @77 /data/d6/f300
RUN test $(find /data -xdev -type f | wc -l) = 301 && test $(stat -c %d /data/d0 /data/d0/f1 /data/d0/f7 | uniq | wc -l) = 1
FROM scratch
COPY --from=made /data /data
COPY --from=made /moved /moved
"
        ),
    );
    let files = house.files_of(&context, &[]);
    assert!(
        files.text("data/d0/f7").starts_with("data/d0/f7 ") && files.text("data/d0/f7").ends_with("\nmore\n")
    );
    assert!(!files.has("data/d1/f50") && !files.has("data/d3") && files.has("data/d1/f51"));
    assert_eq!(
        (files.get("data/d2/f100").mode & 0o777, files.get("data/d2/f101").mode & 0o777),
        (0o600, 0o644)
    );
    assert_eq!(files.text("moved/f150").split(' ').next(), Some("data/d3/f150"));
    assert_eq!(files.names("data/d4"), ["f"]);
    assert_eq!(files.text("data/d5/f250").split(' ').next(), Some("data/d5/f250"));
    assert_eq!(files.below("data").filter(|(_, entry)| !entry.bytes.is_empty()).count(), 301);
}

#[test]
fn a_bind_mount_shows_many_files_and_keeps_nothing_of_what_is_written() {
    let house = shared();
    let check = whole("/src", 200);
    let context = many(
        200,
        &format!(
            "FROM busybox
RUN --mount=type=bind,source=data,target=/src {check} && ! touch /src/new
RUN --mount=type=bind,source=data,target=/src,rw {check} && echo SALT > /src/d0/f0 && rm -r /src/d1 && cp /src/d0/f0 /kept
"
        ),
    );
    let files = house.files_of(&context, &[]);
    assert!(files.text("kept").starts_with("many"));
    assert_eq!(files.below("src").count(), 0);
    assert!(context.read("data/d0/f0").starts_with("data/d0/f0 "));
}

/// How many layers of the store were mounted as images of file systems.
fn images(house: &House) -> usize {
    let layers = std::fs::read_dir(house.root().join("layers")).unwrap();
    let files = layers.flat_map(|layer| std::fs::read_dir(layer.unwrap().path()).unwrap());
    files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with("image-")).count()
}

#[test]
fn a_container_does_with_many_copied_files_what_it_likes() {
    let house = own_with_busybox();
    house.build(&many(200, "FROM busybox\nCOPY data /data\nRUN true\n"), &[]);
    let by_build = images(&house);
    let context = many(200, "FROM busybox\nCOPY data /data\nVOLUME /data/d3\n");
    house.build(&context, &["--tag", "many"]);
    let check = whole("/data", 200);
    let change = "echo new >> /data/d0/f0 && rm -r /data/d1 && test $(find /data -type f | wc -l) = 150";
    house.ok(&["run", "--rm", "many", "sh", "-c", &format!("{check} && {change}")]);
    // What one does is nothing to the next.
    house.ok(&["run", "--rm", "many", "sh", "-c", &check]);
    // Where a build mounts an image, a container does.
    assert_eq!(images(&house), 2 * by_build);
    // One that does not run is read from what it would be mounted from.
    house.ok(&["create", "--name", "still", "many", "true"]);
    let out = context.at("out");
    house.ok(&["cp", "still:/data/d2/f100", &out]);
    assert!(context.read("out").starts_with("data/d2/f100 "));
    house.ok(&["rm", "--volumes", "still"]);
}

/// Begins a build and kills it after a while.
fn killed(house: &House, context: &Context, after: Duration) {
    let mut child = house
        .command(&["build", "--quiet", &context.at("")])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_build_of_many_files_may_be_killed_at_any_instant() {
    let house = own_with_busybox();
    let files = 3000;
    let context = many(
        files,
        &format!("FROM busybox\nCOPY data /data\nRUN {}\nRUN rm -r /data/d1\n", whole("/data", files)),
    );
    // From before the first file is read to the middle of the first command, unevenly.
    for after in [3, 11, 19, 28, 37, 49, 61, 77, 90, 113, 131, 170, 240] {
        killed(&house, &context, Duration::from_millis(after));
    }
    house.build(&context, &[]);
    // One other file; what the last build made is used again, whole or not at all.
    for (number, after) in [5, 21, 43, 66, 95].into_iter().enumerate() {
        context.write("data/d7/f360", &format!("data/d7/f360 {number}\n"));
        killed(&house, &context, Duration::from_millis(after));
    }
    let built = house.files_of(&context, &[]);
    assert_eq!(built.text("data/d7/f360"), "data/d7/f360 4\n");
    assert_eq!(built.below("data").filter(|(_, entry)| !entry.bytes.is_empty()).count(), files - 50);
}
