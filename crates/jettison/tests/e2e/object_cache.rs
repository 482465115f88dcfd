//! Caches in stores of objects: S3 and Azure's blobs. (GitHub's are in `actions_cache.rs`; what is common to all shared caches is in `shared_cache.rs`.)

use crate::harness::{Azure, Bucket, Context, LIMIT, Reply, Site, folder, own_with_busybox, run};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Two stages; the first one's own steps leave no layer in the image.
fn stages() -> Context {
    let context = Context::dockerfile(
        "FROM busybox AS builder\nCOPY f /src/\nRUN cat /src/f /src/f > /doubled && cat /proc/sys/kernel/random/uuid > /stamp\n\
         FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /own\nCOPY --from=builder /doubled /doubled\n",
    );
    context.write("f", "f\n");
    context
}

#[test]
fn another_machine_runs_nothing_with_a_cache_in_a_bucket() {
    let (one, two, bucket) = (own_with_busybox(), own_with_busybox(), Bucket::start());
    let cache = format!("{},prefix=team/,name=main;feature,mode=max", bucket.attributes());
    one.build(&stages(), &["--tag", "a", "--cache-to", &cache]);
    let keys = bucket.keys();
    assert!(keys.contains(&"team/manifests/main".to_owned()), "{keys:?}");
    assert!(keys.contains(&"team/manifests/feature".to_owned()), "{keys:?}");
    let blobs: Vec<&String> = keys.iter().filter(|key| key.starts_with("team/blobs/sha256:")).collect();
    assert!(blobs.len() >= 4 && blobs.len() + 2 == keys.len(), "{keys:?}");
    // Another name, the key from a profile, and as Amazon's own tools take an endpoint.
    fs::create_dir(two.home().join(".aws")).unwrap();
    let profile =
        format!("[ci]\naws_access_key_id = {}\naws_secret_access_key = {}\n", bucket.id, bucket.secret);
    fs::write(two.home().join(".aws/credentials"), profile).unwrap();
    fs::write(two.home().join(".aws/config"), "[profile ci]\nregion = eu-west-1\n").unwrap();
    let endpoint = bucket.url();
    let from = "type=s3,bucket=cache,prefix=team/,name=feature";
    let variables = [("AWS_PROFILE", "ci"), ("AWS_ENDPOINT_URL_S3", &endpoint)];
    two.build_with(&stages(), &["--tag", "a", "--cache-from", from], &variables).all_cached();
    assert_eq!(one.inspect("a")["Id"], two.inspect("a")["Id"], "the same image");
    // Without the cache it stays.
    two.build(&stages(), &[]).all_cached();
}

#[test]
fn only_what_hits_is_fetched_and_nothing_is_sent_twice() {
    let (one, two, bucket) = (own_with_busybox(), own_with_busybox(), Bucket::start());
    let key = [("AWS_ACCESS_KEY_ID", bucket.id.as_str()), ("AWS_SECRET_ACCESS_KEY", &bucket.secret)];
    // The bucket in the host's name, as it is with Amazon.
    let place = bucket.place().replace("127.0.0.1", "localhost");
    let to = format!("{place},mode=max");
    one.build_with(&stages(), &["--cache-to", &to], &key);
    let sent = bucket.requests();
    let count =
        |requests: &[String], begin: &str| requests.iter().filter(|one| one.starts_with(begin)).count();
    assert!(count(&sent, "PUT /blobs/sha256") >= 4, "{sent:?}");
    one.build_with(&stages(), &["--cache-to", &to], &key);
    let again = bucket.requests().split_off(sent.len());
    assert_eq!(count(&again, "PUT /blobs/sha256"), 0, "{again:?}");
    assert_eq!(count(&again, "HEAD /blobs/sha256"), count(&sent, "PUT /blobs/sha256"), "{again:?}");
    // What was written before is touched where that is asked for: a copy onto itself.
    let before = bucket.requests().len();
    one.build_with(&stages(), &["--cache-to", &format!("{to},touch_refresh=0s")], &key);
    let touched = bucket.requests().split_off(before);
    assert_eq!(count(&touched, "PUT /blobs/sha256"), count(&sent, "PUT /blobs/sha256"), "{touched:?}");
    // Only the layers that the image is made of are fetched: not the builder's own.
    let before = bucket.requests().len();
    two.build_with(&stages(), &["--tag", "a", "--cache-from", &place], &key).all_cached();
    let fetched = bucket.requests().split_off(before);
    let blobs: BTreeMap<&str, usize> = fetched
        .iter()
        .filter_map(|request| request.strip_prefix("GET /blobs/"))
        .fold(BTreeMap::new(), |mut all, blob| {
            *all.entry(blob).or_default() += 1;
            all
        });
    assert_eq!(count(&fetched, "GET /manifests/buildkit"), 1, "{fetched:?}");
    assert!(blobs.len() <= 2 && blobs.values().all(|times| *times == 1), "{fetched:?}");
}

/// Lends the key of a bucket: as STS does, or as the service beside a container does.
fn lender(bucket: &Bucket) -> Site {
    let (id, secret) = (bucket.id.clone(), bucket.secret.clone());
    Site::start(move |seen| {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        match (seen.method.as_str(), seen.path.as_str()) {
            ("POST", "/sts/") if body.ends_with("WebIdentityToken=tok%2Fen.1") => {
                Reply::ok(format!(
                    "<AssumeRoleWithWebIdentityResponse><Credentials><AccessKeyId>{id}</AccessKeyId>\
                     <SecretAccessKey>{secret}</SecretAccessKey><Expiration>2100-01-01T00:00:00Z</Expiration>\
                     </Credentials></AssumeRoleWithWebIdentityResponse>"
                ))
            }
            ("POST", _) => Reply {
                body: b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>not tok/en.2</Message></Error></ErrorResponse>".to_vec(),
                ..Reply::status(400)
            },
            ("GET", "/key") if seen.header("authorization") == "Bearer pod" => {
                Reply::ok(format!(r#"{{"AccessKeyId": "{id}", "SecretAccessKey": "{secret}", "Expiration": "2000-01-01T00:00:00Z"}}"#))
            }
            _ => Reply::status(403),
        }
    })
}

#[test]
fn a_key_is_lent_for_a_token() {
    let (one, two, bucket, files) = (own_with_busybox(), own_with_busybox(), Bucket::start(), folder());
    let (lender, token) = (lender(&bucket), files.path().join("token"));
    let (sts, service, file) = (lender.url("/sts/"), lender.url("/key"), token.to_str().unwrap());
    fs::write(&token, "tok/en.1\n").unwrap();
    let identity = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/ci"),
        ("AWS_ENDPOINT_URL_STS", &sts),
    ];
    let cache = format!("{},mode=max", bucket.place());
    one.build_with(&stages(), &["--tag", "a", "--cache-to", &cache], &identity);
    // One key for all requests of a cache.
    let asked = lender.seen();
    let form = String::from_utf8(asked[0].body.clone()).unwrap();
    assert_eq!(asked.len(), 1, "{asked:?}");
    for part in [
        "Action=AssumeRoleWithWebIdentity",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fci",
        "RoleSessionName=jettison",
    ] {
        assert!(form.split('&').any(|field| field == part), "{form}");
    }
    // From the service beside a container; a key that has ended is asked for again.
    fs::write(&token, "Bearer pod").unwrap();
    let container = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", service.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file),
    ];
    two.build_with(&stages(), &["--tag", "a", "--cache-from", &bucket.place()], &container).all_cached();
    assert!(lender.seen().len() > 1);
    // What is refused is told, without the token.
    fs::write(&token, "tok/en.2").unwrap();
    let built = two.build_with(
        &Context::dockerfile("FROM busybox\nRUN echo other\n"),
        &["--cache-from", &bucket.place()],
        &identity,
    );
    built
        .out
        .says("cannot take the role arn:aws:iam::123456789012:role/ci")
        .says("InvalidIdentityToken: not xxxxx");
    fs::remove_file(&token).unwrap();
    let built = two.build_with(
        &Context::dockerfile("FROM busybox\nRUN echo more\n"),
        &["--cache-from", &bucket.place()],
        &identity,
    );
    built.out.says("cannot read the token").says(file);
}

#[test]
fn a_bucket_that_refuses_costs_a_warning_and_shows_no_key() {
    let (house, bucket) = (own_with_busybox(), Bucket::start());
    let wrong = format!("{},access_key_id={},secret_access_key=ofNoUse123", bucket.place(), bucket.id);
    let built = house.build(&stages(), &["--cache-from", &wrong]);
    built.out.says("warning: the cache s3://");
    built.out.says("SignatureDoesNotMatch");
    built.ran("RUN cat /src/f");
    let failed = house.try_build(&stages(), &["--cache-to", &format!("{wrong},ignore-error=false")]);
    assert_eq!(failed.out.code, Some(1), "{}", failed.out.stderr);
    assert!(!failed.out.stderr.contains("ofNoUse123") && !built.out.stderr.contains("ofNoUse123"));
    house.build(&stages(), &["--cache-to", &wrong]).out.says("the cache was not written");
    // No key at all: a warning for what is read, an error for what is written.
    let built = house.build(&stages(), &["--cache-from", &bucket.place()]);
    built.out.says("warning: a cache is not used: there is no key to the S3 bucket `cache`");
    let strict = format!("{},ignore-error=false", bucket.place());
    let failed = house.try_build(&stages(), &["--cache-to", &strict]);
    assert_eq!(failed.out.code, Some(1));
    failed.out.says("hint: give AWS_ACCESS_KEY_ID");
    // A bucket without a cache, and one that is not there. What the store has is not asked for at all.
    let another = |line: &str| Context::dockerfile(&format!("FROM busybox\nRUN echo {line}\n"));
    let built = house.build(&another("one"), &["--cache-from", &bucket.attributes()]);
    built.out.says("/cache/ yet");
    let elsewhere = bucket.attributes().replace("bucket=cache", "bucket=nothing");
    house.build(&another("two"), &["--cache-from", &elsewhere]).out.says("NoSuchBucket");
    let requests = bucket.requests().len();
    house.build(&another("two"), &["--cache-from", &elsewhere]).all_cached();
    assert_eq!(bucket.requests().len(), requests);
}

/// A layer so large that it is sent in parts, and no time is spent on compressing it.
const LARGE: &str = "compression=uncompressed,force-compression=true";

fn large(bytes: u64) -> Context {
    Context::dockerfile(&format!(
        "FROM busybox\nRUN head -c {bytes} /dev/zero > /big && stat -c %s /big > /size\n"
    ))
}

#[test]
fn large_layers_go_to_a_bucket_in_parts() {
    let (one, two, bucket) = (own_with_busybox(), own_with_busybox(), Bucket::start());
    let cache = format!("{},{LARGE}", bucket.attributes());
    one.build(&large(70_000_000), &["--tag", "a", "--cache-to", &cache]);
    let requests = bucket.requests();
    assert_eq!(requests.iter().filter(|request| request.contains("?partNumber=")).count(), 3, "{requests:?}");
    assert!(!requests.iter().any(|request| request.starts_with("DELETE")), "{requests:?}");
    two.build(&large(70_000_000), &["--tag", "a", "--cache-from", &bucket.attributes()]).all_cached();
    assert_eq!(two.files("a").text("size"), "70000000\n");
}

#[test]
fn another_machine_runs_nothing_with_a_cache_in_a_container_of_azures() {
    let (one, two, azure) = (own_with_busybox(), own_with_busybox(), Azure::start());
    let cache = format!("{},prefix=team,name=main;feature,{LARGE}", azure.attributes());
    one.build(&large(40_000_000), &["--tag", "a", "--cache-to", &cache]);
    let requests = azure.requests();
    let count = |part: &str| requests.iter().filter(|request| request.contains(part)).count();
    assert!(count("?comp=block&blockid=") == 2 && count("?comp=blocklist") == 1, "{requests:?}");
    assert_eq!(count("PUT /devstoreaccount1/buildkit-cache/team/manifests/"), 2, "{requests:?}");
    let from = format!("{},prefix=team,name=nothing;feature", azure.attributes());
    two.build(&large(40_000_000), &["--tag", "a", "--cache-from", &from]).all_cached();
    assert_eq!(one.inspect("a")["Id"], two.inspect("a")["Id"], "the same image");
    // A second machine sends nothing that is there.
    let before = azure.requests().len();
    two.build(&large(40_000_000), &["--cache-to", &cache]);
    let again = azure.requests().split_off(before);
    assert!(
        !again.iter().any(|request| request.starts_with("PUT") && request.contains("/blobs/")),
        "{again:?}"
    );
    // Without a key, and with a wrong one.
    let url = azure.attributes();
    let (place, _) = url.split_once(",secret_access_key=").unwrap();
    let fresh = Context::dockerfile("FROM busybox\nRUN echo fresh\n");
    let built = two.build(&fresh, &["--cache-from", place]);
    built.out.says("warning: a cache is not used: there is no key to the storage account `devstoreaccount1`");
    let wrong = format!("{place},secret_access_key=bm9Vc2U=,ignore-error=false");
    let failed = two.try_build(&fresh, &["--cache-to", &wrong]);
    assert_eq!(failed.out.code, Some(1));
    failed.out.says("AuthorizationFailure");
    assert!(!failed.out.stderr.contains("bm9Vc2U="), "{}", failed.out.stderr);
}

/// The files below a folder that hold a text.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--files-with-matches", "--text", "--fixed-strings", "--", text]).arg(folder);
    run(grep, LIMIT).stdout.lines().map(PathBuf::from).collect()
}

#[test]
fn keys_reach_no_log_no_document_and_no_file() {
    let (one, two, bucket, out) = (own_with_busybox(), own_with_busybox(), Bucket::start(), folder());
    let token = "t0k3nOfNoUse";
    let key = bucket.attributes();
    // A token that the service does not know: what fails must not show it either.
    let cases = [("plain", &key), ("rawjson", &key), ("plain", &format!("{key},session_token={token}"))]
        .map(|(progress, cache)| (progress, cache.clone()));
    for (at, (progress, cache)) in cases.iter().enumerate() {
        let path = |name: &str| out.path().join(format!("{name}-{at}")).display().to_string();
        let layout = format!("type=oci,tar=false,dest={}", path("layout"));
        let (metadata, to) = (path("metadata"), format!("{cache},mode=max,ignore-error=true"));
        for (house, flag, value) in [(&one, "--cache-to", &to), (&two, "--cache-from", cache)] {
            let context = stages();
            let mut args = vec!["build", "--progress", progress, "--tag", "a", "--output", &layout];
            args.extend([
                "--metadata-file",
                &metadata,
                "--provenance",
                "mode=max",
                flag,
                value,
                context.text(),
            ]);
            let built = house.run(&args);
            assert_eq!(built.code, Some(0), "{}", built.stderr);
            for text in [bucket.secret.as_str(), token] {
                assert!(!built.stderr.contains(text) && !built.stdout.contains(text), "{}", built.stderr);
            }
        }
    }
    for text in [bucket.secret.as_str(), token] {
        for place in [one.root(), one.home(), two.root(), two.home(), out.path().to_owned()] {
            assert_eq!(holding(&place, text), Vec::<PathBuf>::new());
        }
    }
    // A name is no secret, and this would find it: the second store knows where layers came from.
    assert!(!holding(&two.root(), "s3://").is_empty());
}
