//! ADD of git repositories.

use crate::harness::*;

/// A repository with files of all kinds, two tags and a branch. Gives its first commit and that of `main`.
fn sample(repositories: &Repositories) -> (String, String) {
    let sample = repositories.make("sample.git");
    sample
        .write("a", "one")
        .write("run", "#!")
        .mode("run", 0o700)
        .write("d/e/f", "deep")
        .link("l", "a")
        .mode("a", 0o600);
    let first = sample.commit();
    sample.git(&["tag", "light"]);
    sample.git(&["tag", "--annotate", "--message", "a tag", "noted"]);
    sample.git(&["branch", "other"]);
    sample.write("a", "two");
    (first, sample.commit())
}

fn dockerfile(lines: &[String]) -> Context {
    Context::dockerfile(&format!("FROM scratch\n{}\n", lines.join("\n")))
}

#[test]
fn files_have_the_modes_that_git_knows() {
    let repositories = Repositories::start();
    sample(&repositories);
    let url = repositories.url("sample.git");
    let files = shared().files_of(
        &dockerfile(&[
            format!("ADD {url} /r"),
            format!("ADD --chown=3:4 {url}#:d/e /inside/"),
            format!("ADD --chmod=0640 {url} /m"),
            format!("ADD {url}?mtime=commit /t"),
        ]),
        &[],
    );
    let mode = |path: &str| (files.get(path).mode, files.get(path).uid, files.get(path).gid);
    assert_eq!((mode("r/a"), mode("r/run"), mode("r/d")), ((0o644, 0, 0), (0o755, 0, 0), (0o755, 0, 0)));
    assert_eq!(files.get("r/a").bytes, b"two");
    assert_eq!(files.get("r/l").link.as_deref(), Some("a"));
    assert!(!files.has("r/.git"));
    assert_eq!(mode("inside/f"), (0o644, 3, 4));
    assert!(!files.has("inside/d"));
    assert_eq!(mode("m/a").0, 0o640);
    assert_eq!((files.get("t/a").mtime, files.get("t/d/e/f").mtime), (COMMITTED, COMMITTED));
    assert!(files.get("r/a").mtime > COMMITTED);
}

#[test]
fn every_way_to_name_a_commit() {
    let repositories = Repositories::start();
    let (first, main) = sample(&repositories);
    let url = repositories.url("sample.git");
    let names = [
        (format!("{url}#main"), "two"),
        (format!("{url}#other"), "one"),
        (format!("{url}#refs/heads/other"), "one"),
        (format!("{url}#heads/other"), "one"),
        (format!("{url}#light"), "one"),
        (format!("{url}#noted"), "one"),
        (format!("{url}?tag=noted"), "one"),
        (format!("{url}?branch=main"), "two"),
        (format!("{url}?ref={first}"), "one"),
        (format!("{url}#{main}"), "two"),
        (format!("{url}?commit={main}&fetch-by-commit=1"), "two"),
        (format!("{url}?commit={}#other", &first[..10]), "one"),
    ];
    let lines: Vec<String> =
        names.iter().enumerate().map(|(at, (name, _))| format!("ADD {name} /{at}/")).collect();
    let files = shared().files_of(&dockerfile(&lines), &[]);
    for (at, (name, content)) in names.iter().enumerate() {
        assert_eq!(files.get(&format!("{at}/a")).bytes, content.as_bytes(), "{name}");
    }
}

#[test]
fn git_dir_is_kept_with_the_commit_alone() {
    let repositories = Repositories::start();
    let (first, main) = sample(&repositories);
    let url = repositories.url("sample.git");
    let with_user = url.replace("http://", "http://me:secret@");
    let out = folder();
    let dest = format!("type=local,dest={}", out.path().display());
    let context = dockerfile(&[
        format!("ADD --keep-git-dir=true {with_user} /k"),
        format!("ADD {url}?keep-git-dir&tag=noted /t"),
        format!("ADD --keep-git-dir {url}#{first} /c"),
        format!("ADD --keep-git-dir {url}#:d /s"),
    ]);
    shared().build(&context, &["--output", &dest]);
    let git = |at: &str, args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(out.path().join(at)).args(["-c", "safe.directory=*"]).args(args);
        run(git, LIMIT).ok().stdout.trim().to_owned()
    };
    assert_eq!(git("k", &["rev-parse", "HEAD", "refs/heads/main"]), format!("{main}\n{main}"));
    assert_eq!(git("k", &["rev-list", "--count", "HEAD"]), "1");
    assert_eq!(git("k", &["status", "--porcelain"]), "");
    assert_eq!(git("k", &["remote", "get-url", "origin"]), url);
    assert_eq!(git("t", &["describe", "--exact-match"]), "noted");
    assert_eq!(git("c", &["rev-parse", "HEAD"]), first);
    assert!(!out.path().join("s/.git").exists());
    let mut grep = std::process::Command::new("grep");
    grep.args(["-r", "-e", "secret", "-e", "jettison"]).arg(out.path());
    assert_eq!(run(grep, LIMIT).stdout, "");
}

#[test]
fn submodules_come_along_unless_they_are_refused() {
    let repositories = Repositories::start();
    repositories.make("inner.git").write("s", "inner").commit();
    let outer = repositories.make("outer.git");
    outer.write("a", "outer").commit();
    let inner = repositories.url("inner.git");
    outer.git(&["submodule", "--quiet", "add", &inner, "sub"]);
    outer.commit();
    let url = repositories.url("outer.git");
    let files = shared().files_of(
        &dockerfile(&[
            format!("ADD {url} /r/"),
            format!("ADD {url}?submodules=false /n/"),
            format!("ADD --keep-git-dir {url} /k/"),
        ]),
        &[],
    );
    assert_eq!(files.get("r/sub/s").bytes, b"inner");
    // It would lead to a folder of the store.
    assert!(!files.has("r/sub/.git"));
    assert!(!files.has("n/sub/s"));
    assert_eq!(files.get("k/sub/.git").bytes, b"gitdir: ../.git/modules/sub\n");
}

#[test]
fn a_submodule_cannot_be_a_folder_of_this_machine() {
    let repositories = Repositories::start();
    repositories.make("inner.git").write("s", "inner").commit();
    let outer = repositories.make("outer.git");
    let host = folder();
    let mut git = std::process::Command::new("git");
    git.args(["clone", "--quiet", &repositories.url("inner.git")]).arg(host.path().join("host"));
    run(git, LIMIT).ok();
    let place = host.path().join("host");
    outer.write("a", "outer").commit();
    outer.git(&["submodule", "--quiet", "add", place.to_str().unwrap(), "sub"]);
    outer.commit();
    let out = shared().try_build(&dockerfile(&[format!("ADD {} /r/", repositories.url("outer.git"))]), &[]);
    let out = out.out.fails(1);
    assert!(out.stderr.contains("submodules") && out.stderr.contains("not allowed"), "{}", out.stderr);
}

#[test]
fn what_was_fetched_is_not_fetched_again() {
    let house = own();
    let repositories = Repositories::start();
    let repository = repositories.make("r.git");
    let first = repository.write("a", "one").commit();
    let url = repositories.url("r.git");
    let by_branch = dockerfile(&[format!("ADD {url} /r")]);
    house.build(&by_branch, &[]);
    repositories.site.seen();
    let again = house.build(&by_branch, &[]);
    let asked = repositories.site.seen();
    assert!(again.steps.iter().filter(|step| step.name.starts_with('[')).all(|step| step.cached));
    assert!(asked.iter().all(|seen| !String::from_utf8_lossy(&seen.body).contains("want ")), "{asked:?}");
    assert!(!asked.is_empty());
    // Who names the commit asks nobody for it.
    house.build(&dockerfile(&[format!("ADD {url}#{first} /other")]), &[]);
    assert_eq!(repositories.site.seen().len(), 0);
    repository.write("a", "two").commit();
    assert_eq!(house.files_of(&by_branch, &[]).get("r/a").bytes, b"two");
    // An unreached stage fetches nothing.
    repositories.site.seen();
    let unreached =
        Context::dockerfile(&format!("FROM scratch AS x\nADD {url} /\nFROM scratch\nCOPY Dockerfile /\n"));
    house.build(&unreached, &[]);
    assert_eq!(repositories.site.seen().len(), 0);
    // The repository is kept as caches are, and goes with them.
    let df = house.ok(&["system", "df", "--verbose"]).stdout;
    house.ok(&["builder", "prune", "--all", "--force"]);
    assert_eq!(house.files_of(&by_branch, &[]).get("r/a").bytes, b"two", "{df}");
}

#[test]
fn checksums_are_compared() {
    let repositories = Repositories::start();
    let (first, main) = sample(&repositories);
    let url = repositories.url("sample.git");
    shared().build(
        &dockerfile(&[
            format!("ADD --checksum={main} {url} /1"),
            format!("ADD --checksum={} {url}#noted /2", &first[..12]),
            format!("ADD --checksum={first} {url}#{first} /3"),
        ]),
        &[],
    );
    for (line, words) in [
        (format!("ADD --checksum={first} {url} /"), [main.as_str(), first.as_str()]),
        (format!("ADD --checksum={first} {url}#{main} /"), [&main, &first]),
        (format!("ADD --checksum=xyz {url} /"), ["xyz", "not the name of a commit"]),
        (format!("ADD --checksum={first} {url}?commit={main} /"), ["differ", &first]),
        (format!("ADD --keep-git-dir=false {url}?keep-git-dir=1 /"), ["--keep-git-dir", "different"]),
        (format!("ADD {url}?x=1 /"), ["`x`", "nothing that can be said"]),
        (format!("ADD {url}#none /"), ["no branch and no tag `none`", "hint"]),
        (format!("ADD {url}#:none /"), ["no folder `none`", "hint"]),
        (format!("ADD {url}#:l /"), ["no folder `l`", "hint"]),
    ] {
        let out = shared().try_build(&dockerfile(std::slice::from_ref(&line)), &[]).out.fails(1);
        for word in words {
            assert!(out.stderr.contains(word), "{line}: {}", out.stderr);
        }
        assert!(out.stderr.contains("Dockerfile:2"), "{}", out.stderr);
    }
}

#[test]
fn a_server_of_plain_files_will_do() {
    let repositories = Repositories::start();
    let (first, _) = sample(&repositories);
    let url = repositories.plain_url("sample.git");
    let files = own().files_of(&dockerfile(&[format!("ADD {url} /b"), format!("ADD {url}#{first} /c")]), &[]);
    assert_eq!((&files.get("b/a").bytes[..], &files.get("c/a").bytes[..]), (&b"two"[..], &b"one"[..]));
}

#[test]
fn secrets_authorize_and_are_not_shown() {
    // x-access-token:t0ken-of-mine
    let repositories = Repositories::guarded(Some("Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4tb2YtbWluZQ=="));
    sample(&repositories);
    let url = repositories.url("sample.git");
    let context = dockerfile(&[format!("ADD {url} /")]);
    let place = url.split('/').nth(2).unwrap().to_owned();
    for id in ["GIT_AUTH_TOKEN".to_owned(), format!("GIT_AUTH_TOKEN.{place}")] {
        let house = own();
        let mut command = house.command(&["build", "--progress", "plain"]);
        command
            .args(["--secret", &format!("id={id},env=TOKEN"), context.text()])
            .env("TOKEN", "t0ken-of-mine");
        let out = run(command, LIMIT).ok();
        assert!(!out.stderr.contains("t0ken") && !out.stderr.contains("eC1hY2"), "{}", out.stderr);
        let mut grep = std::process::Command::new("grep");
        grep.args(["-r", "-e", "t0ken", "-e", "eC1hY2"]).arg(house.root());
        assert_eq!(run(grep, LIMIT).stdout, "");
    }
    // Of two, that of the host counts; a header is sent as it is.
    let header = "HEADER=Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4tb2YtbWluZQ==";
    let mut command = shared().command(&["build", "--progress", "plain"]);
    command.args(["--secret", &format!("id=GIT_AUTH_HEADER.{place},env=HEADER")]);
    command.args(["--secret", "id=GIT_AUTH_TOKEN,env=WRONG", context.text()]);
    let (name, value) = header.split_once('=').unwrap();
    command.env(name, value).env("WRONG", "wrong");
    run(command, LIMIT).ok();
    let out = own().try_build(&context, &[]).out.fails(1);
    assert!(out.stderr.contains("GIT_AUTH_TOKEN"), "{}", out.stderr);
}

#[test]
fn without_git_there_is_a_hint() {
    let mut command = shared().command(&["build", "--progress", "plain"]);
    let context = dockerfile(&["ADD http://127.0.0.1:1/x.git /".to_owned()]);
    command.arg(context.text()).env("PATH", "/nonexistent");
    let out = run(command, LIMIT).fails(1);
    assert!(
        out.stderr.contains("`git` is not installed") && out.stderr.contains("apt-get"),
        "{}",
        out.stderr
    );
}

/// `ssh` is a stand-in here, which lists the keys that it is lent and then does on this machine what it is told.
#[test]
fn over_ssh_the_keys_are_those_of_the_lent_agent() {
    let repositories = Repositories::start();
    sample(&repositories);
    let folder = folder();
    let (key, told) = (folder.path().join("key"), folder.path().join("told"));
    let public = new_key(&key);
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\n{{ echo \"$@\"; ssh-add -L; }} > {} 2>&1\nexec sh -c \"$last\"\n",
        told.display()
    );
    let ssh = folder.path().join("ssh");
    std::fs::write(&ssh, script).unwrap();
    std::fs::set_permissions(&ssh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let url = format!("somebody@git.invalid:{}", repositories.path("sample.git").display());
    let context = dockerfile(&[format!("ADD {url} /")]);
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let house = own();
    let mut command = house.command(&["build", "--progress", "plain", "--ssh"]);
    command.arg(format!("default={}", key.display())).arg(context.text()).env("PATH", path);
    run(command, LIMIT).ok();
    let told = std::fs::read_to_string(told).unwrap();
    assert!(told.contains(&public), "{told}");
    for word in ["-F /dev/null", "BatchMode=yes", "IdentityFile=/dev/null", "somebody@git.invalid"] {
        assert!(told.contains(word), "{told}");
    }
}
