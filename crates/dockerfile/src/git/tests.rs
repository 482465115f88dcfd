//! What BuildKit's `ParseGitRef` makes of these texts: the right column is what a run of it in August 2026 printed, with
//! `error` for its errors, `no` for what is no repository to it, and without what it does not say.

use super::*;

const SEEN: &[(&str, &str)] = &[
    ("https://example.com/", "no"),
    ("https://example.com/a", "no"),
    ("https://example.com/a.git", "remote=https://example.com/a.git"),
    ("http://example.com/a.git", "remote=http://example.com/a.git"),
    ("HTTPS://Example.com/a.git", "remote=https://Example.com/a.git"),
    ("https://example.com/a.git#main", "remote=https://example.com/a.git | ref=main"),
    ("https://example.com/a.git#v1:sub/dir", "remote=https://example.com/a.git | ref=v1 | subdir=sub/dir"),
    ("https://example.com/a.git#:sub/../other/./x/", "remote=https://example.com/a.git | subdir=other/x"),
    ("https://example.com/a.git#main:../../up", "remote=https://example.com/a.git | ref=main | subdir=up"),
    ("https://example.com/a.git/", "no"),
    ("https://example.com/a.git#", "remote=https://example.com/a.git"),
    ("https://example.com/a.git?", "remote=https://example.com/a.git?"),
    ("https://example.com/a.git?#x", "remote=https://example.com/a.git? | ref=x"),
    ("https://example.com/a.gitx", "no"),
    ("https://example.com/a.git?x=1", "error"),
    ("https://example.com/a%2Egit", "remote=https://example.com/a%2Egit"),
    ("https://example.com/a%20b.git", "remote=https://example.com/a%20b.git"),
    ("https://example.com/a b.git", "remote=https://example.com/a%20b.git"),
    ("https://example.com/%zz.git", "no"),
    ("https://example.com/a.git#a%20b:c%2Fd", "remote=https://example.com/a.git | ref=a b | subdir=c/d"),
    ("https://example.com/a.git#%zz", "no"),
    ("https://example.com:8080/a.git", "remote=https://example.com:8080/a.git"),
    ("https://example.com:port/a.git", "no"),
    ("https://me:pass@example.com/a.git#x", "remote=https://me:pass@example.com/a.git | ref=x"),
    ("https://token@example.com/a.git", "remote=https://token@example.com/a.git"),
    ("https://me:p%40ss@example.com/a.git", "remote=https://me:p%40ss@example.com/a.git"),
    ("https:///a.git", "remote=https:///a.git"),
    ("https://.git", "no"),
    ("https://a.git", "no"),
    ("git://example.com/a", "remote=git://example.com/a"),
    ("git://example.com/a.git#main", "remote=git://example.com/a.git | ref=main"),
    ("GIT://example.com/a", "remote=git://example.com/a"),
    ("ssh://git@example.com/a.git", "remote=ssh://git@example.com/a.git"),
    ("ssh://git@example.com:2222/a.git#x:y", "remote=ssh://git@example.com:2222/a.git | ref=x | subdir=y"),
    ("ssh://example.com/a", "remote=ssh://example.com/a"),
    ("git+ssh://example.com/a.git", "no"),
    ("file:///tmp/a.git", "no"),
    ("ftp://example.com/a.git", "no"),
    ("git@example.com:a/b.git", "remote=git@example.com:a/b.git"),
    ("git@example.com:a/b", "remote=git@example.com:a/b"),
    ("git@example.com:a/b.git#main:sub", "remote=git@example.com:a/b.git | ref=main | subdir=sub"),
    ("git@example.com:a/b.git?branch=x#main", "error"),
    ("git@example.com:a/b.git?branch=x", "remote=git@example.com:a/b.git | ref=refs/heads/x"),
    ("git@example.com:a/b.git?subdir=x/y&ref=r", "remote=git@example.com:a/b.git | ref=r | subdir=x/y"),
    ("git@example.com:a/b.git#frag?x=1", "remote=git@example.com:a/b.git | ref=frag?x=1"),
    ("git@example.com:a?%zz", "no"),
    ("git@example.com:", "remote=git@example.com:"),
    ("user-name@host.name:path", "remote=user-name@host.name:path"),
    ("a.b@example.com:path", "no"),
    ("git@exa_mple.com:path", "no"),
    ("@example.com:path", "no"),
    ("git@example.com:a#", "remote=git@example.com:a"),
    ("git@example.com:22/a.git", "remote=git@example.com:22/a.git"),
    ("git@[::1]:a.git", "no"),
    ("github.com/a/b", "remote=github.com/a/b | local=true"),
    ("github.com/a/b#main:sub", "remote=github.com/a/b | ref=main | subdir=sub | local=true"),
    ("github.com/a/b?tag=v1", "remote=github.com/a/b | ref=refs/tags/v1 | local=true"),
    ("github.com/a/b.git", "remote=github.com/a/b.git | local=true"),
    ("github.com/", "remote=github.com/ | local=true"),
    ("github.com", "no"),
    ("example.com/a/b.git", "no"),
    ("./a.git", "no"),
    ("../a.git", "no"),
    ("a.git", "no"),
    ("https://example.com/a.git?ref=main", "remote=https://example.com/a.git | ref=main"),
    (
        "https://example.com/a.git?ref=main&subdir=/x/y",
        "remote=https://example.com/a.git | ref=main | subdir=/x/y",
    ),
    ("https://example.com/a.git?ref=main#main", "remote=https://example.com/a.git | ref=main"),
    ("https://example.com/a.git?ref=main#other", "error"),
    ("https://example.com/a.git?subdir=x#:y", "error"),
    ("https://example.com/a.git?subdir=x#:x", "remote=https://example.com/a.git | subdir=x"),
    ("https://example.com/a.git?tag=v1", "remote=https://example.com/a.git | ref=refs/tags/v1"),
    ("https://example.com/a.git?tag=refs/tags/v1", "remote=https://example.com/a.git | ref=refs/tags/v1"),
    ("https://example.com/a.git?tag=v1#v1", "error"),
    ("https://example.com/a.git?tag=v1#refs/tags/v1", "remote=https://example.com/a.git | ref=refs/tags/v1"),
    ("https://example.com/a.git?branch=b", "remote=https://example.com/a.git | ref=refs/heads/b"),
    ("https://example.com/a.git?branch=refs/heads/b", "remote=https://example.com/a.git | ref=refs/heads/b"),
    ("https://example.com/a.git?branch=b#b", "error"),
    (
        "https://example.com/a.git?branch=b&ref=refs/heads/b",
        "remote=https://example.com/a.git | ref=refs/heads/b",
    ),
    ("https://example.com/a.git?branch=b&tag=t", "error"),
    ("https://example.com/a.git?checksum=abc", "remote=https://example.com/a.git | checksum=abc"),
    ("https://example.com/a.git?commit=abc", "remote=https://example.com/a.git | checksum=abc"),
    ("https://example.com/a.git?keep-git-dir=1", "remote=https://example.com/a.git | keep=true"),
    ("https://example.com/a.git?keep-git-dir=true", "remote=https://example.com/a.git | keep=true"),
    ("https://example.com/a.git?keep-git-dir=T", "remote=https://example.com/a.git | keep=true"),
    ("https://example.com/a.git?keep-git-dir=0", "remote=https://example.com/a.git | keep=false"),
    ("https://example.com/a.git?keep-git-dir=yes", "error"),
    ("https://example.com/a.git?keep-git-dir", "remote=https://example.com/a.git | keep=true"),
    ("https://example.com/a.git?keep-git-dir=", "remote=https://example.com/a.git | keep=true"),
    ("https://example.com/a.git?submodules=false", "remote=https://example.com/a.git | submodules=false"),
    ("https://example.com/a.git?submodules", "remote=https://example.com/a.git | submodules=true"),
    ("https://example.com/a.git?submodules=no", "error"),
    ("https://example.com/a.git?mtime=commit", "remote=https://example.com/a.git | mtime=commit"),
    ("https://example.com/a.git?mtime=checkout", "remote=https://example.com/a.git | mtime=checkout"),
    ("https://example.com/a.git?mtime=x", "error"),
    ("https://example.com/a.git?mtime", "error"),
    ("https://example.com/a.git?ref", "error"),
    ("https://example.com/a.git?ref=", "error"),
    ("https://example.com/a.git?ref=a&ref=b", "error"),
    ("https://example.com/a.git?ref=a%2Fb+c", "remote=https://example.com/a.git | ref=a/b c"),
    ("https://example.com/a.git?ref=%zz", "remote=https://example.com/a.git"),
    ("https://example.com/a.git?ref=a;b", "remote=https://example.com/a.git"),
    (
        "https://example.com/a.git?fetch-by-commit&checksum=abc",
        "remote=https://example.com/a.git | checksum=abc | fetch-by-commit=true",
    ),
    ("https://example.com/a.git?fetch-by-commit=f", "remote=https://example.com/a.git"),
    ("https://example.com/a.git?fetch-by-commit=x", "error"),
    ("https://example.com/a.git?=x", "error"),
    ("https://example.com/a.git?&&ref=x&", "remote=https://example.com/a.git | ref=x"),
    ("https://example.com/a.git?unknown=1", "error"),
    ("https://example.com/a.git?REF=x", "error"),
    ("https://[::1]:80/a.git", "remote=https://[::1]:80/a.git"),
    ("https://[::1/a.git", "no"),
    ("https://exa mple.com/a.git", "no"),
    ("https://example.com/a(b)!*'.git", "remote=https://example.com/a(b)!*'.git"),
    ("https://example.com/ü.git", "remote=https://example.com/%C3%BC.git"),
    ("https://user name@example.com/a.git", "no"),
    ("https://example.com//a//b.git", "remote=https://example.com//a//b.git"),
    ("http://github.com/docker/docker.git:#branch", "no"),
];

/// The same words for what we make of a text.
fn shown(text: &str) -> String {
    let url = match parse(text) {
        Err(_) => return "error".to_owned(),
        Ok(None) => return "no".to_owned(),
        Ok(Some(url)) => url,
    };
    let remote = if url.may_be_path { url.remote.trim_start_matches("https://") } else { &url.remote };
    let mut words = vec![format!("remote={remote}")];
    let mut add = |name: &str, value: Option<String>| {
        words.extend(value.filter(|value| !value.is_empty()).map(|value| format!("{name}={value}")));
    };
    add("ref", Some(url.reference));
    add("subdir", Some(url.subdir));
    add("checksum", url.checksum);
    add("keep", url.keep_git_dir.map(|keep| keep.to_string()));
    add("submodules", url.submodules.map(|keep| keep.to_string()));
    add("mtime", url.commit_time.map(|commit| if commit { "commit" } else { "checkout" }.to_owned()));
    add("fetch-by-commit", url.fetch_by_commit.then(|| "true".to_owned()));
    add("local", url.may_be_path.then(|| "true".to_owned()));
    words.join(" | ")
}

#[test]
fn repositories_are_told_as_buildkit_tells_them() {
    let mut wrong = Vec::new();
    for (text, expected) in SEEN {
        // BuildKit cleans a folder of the query when it opens it, and we when we read it.
        let expected = expected.replace("subdir=/", "subdir=");
        let found = shown(text);
        if found != expected {
            wrong.push(format!("{text}\n  is       {found}\n  and not  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_reference_is_no_option() {
    assert!(parse("https://example.com/a.git#--upload-pack=x").is_err());
    assert!(parse("https://example.com/a.git?ref=-x").is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(text in "(https://|git@|ssh://)?[a-z:/?#&=%@.\\PC]{0,40}") {
        if let Ok(Some(url)) = parse(&text) {
            let parts: Vec<&str> = url.subdir.split('/').collect();
            proptest::prop_assert!(!parts.contains(&"..") && !url.subdir.starts_with('/'));
            proptest::prop_assert!(!url.reference.starts_with('-') && !url.remote.starts_with('-'));
        }
    }
}
