//! A push and a pull of three layers with something broken at every point: the transfer ends right or fails clean, and
//! the next one ends right.

use crate::harness::{
    Context, Exchange, Fault, FaultProxy, House, LIMIT, Out, Point, Registry, folder, held, own, run, unique,
};
use oci::Digest;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many cases go on at once: most of their time they wait.
const PARALLEL: usize = 6;
/// With this variable set to `all`, every fault is tried at every exchange. Otherwise exchanges that differ in their
/// digests alone, as those of the three layers, share the faults among them.
const THOROUGH: &str = "JETTISON_FAULTS";

/// An image of three layers, no two of which have a byte in common worth compressing.
fn three_layers(house: &House, name: &str) {
    let context = Context::dockerfile("FROM scratch\nCOPY a /\nCOPY b /\nCOPY c /\nCMD [\"/none\"]\n");
    let mut state = 7_u32;
    for (file, size) in [("a", 30_000), ("b", 50_000), ("c", 70_000)] {
        let bytes: Vec<u8> = (0..size)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        fs::write(context.path().join(file), bytes).unwrap();
    }
    house.build(&context, &["--tag", name]);
}

/// The program, little patient with what hangs for good where the fault is a stall.
fn hasty(house: &House, case: &Case, args: &[&str]) -> Out {
    let mut command = house.command(args);
    let stalls = matches!(case.fault, Fault::StallRequest(_) | Fault::StallAnswer(_));
    command.env("JETTISON_NETWORK_TIMEOUT", if stalls { "2" } else { "20" });
    command.env("JETTISON_NETWORK_ATTEMPTS", "3").env("JETTISON_NETWORK_DELAY", "0.01");
    run(command, LIMIT)
}

/// All ways in which an exchange can break.
fn faults(exchange: &Exchange) -> Vec<Fault> {
    const HTML: &[&str] = &["Content-Type: text/html; charset=utf-8"];
    const JSON: &[&str] = &["Content-Type: application/json"];
    let Exchange { sent, head, got, .. } = *exchange;
    let got = if exchange.point.method == "HEAD" { 0 } else { got };
    let mut all = vec![
        Fault::Instead(500, JSON, r#"{"errors":[{"code":"UNKNOWN","message":"out of order"}]}"#),
        Fault::Instead(503, &["Retry-After: 1"], ""),
        Fault::Instead(429, &["Retry-After: 0"], ""),
        Fault::Instead(502, HTML, "<html>Bad Gateway</html>"),
        Fault::Instead(200, HTML, "<html>Log in to the hotel</html>"),
        Fault::Instead(200, &[], ""),
        Fault::Instead(404, HTML, "<html>Nothing here</html>"),
        Fault::OtherDigest,
    ];
    let offsets = |size: usize| {
        let mut offsets = vec![0, size / 2, size.saturating_sub(1)];
        offsets.dedup();
        offsets
    };
    for at in offsets(sent) {
        all.extend([Fault::CutRequest(at), Fault::StallRequest(at)]);
        if sent > 0 {
            all.push(Fault::FlipRequest(at));
        }
    }
    for at in [0, head / 2, head]
        .into_iter()
        .chain([head + got / 2, head + got - 1].into_iter().filter(|_| got > 1))
    {
        all.extend([Fault::CutAnswer(at), Fault::StallAnswer(at)]);
    }
    if got > 0 {
        all.extend(offsets(got).into_iter().map(Fault::FlipAnswer));
        all.extend([Fault::Shorter, Fault::Longer]);
    }
    all
}

/// One case: where, how, and whether once or always.
#[derive(Clone, Debug)]
struct Case {
    point: Point,
    fault: Fault,
    always: bool,
}

/// Every fault at every exchange once, and those that pass also for good.
fn cases(seen: &[Exchange]) -> Vec<Case> {
    let thorough = std::env::var(THOROUGH).is_ok_and(|value| value == "all");
    let mut alike: HashMap<(&str, String), usize> = HashMap::new();
    for exchange in seen {
        *alike.entry(kind(&exchange.point)).or_default() += 1;
    }
    let (mut cases, mut before) = (Vec::new(), HashMap::new());
    for exchange in seen {
        let point = &exchange.point;
        let place: &mut usize = before.entry(kind(point)).or_default();
        for (at, fault) in faults(exchange).into_iter().enumerate() {
            if !thorough && at % alike[&kind(point)] != *place {
                continue;
            }
            // One stall for good at each exchange is enough: each takes all the patience there is.
            if fault.passes() && !matches!(fault, Fault::StallAnswer(1..) | Fault::StallRequest(_)) {
                cases.push(Case { point: point.clone(), fault: fault.clone(), always: true });
            }
            cases.push(Case { point: point.clone(), fault, always: false });
        }
        *place += 1;
    }
    cases
}

/// What exchanges have in common that are alike but for what they are about.
fn kind(point: &Point) -> (&str, String) {
    let digits = |c: char| c.is_ascii_hexdigit();
    let words = point.target.split(['/', '?', '=', ':']);
    let kept =
        words.filter(|word| word.len() < 64 || !word.trim_start_matches("sha256%3A").chars().all(digits));
    (&point.method, kept.collect::<Vec<_>>().join("/"))
}

/// Does it for all cases, several at once, and tells all that went wrong.
#[track_caller]
fn all(cases: &[Case], work: impl Fn(&Case) -> Result<(), String> + Sync) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(reason) = work(case) {
                        let Case { point: Point { method, target, nth }, fault, always } = case;
                        let often = if *always { "always" } else { "once" };
                        let text = format!("{method} {target} ({nth}) {fault:?} {often}: {reason}");
                        wrong.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// What a command says went wrong, after its progress.
fn error(out: &Out) -> &str {
    out.stderr.split("\nerror: ").last().unwrap_or_default().trim()
}

/// How a command that met the fault ended: right, or with an error that names registry and thing. Once is passed over.
fn ended(case: &Case, out: &Out, address: &str, names: &[&str]) -> Result<bool, String> {
    match out.code {
        Some(0) => Ok(true),
        Some(1) if case.fault.passes() && !case.always => {
            Err(format!("one fault was too many: {}", error(out)))
        }
        Some(1) => {
            let error = error(out);
            let named = error.contains(address) && names.iter().any(|name| error.contains(name));
            if named { Ok(false) } else { Err(format!("the error names too little: {error}")) }
        }
        _ => Err(format!("it ended with {:?}: {}", out.code, out.stderr)),
    }
}

/// What comes after the fault must succeed.
fn next(house: &House, args: &[&str]) -> Result<(), String> {
    let out = house.run(args);
    if out.code == Some(0) { Ok(()) } else { Err(format!("the next try failed: {}", error(&out))) }
}

/// Every blob in the store must be what it is called.
fn sound(house: &House) -> Result<(), String> {
    let Ok(blobs) = fs::read_dir(house.root().join("blobs/sha256")) else { return Ok(()) };
    for blob in blobs {
        let path = blob.unwrap().path();
        let found = Digest::of(&fs::read(&path).unwrap()).hex().to_string();
        if path.file_name() != Some(Path::new(&found).as_os_str()) {
            return Err(format!("{} holds other bytes", path.display()));
        }
    }
    Ok(())
}

#[test]
fn a_broken_push_ends_right_or_clean() {
    let (house, registry) = (own(), Registry::open());
    three_layers(&house, "three");
    let clean = FaultProxy::before(&registry);
    house.ok(&["push", "three", &format!("{}/image:v1", clean.address)]);
    let seen = clean.seen();
    assert!(seen.len() >= 13, "{seen:?}");
    // Another address each time, that no case had before: the store knows of no repository there to take layers from.
    let known = Mutex::new(HashSet::from([clean.address.clone()]));
    let fresh = || {
        loop {
            let proxy = FaultProxy::before(&registry);
            if known.lock().unwrap().insert(proxy.address.clone()) {
                return proxy;
            }
        }
    };
    all(&cases(&seen), |case| {
        let (proxy, repository) = (fresh(), unique("case"));
        let target = format!("{}/{repository}:v1", proxy.address);
        let mut point = case.point.clone();
        point.target = point.target.replace("/v2/image/", &format!("/v2/{repository}/"));
        proxy.break_at(&point, &case.fault, case.always);
        let out = hasty(&house, case, &["push", "three", &target]);
        if proxy.mend() == 0 {
            return Err("the fault was not met".to_owned());
        }
        let right = ended(case, &out, &proxy.address, &["sha256:", &repository])?;
        match held(&registry, &repository, "v1") {
            Some(3) => {}
            None if !right => {}
            other => return Err(format!("the registry holds {other:?} after {}", error(&out))),
        }
        next(&house, &["push", "three", &target])?;
        sound(&house)?;
        match held(&registry, &repository, "v1") {
            Some(3) => Ok(()),
            other => Err(format!("the next push left {other:?}")),
        }
    });
}

#[test]
fn a_broken_pull_ends_right_or_clean() {
    let (house, registry) = (own(), Registry::open());
    three_layers(&house, "three");
    house.ok(&["push", "three", &format!("{}/image:v1", registry.address)]);
    let id = house.inspect("three")["Id"].clone();
    let clean = FaultProxy::before(&registry);
    own().ok(&["pull", &format!("{}/image:v1", clean.address)]);
    let seen = clean.seen();
    assert!(seen.len() >= 5, "{seen:?}");
    let scratch = folder();
    all(&cases(&seen), |case| {
        let proxy = FaultProxy::before(&registry);
        let there = House::in_folder(scratch.path().join(unique("store")), None);
        let name = format!("{}/image:v1", proxy.address);
        proxy.break_at(&case.point, &case.fault, case.always);
        let out = hasty(&there, case, &["pull", &name]);
        if proxy.mend() == 0 {
            return Err("the fault was not met".to_owned());
        }
        let right = ended(case, &out, &proxy.address, &["sha256:", "/image"])?;
        sound(&there)?;
        if there.has_image(&name) != right {
            return Err(format!("the image is there: {}, after {}", !right, out.stderr));
        }
        next(&there, &["pull", &name])?;
        sound(&there)?;
        let same = there.inspect(&name)["Id"] == id;
        fs::remove_dir_all(there.root()).unwrap();
        if same { Ok(()) } else { Err("the next pull made another image".to_owned()) }
    });
}
