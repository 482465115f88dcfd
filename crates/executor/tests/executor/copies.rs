//! COPY, as BuildKit copies: each case says what stands below, what the source has, what is copied, and what the new
//! layer then has.

use crate::world::{World, copy, trimmed, write};
use graph::{FileAction, FileOp, MakeDirectory, MakeFile, Op};
use solver::Input;

/// What is below in most cases.
const BASE: &str = "
    d etc 755 0:0
    f etc/passwd 644 0:0 root:x:0:0::/:/bin/sh
    f etc/group 644 0:0 root:x:0:
    d app 750 7:8
    d app/sub 700 7:8
    f app/old 600 7:8 old
    d usr 755 0:0
    d usr/lib 755 0:0
    l lib usr/lib
    l abs /usr/lib
    l dangling usr/new
    f file 644 0:0 x
";

/// What the source has in most cases.
const SOURCE: &str = "
    f a.txt 644 3:4 a
    f b.txt 600 3:4 b
    f run.sh 755 3:4 run
    d dir 700 3:4
    f dir/one 640 3:4 1
    d dir/sub 711 3:4
    f dir/sub/two 4755 3:4 2
    l dir/link one
    l dirlink dir
    l filelink a.txt
    l escape ../../a.txt
    d empty 755 3:4
";

struct Case {
    name: &'static str,
    copy: &'static str,
    made: &'static str,
}

const fn case(name: &'static str, copy: &'static str, made: &'static str) -> Case {
    Case { name, copy, made }
}

/// From a context: owners are 0.
const FROM_CONTEXT: &[Case] = &[
    case("a file to a new name", "a.txt /new", "f new 644 0:0"),
    case(
        "a file into a new folder",
        "a.txt /new/",
        "d new 755 0:0
        f new/a.txt 644 0:0",
    ),
    case(
        "a file below new folders",
        "a.txt /x/y/z",
        "d x 755 0:0
        d x/y 755 0:0
        f x/y/z 644 0:0",
    ),
    case(
        "a file into a folder that is there",
        "a.txt /app",
        "d app 750 7:8
        f app/a.txt 644 0:0",
    ),
    case(
        "the same with a slash",
        "a.txt /app/",
        "d app 750 7:8
        f app/a.txt 644 0:0",
    ),
    case("a file over a file", "a.txt /file", "f file 644 0:0"),
    case(
        "a file over a file in a folder",
        "a.txt /app/old",
        "d app 750 7:8
        f app/old 644 0:0",
    ),
    case(
        "through a linked folder",
        "a.txt /lib/",
        "d usr 755 0:0
        d usr/lib 755 0:0
        f usr/lib/a.txt 644 0:0",
    ),
    case(
        "through an absolute link",
        "a.txt /abs/sub/x",
        "d usr 755 0:0
        d usr/lib 755 0:0
        d usr/lib/sub 755 0:0
        f usr/lib/sub/x 644 0:0",
    ),
    case(
        "through a link to nothing",
        "a.txt /dangling",
        "d usr 755 0:0
        f usr/new 644 0:0",
    ),
    case(
        "into a folder that a link to nothing names",
        "a.txt /dangling/",
        "d usr 755 0:0
        d usr/new 755 0:0
        f usr/new/a.txt 644 0:0",
    ),
    case(
        "a destination with dots",
        "a.txt /../x/../y/./z",
        "d y 755 0:0
        f y/z 644 0:0",
    ),
    case("to the root", "a.txt /", "f a.txt 644 0:0"),
    case(
        "several into a folder",
        "a.txt b.txt /n/",
        "d n 755 0:0
        f n/a.txt 644 0:0
        f n/b.txt 600 0:0",
    ),
    case("several onto one file: the last wins", "a.txt b.txt /n", "f n 600 0:0"),
    case(
        "a directory gives its content; the destination is made plain",
        "dir /n",
        "d n 755 0:0
        l n/link one
        f n/one 640 0:0
        d n/sub 711 0:0
        f n/sub/two 4755 0:0",
    ),
    case(
        "the same with slashes",
        "dir/ /n/",
        "d n 755 0:0
        l n/link one
        f n/one 640 0:0
        d n/sub 711 0:0
        f n/sub/two 4755 0:0",
    ),
    case(
        "a directory over one: what it brings inside counts, not itself",
        "dir /app",
        "d app 750 7:8
        l app/link one
        f app/one 640 0:0
        d app/sub 711 0:0
        f app/sub/two 4755 0:0",
    ),
    case(
        "two directories into one",
        "dir empty /n/",
        "d n 755 0:0
        l n/link one
        f n/one 640 0:0
        d n/sub 711 0:0
        f n/sub/two 4755 0:0",
    ),
    case("an empty directory", "empty /n", "d n 755 0:0"),
    case(
        "everything",
        ". /n",
        "d n 755 0:0
        f n/a.txt 644 0:0
        f n/b.txt 600 0:0
        d n/dir 700 0:0
        l n/dir/link one
        f n/dir/one 640 0:0
        d n/dir/sub 711 0:0
        f n/dir/sub/two 4755 0:0
        l n/dirlink dir
        d n/empty 755 0:0
        l n/escape ../../a.txt
        l n/filelink a.txt
        f n/run.sh 755 0:0",
    ),
    case(
        "a wildcard",
        "*.txt /n/",
        "d n 755 0:0
        f n/a.txt 644 0:0
        f n/b.txt 600 0:0",
    ),
    case(
        "a wildcard that takes a directory gives its content",
        "d?r /n/",
        "d n 755 0:0
        l n/link one
        f n/one 640 0:0
        d n/sub 711 0:0
        f n/sub/two 4755 0:0",
    ),
    case(
        "a class",
        "[ab].txt /n/",
        "d n 755 0:0
        f n/a.txt 644 0:0
        f n/b.txt 600 0:0",
    ),
    case("a wildcard in the middle", "*/one /n", "f n 640 0:0"),
    case("a wildcard without a match makes nothing", "*.none /n/", ""),
    case(
        "a linked file is followed",
        "filelink /n/",
        "d n 755 0:0
        f n/filelink 644 0:0",
    ),
    case(
        "a linked directory is followed",
        "dirlink /n",
        "d n 755 0:0
        l n/link one
        f n/one 640 0:0
        d n/sub 711 0:0
        f n/sub/two 4755 0:0",
    ),
    case("a link on the way is followed", "dirlink/one /n", "f n 640 0:0"),
    case("a link cannot leave the source", "escape /n", "f n 644 0:0"),
    case("dots cannot leave the source", "../../a.txt /n", "f n 644 0:0"),
    case(
        "--chown",
        "--chown=5:6 dir /n",
        "d n 755 5:6
        l n/link one
        f n/one 640 5:6
        d n/sub 711 5:6
        f n/sub/two 4755 5:6",
    ),
    case("--chown with a number alone", "--chown=5 a.txt /n", "f n 644 5:5"),
    case("--chown with a name nobody has", "--chown=nobody a.txt /n", "f n 644 0:0"),
    case("--chown with a group nobody has", "--chown=5:nogroup a.txt /n", "f n 644 5:5"),
    case("--chown with a group alone", "--chown=:9 a.txt /n", "f n 644 0:9"),
    case(
        "--chown of parents, not of those that are there",
        "--chown=5 a.txt /app/n/m/x",
        "d app 750 7:8
        d app/n 755 5:5
        d app/n/m 755 5:5
        f app/n/m/x 644 5:5",
    ),
    case(
        "--chmod of files, folders and parents",
        "--chmod=4711 dir /x/n",
        "d x 711 0:0
        d x/n 711 0:0
        l x/n/link one
        f x/n/one 4711 0:0
        d x/n/sub 4711 0:0
        f x/n/sub/two 4711 0:0",
    ),
    case(
        "--chmod by clauses says nothing of parents",
        "--chmod=go=u dir /x/n",
        "d x 755 0:0
        d x/n 755 0:0
        l x/n/link one
        f x/n/one 666 0:0
        d x/n/sub 777 0:0
        f x/n/sub/two 4777 0:0",
    ),
    case(
        "--exclude is relative to what is copied",
        "--exclude=sub --exclude=link dir /n",
        "d n 755 0:0
        f n/one 640 0:0",
    ),
    case(
        "--exclude does not see the path above",
        "--exclude=dir/one dir /n",
        "d n 755 0:0
        l n/link one
        f n/one 640 0:0
        d n/sub 711 0:0
        f n/sub/two 4755 0:0",
    ),
    case(
        "--exclude at any depth",
        "--exclude=**/two --exclude=*.txt --exclude=*link . /n",
        "d n 755 0:0
        d n/dir 700 0:0
        l n/dir/link one
        f n/dir/one 640 0:0
        d n/dir/sub 711 0:0
        d n/empty 755 0:0
        l n/escape ../../a.txt
        f n/run.sh 755 0:0",
    ),
    case(
        "--exclude with an exception keeps the way to it",
        "--exclude=* --exclude=!dir/sub/two . /n",
        "d n 755 0:0
        d n/dir 700 0:0
        d n/dir/sub 711 0:0
        f n/dir/sub/two 4755 0:0",
    ),
    case(
        "--exclude says nothing of what a wildcard names",
        "--exclude=b* *.txt /n/",
        "d n 755 0:0
        f n/a.txt 644 0:0
        f n/b.txt 600 0:0",
    ),
    case(
        "--parents keeps the directories as they are",
        "--parents dir/sub/two /n",
        "d n 755 0:0
        d n/dir 700 0:0
        d n/dir/sub 711 0:0
        f n/dir/sub/two 4755 0:0",
    ),
    case(
        "--parents from the pivot",
        "--parents dir/./sub/two /n/",
        "d n 755 0:0
        d n/sub 711 0:0
        f n/sub/two 4755 0:0",
    ),
    case(
        "--parents of a directory",
        "--parents ./dir/sub /",
        "d dir 700 0:0
        d dir/sub 711 0:0
        f dir/sub/two 4755 0:0",
    ),
    case(
        "--parents at any depth",
        "--parents **/two **/one /n/",
        "d n 755 0:0
        d n/dir 700 0:0
        f n/dir/one 640 0:0
        d n/dir/sub 711 0:0
        f n/dir/sub/two 4755 0:0",
    ),
    case("--parents without a match makes the destination", "--parents x*/y /n/", "d n 755 0:0"),
    case(
        "--parents with --exclude",
        "--parents --exclude=**/two dir/sub dir/one /n",
        "d n 755 0:0
        d n/dir 700 0:0
        f n/dir/one 640 0:0
        d n/dir/sub 711 0:0",
    ),
];

/// From another snapshot: owners are kept.
const FROM_STAGE: &[Case] = &[
    case("a file with its owner", "a.txt /n", "f n 644 3:4"),
    case(
        "a directory: the destination is root's",
        "dir /n",
        "d n 755 0:0
        l n/link one
        f n/one 640 3:4
        d n/sub 711 3:4
        f n/sub/two 4755 3:4",
    ),
    case(
        "over a directory that is there",
        "dir /app",
        "d app 750 7:8
        l app/link one
        f app/one 640 3:4
        d app/sub 711 3:4
        f app/sub/two 4755 3:4",
    ),
    case(
        "--parents with their owners",
        "--parents dir/one /n",
        "d n 755 0:0
        d n/dir 700 3:4
        f n/dir/one 640 3:4",
    ),
    case(
        "--chown",
        "--chown=root dir/one /n/",
        "d n 755 0:0
        f n/one 640 0:0",
    ),
];

fn check(cases: &[Case], from_stage: bool) {
    let world = World::new();
    write(&world.context(), SOURCE);
    let base = world.snapshot(BASE);
    let source = if from_stage { world.snapshot(SOURCE) } else { Input::Local("context".to_owned()) };
    let mut wrong = Vec::new();
    for Case { name, copy: text, made } in cases {
        match world.execute(copy(text), &[base.clone(), source.clone()]) {
            Ok(stack) if world.top(&stack) == trimmed(made) => {}
            Ok(stack) => {
                wrong.push(format!(
                    "{name}: COPY {text}\n{}\ninstead of\n{}",
                    world.top(&stack),
                    trimmed(made)
                ));
            }
            Err(error) => wrong.push(format!("{name}: COPY {text}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn copies_from_a_context() {
    check(FROM_CONTEXT, false);
}

#[test]
fn copies_from_a_stage() {
    check(FROM_STAGE, true);
}

#[test]
fn copies_that_cannot_be() {
    let world = World::new();
    write(&world.context(), SOURCE);
    write(
        &world.context(),
        "d app 755 0:0\nf app/sub 644 0:0 x\nd odd 755 0:0\nd odd/lib 755 0:0\nl broken nowhere",
    );
    let base = world.snapshot(BASE);
    for (text, says) in [
        ("none /n", "`none` is not in the source"),
        ("dir/none /n", "`dir/none` is not in the source"),
        ("--parents dir/none /n", "`dir/none` is not in the source"),
        ("brok* /n", "`broken` is not in the source"),
        ("a.txt /file/", "cannot copy to `/file`: what stands there is no directory"),
        ("a.txt /file/x", "cannot copy to `/file`: what stands there is no directory"),
        ("dir /file", "cannot copy to `/file`: what stands there is no directory"),
        ("app /app", "cannot copy to `/app/sub`: a directory stands where the file should"),
        ("odd /", "cannot copy to `/lib`: what stands there is no directory"),
        ("--chmod=999 a.txt /n", "`999` is not a mode"),
    ] {
        let source = Input::Local("context".to_owned());
        let error = world.execute(copy(text), &[base.clone(), source]).unwrap_err().to_string();
        assert!(error.contains(says), "COPY {text}: {error}");
    }
    let scratch = world.snapshot("");
    let named = copy("--chown=root a.txt /n");
    let error = world.execute(named, &[scratch, Input::Local("context".to_owned())]).unwrap_err();
    assert!(error.to_string().contains("no /etc/passwd"), "{error}");
    // What was kept of the context goes with the build.
    assert_eq!(world.leftovers(), 1);
}

#[test]
fn hard_links_stay_within_one_source() {
    let world = World::new();
    let source = world.snapshot("d d 755 0:0\nf d/a 644 0:0 x\nh d/b d/a\nh c d/a");
    let base = world.snapshot("");
    let made = |text: &str| world.top(&world.execute(copy(text), &[base.clone(), source.clone()]).unwrap());
    assert_eq!(made("d /n"), "d n 755 0:0\nf n/a 644 0:0 link1\nf n/b 644 0:0 link1");
    let two = world.execute(copy("d/a c /n/"), &[base.clone(), source.clone()]).unwrap();
    let listing = world.store.listing(two[0]).unwrap();
    let links: Vec<u32> = listing
        .entries()
        .filter_map(|entry| match entry.kind {
            layer::Kind::File { link, .. } => Some(link),
            _ => None,
        })
        .collect();
    assert_ne!(links[0], links[1], "two sources are two files");
    assert_eq!(world.read(&two, "n/c").unwrap(), "x");
}

#[test]
fn a_copy_of_a_copy_reads_the_first_ones_bytes() {
    let world = World::new();
    write(&world.context(), SOURCE);
    let scratch = world.snapshot("");
    let first =
        world.execute(copy("dir /n"), &[scratch.clone(), Input::Local("context".to_owned())]).unwrap();
    let snapshot = |stack: &[layer::LayerId]| {
        Input::Snapshot(solver::Snapshot { key: oci::Digest::of(b"k"), stack: stack.into() })
    };
    let second = world.execute(copy("n /m"), &[scratch.clone(), snapshot(&first)]).unwrap();
    let third = world.execute(copy("m/sub/two /two"), &[scratch, snapshot(&second)]).unwrap();
    assert_eq!(world.read(&second, "m/link").unwrap(), "1");
    assert_eq!(world.read(&third, "two").unwrap(), "2");
}

#[test]
fn a_linked_copy_resets_what_it_lies_over() {
    let world = World::new();
    write(&world.context(), "f x 644 0:0 x");
    let base =
        world.snapshot("d app 700 7:8\nf app/old 600 7:8 o\nd usr 755 0:0\nd usr/lib 755 0:0\nl lib usr/lib");
    let scratch = world.snapshot("");
    let over = |text: &str| {
        let source = Input::Local("context".to_owned());
        let stack = world.execute(copy(text), &[scratch.clone(), source]).unwrap();
        let own = Input::Snapshot(solver::Snapshot { key: oci::Digest::of(b"k"), stack: stack.into() });
        world.all(&world.execute(Op::Merge, &[base.clone(), own]).unwrap())
    };
    let rest = "d usr 755 0:0\nd usr/lib 755 0:0";
    assert_eq!(
        over("--chown=5 x /app/"),
        format!("d app 755 5:5\nf app/old 600 7:8\nf app/x 644 5:5\nl lib usr/lib\n{rest}")
    );
    assert_eq!(
        over("x /lib/"),
        format!("d app 700 7:8\nf app/old 600 7:8\nd lib 755 0:0\nf lib/x 644 0:0\n{rest}")
    );
}

#[test]
fn names_of_owners_are_looked_up_through_links() {
    let world = World::new();
    write(&world.context(), "f x 644 0:0 x");
    let base = world.snapshot(
        "d etc 755 0:0
        l etc/passwd ../files/passwd
        l etc/group /files/group
        d files 755 0:0
        f files/passwd 644 0:0 node:x:1000:1001::/:/bin/sh
        f files/group 644 0:0 www:x:33:node",
    );
    for (owner, is) in
        [("node", "1000:1001"), ("node:www", "1000:33"), ("node:none", "1000:1001"), ("7:www", "7:33")]
    {
        let source = Input::Local("context".to_owned());
        let stack = world.execute(copy(&format!("--chown={owner} x /n")), &[base.clone(), source]).unwrap();
        assert_eq!(world.top(&stack), format!("f n 644 {is}"), "{owner}");
    }
}

#[test]
fn directories_and_here_documents() {
    let world = World::new();
    let base = world.snapshot("d app 700 7:8\nl work app/deep\nf file 644 0:0 x");
    let directory = |path: &str, owner: Option<&str>| {
        FileAction::MakeDirectory(MakeDirectory {
            path: path.to_owned(),
            mode: 0o755,
            owner: owner.map(str::to_owned),
        })
    };
    let file = |path: &str, mode: u32| {
        FileAction::MakeFile(MakeFile {
            path: path.to_owned(),
            name: "EOF".to_owned(),
            content: "text".to_owned(),
            mode,
            owner: Some("5:6".to_owned()),
        })
    };
    for (action, made) in [
        (directory("/app", Some("1:2")), "d app 700 7:8"),
        (directory("/app/x/y", Some("1:2")), "d app 700 7:8\nd app/x 755 1:2\nd app/x/y 755 1:2"),
        (directory("/work/z", None), "d app 700 7:8\nd app/deep 755 0:0\nd app/deep/z 755 0:0"),
        (file("/n/f", 0o644), "d n 755 5:6\nf n/f 644 5:6"),
        (file("/file", 0o600), "f file 600 5:6"),
        (file("/app", 0o644), "d app 700 7:8\nf app/EOF 644 5:6"),
        (file("/deep/f", 0o640), "d deep 640 5:6\nf deep/f 640 5:6"),
    ] {
        let op = Op::File(FileOp { actions: vec![action.clone()] });
        let stack = world.execute(op, std::slice::from_ref(&base)).unwrap();
        assert_eq!(world.top(&stack), made, "{action:?}");
    }
    let op = Op::File(FileOp { actions: vec![directory("/file/x", None)] });
    let error = world.execute(op, std::slice::from_ref(&base)).unwrap_err().to_string();
    assert!(error.contains("`/file`"), "{error}");
}
