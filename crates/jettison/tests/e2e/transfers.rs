//! What transfers show of themselves, and that they do nothing one after the other or twice.

use crate::harness::{Context, Fault, FaultProxy, House, LIMIT, Registry, held, own, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// An image of three layers that do not get smaller, under a name.
fn three_layers(house: &House, name: &str) {
    let context = Context::dockerfile("FROM scratch\nCOPY a /\nCOPY b /\nCOPY c /\nCMD [\"/none\"]\n");
    for file in ["a", "b", "c"] {
        let mut noise = vec![0; 200_000];
        rustix::rand::getrandom(&mut noise, rustix::rand::GetRandomFlags::empty()).unwrap();
        fs::write(context.path().join(file), noise).unwrap();
    }
    house.build(&context, &["--tag", name]);
}

/// A registry behind a slow line that has the image `image`, and who has it besides.
fn slowly(milliseconds: u64) -> (House, Registry, FaultProxy) {
    let (house, registry) = (own(), Registry::open());
    three_layers(&house, "three");
    house.ok(&["push", "-q", "three", &format!("{}/image", registry.address)]);
    let proxy = FaultProxy::before(&registry);
    proxy.slow(milliseconds);
    (house, registry, proxy)
}

/// The lines of plain progress that tell of a transfer under way.
fn under_way(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.contains("sha256:") && line.contains("/s, ") && line.ends_with(" left)"))
        .collect()
}

#[test]
fn a_pull_tells_bytes_speed_and_what_is_left() {
    let (_house, _registry, proxy) = slowly(2000);
    let (there, name) = (own(), format!("{}/image", proxy.address));
    let out = there.ok(&["pull", "--progress", "plain", &name]);
    let lines = under_way(&out.stderr);
    assert!(lines.len() >= 3, "{}", out.stderr);
    assert!(
        lines.iter().all(|line| line.starts_with("#1 sha256:") && line.contains("kB / 200.")),
        "{lines:?}"
    );
    let done =
        out.stderr.lines().filter(|line| line.starts_with("#1 sha256:") && line.ends_with("s done")).count();
    assert_eq!(done, 3, "{}", out.stderr);
    out.says("Transferred 3 blobs, 600.").says("/s)").says("Status: Downloaded newer image for");
    assert_eq!(out.text(), format!("{name}:latest"));
    // What is here is not moved again.
    let again = there.ok(&["pull", "--progress", "plain", &name]);
    assert!(!again.stderr.contains("Transferred"), "{}", again.stderr);
    again.says("Image is up to date");
}

#[test]
fn programs_read_every_transfer_as_json() {
    let (house, _registry, proxy) = slowly(1500);
    let (there, name) = (own(), format!("{}/image", proxy.address));
    let pull = there.ok(&["pull", "--progress", "rawjson", &name]);
    let push = house.ok(&["push", "--progress", "rawjson", "three", &format!("{}/pushed", proxy.address)]);
    let layout = format!("oci-layout://{}", there.home().join("layout").display());
    let copy = there.ok(&["copy", "--progress", "rawjson", &name, &layout]);
    for (out, moved) in [(pull, 3), (push, 3), (copy, 4)] {
        // Nothing but JSON.
        let all: Vec<Value> = out.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let statuses = || all.iter().flat_map(|line| line["statuses"].as_array().into_iter().flatten());
        let ended: Vec<&Value> = statuses().filter(|status| status["completed"].is_string()).collect();
        assert_eq!(ended.len(), moved, "{}", out.stderr);
        for status in ended {
            assert_eq!(
                (&status["current"], status["started"].is_string()),
                (&status["total"], true),
                "{status}"
            );
        }
        let partly = statuses().filter(|status| {
            status["current"].as_u64() > Some(0) && status["current"].as_u64() < status["total"].as_u64()
        });
        assert!(out.what.contains("push") || partly.count() > 0, "{}", out.stderr);
    }
}

#[test]
fn quiet_is_quiet_and_kinds_are_checked() {
    let (_house, registry, _proxy) = slowly(0);
    let (there, name) = (own(), format!("{}/image", registry.address));
    for flags in [&["--quiet"][..], &["--progress", "quiet"]] {
        let out = there.ok(&[&["pull"], flags, &[&name]].concat());
        assert_eq!((out.stderr.as_str(), out.text()), ("", format!("{name}:latest").as_str()));
    }
    there.fails(125, &["pull", "--progress", "loud", &name]).says("loud");
    let mut command = there.command(&["push", "-q", &name, &format!("{}/again", registry.address)]);
    command.env("BUILDKIT_PROGRESS", "plain");
    assert_eq!(run(command, LIMIT).ok().stderr, "");
}

#[test]
fn a_failed_transfer_is_an_error_in_its_progress() {
    let registry = Registry::open();
    let out = own().fails(1, &["pull", &format!("{}/none", registry.address)]);
    out.says("#1 ERROR: ");
    assert!(!out.stderr.contains("CANCELED"), "{}", out.stderr);
}

#[test]
fn a_build_tells_of_the_bases_it_pulls_and_of_its_cache() {
    let (_house, _registry, proxy) = slowly(1500);
    let there = own();
    let context = Context::dockerfile(&format!("FROM {}/image\nCOPY d /d\n", proxy.address));
    context.write("d", "d\n");
    let cache = format!("type=registry,ref={}/cache,mode=max", proxy.address);
    let built = there.build(&context, &["--tag", "new", "--cache-to", &cache]);
    assert!(under_way(&built.out.stderr).len() >= 3, "{}", built.out.stderr);
    let caching = built.out.stderr.split("exporting cache").nth(1).expect("the cache is a step");
    assert!(caching.contains(" sha256:"), "{}", built.out.stderr);
    // Another machine takes the layers from the cache.
    let third = own();
    let from = format!("type=registry,ref={}/cache", proxy.address);
    let built = third.build(&context, &["--tag", "new", "--cache-from", &from]);
    built.all_cached();
    assert!(under_way(&built.out.stderr).len() >= 3, "{}", built.out.stderr);
}

#[test]
fn several_layers_move_at_once() {
    let (house, registry, proxy) = slowly(300);
    own().ok(&["pull", &format!("{}/image", proxy.address)]);
    assert!(proxy.busiest() >= 3, "{}", proxy.busiest());
    let proxy = FaultProxy::before(&registry);
    proxy.slow(300);
    house.ok(&["push", "three", &format!("{}/pushed", proxy.address)]);
    assert!(proxy.busiest() >= 3, "{}", proxy.busiest());
}

#[test]
fn what_is_there_is_not_sent_again() {
    let (house, registry, _proxy) = slowly(0);
    let proxy = FaultProxy::before(&registry);
    let methods = |proxy: &FaultProxy| -> BTreeSet<String> {
        proxy
            .seen()
            .into_iter()
            .filter(|seen| seen.point.target.contains("/blobs/"))
            .map(|seen| seen.point.method)
            .collect()
    };
    // The registry has all blobs: each is asked for, none is sent.
    let again = house.ok(&["push", "three", &format!("{}/image:again", proxy.address)]);
    assert_eq!(again.stdout.matches("Layer already exists").count(), 3, "{}", again.stdout);
    assert_eq!(methods(&proxy), BTreeSet::from(["HEAD".to_owned()]));
    assert!(!again.stderr.contains("Transferred"), "{}", again.stderr);
    // Another repository of the same registry takes them over; the configuration alone is sent.
    let before = proxy.seen().len();
    let mounted = house.ok(&["push", "three", &format!("{}/other", proxy.address)]);
    assert_eq!(mounted.stdout.matches("Mounted from another repository").count(), 3, "{}", mounted.stdout);
    let sent: usize = proxy.seen()[before..].iter().map(|seen| seen.sent).sum();
    assert!(sent < 10_000, "{sent} bytes were sent");
}

#[test]
fn a_cut_download_goes_on_where_it_broke() {
    let (_house, registry, _proxy) = slowly(0);
    let clean = FaultProxy::before(&registry);
    own().ok(&["pull", &format!("{}/image", clean.address)]);
    let largest = clean.seen().into_iter().max_by_key(|seen| seen.got).unwrap();
    let proxy = FaultProxy::before(&registry);
    let at = largest.head + largest.got / 2;
    proxy.break_at(&largest.point, &Fault::CutAnswer(at), false);
    own().ok(&["pull", &format!("{}/image", proxy.address)]);
    let tries: Vec<usize> = proxy
        .seen()
        .iter()
        .filter(|seen| seen.point.target == largest.point.target)
        .map(|seen| seen.got)
        .collect();
    assert_eq!(tries, [largest.got, largest.got - largest.got / 2], "the second try asks for the rest");
}

#[test]
fn a_cut_upload_goes_on_where_the_registry_says() {
    let (house, registry, clean) = slowly(0);
    house.ok(&["push", "three", &format!("{}/first:v1", clean.address)]);
    let largest = clean.seen().into_iter().max_by_key(|seen| seen.sent).unwrap();
    let proxy = FaultProxy::before(&registry);
    let mut point = largest.point;
    point.target = point.target.replace("/v2/first/", "/v2/second/");
    let half = largest.sent / 2;
    proxy.break_at(&point, &Fault::KeepRequest(half), false);
    let pushed = house.ok(&["push", "three", &format!("{}/second:v1", proxy.address)]);
    assert_eq!((proxy.mend(), held(&registry, "second", "v1")), (1, Some(3)));
    let upload = point.target.split('?').next().unwrap();
    let tries: Vec<(String, usize)> = proxy
        .seen()
        .into_iter()
        .filter(|seen| seen.point.target == point.target || seen.point.target == upload)
        .map(|seen| (seen.point.method, seen.sent))
        .collect();
    let expected = [("GET", 0), ("PUT", largest.sent - half)].map(|(method, sent)| (method.to_owned(), sent));
    assert_eq!(tries, expected, "the registry is asked, and the rest is sent");
    assert_eq!(pushed.stdout.matches(": Pushed").count(), 3, "{}", pushed.stdout);
}

#[test]
fn a_push_tells_how_far_it_is_with_packing() {
    let (house, registry) = (own(), Registry::open());
    three_layers(&house, "three");
    let name = format!("{}/packed", registry.address);
    let out = house.ok(&["push", "--progress", "plain", "three", &name]);
    let packed = |out: &crate::harness::Out| {
        let done = |line: &&str| line.starts_with("#1 packing sha256:") && line.ends_with(" done");
        out.stderr.lines().filter(done).count()
    };
    assert_eq!(packed(&out), 3, "{}", out.stderr);
    out.says(" 201.").says("Transferred 3 blobs, 600.");
    // Once is enough.
    assert_eq!(packed(&house.ok(&["push", "--progress", "plain", "three", &name])), 0);
}
