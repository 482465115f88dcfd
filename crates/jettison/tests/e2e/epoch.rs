//! SOURCE_DATE_EPOCH: where its value comes from, and what it dates.

use crate::harness::{Context, House, LIMIT, folder, own, run, shared, unique};
use serde_json::Value;
use std::fs;
use std::path::Path;

const THEN: &str = "2001-09-09T01:46:40Z";

/// The times of an image: its own, and those of the entries of its history that no base made.
fn times(house: &House, name: &str) -> (String, Vec<String>) {
    let image = house.inspect(name);
    let history = image["History"].as_array().unwrap().clone();
    let own = history.iter().filter(|entry| entry["comment"] == "buildkit.dockerfile.v0");
    (
        image["Created"].as_str().unwrap().to_owned(),
        own.map(|entry| entry["created"].as_str().unwrap().to_owned()).collect(),
    )
}

/// Builds with an argument, and perhaps a variable of the environment.
fn build(
    context: &Context,
    argument: Option<&str>,
    variable: Option<&str>,
    more: &[&str],
) -> (String, Vec<String>) {
    let (house, name) = (shared(), unique("epoch"));
    let argument = argument.map(|value| format!("SOURCE_DATE_EPOCH={value}"));
    let mut args = vec!["build", "--progress", "plain", "--tag", &name];
    args.extend(argument.iter().flat_map(|argument| ["--build-arg", argument]));
    args.extend(more);
    args.push(context.text());
    let mut command = house.command(&args);
    command.envs(variable.map(|value| ("SOURCE_DATE_EPOCH", value)));
    run(command, LIMIT).ok();
    times(house, &name)
}

#[test]
fn seconds_come_from_the_command_line_the_environment_or_the_file() {
    let context = Context::dockerfile("FROM scratch\nCOPY <<EOF /f\nepoch\nEOF\nWORKDIR /w\nLABEL a=b\n");
    let dated = |seconds, times: &(String, Vec<String>)| {
        assert_eq!(times.0, seconds);
        assert_eq!(times.1, [seconds, seconds, seconds]);
    };
    dated(THEN, &build(&context, Some("1000000000"), None, &[]));
    dated(THEN, &build(&context, None, Some("1000000000"), &[]));
    dated(THEN, &build(&context, Some("1000000000"), Some("5"), &[]));
    assert_ne!(build(&context, None, None, &[]).0, THEN);
    assert_ne!(build(&context, Some(""), Some("1000000000"), &[]).0, THEN, "an empty argument is no time");
    context.replace("Dockerfile", "FROM scratch", "ARG SOURCE_DATE_EPOCH=1000000000\nFROM scratch");
    dated(THEN, &build(&context, None, None, &[]));
    dated("1970-01-01T00:00:05Z", &build(&context, Some("5"), None, &[]));
}

/// The annotation of the entry of a layout's index.
fn date(layout: &Path) -> Value {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    index["manifests"][0]["annotations"]["org.opencontainers.image.created"].clone()
}

#[test]
fn a_layout_says_when_its_images_were_made() {
    let context = Context::dockerfile("FROM scratch\nCOPY <<EOF /f\nepoch\nEOF\n");
    let (house, out) = (own(), folder());
    let made = |output: &str, more: &[&str]| {
        let to = out.path().join(unique("layout"));
        let output = format!("{output},dest={}", to.display());
        house.build(&context, &[&["-o", output.as_str()], more].concat());
        to
    };
    let epoch = "--build-arg=SOURCE_DATE_EPOCH=1000000000";
    let folder = "type=oci,tar=false";
    assert_eq!(date(&made(folder, &[epoch])), THEN);
    assert_eq!(
        date(&made(folder, &[epoch, "--platform=linux/amd64,linux/arm64", "--provenance=true"])),
        THEN
    );
    assert_eq!(date(&made("type=docker,tar=false", &[epoch])), THEN);
    // Whoever says something else is heard, and whoever names the image changes nothing.
    let said = "annotation-manifest-descriptor.org.opencontainers.image.created=2020";
    assert_eq!(date(&made(&format!("{folder},{said},name=example.com/a:1"), &[epoch])), "2020");
    // Without it the time is that of the image, to the second; so the next archive of it is the same, later too.
    house.build(&context, &["--tag", "dated"]);
    let created = house.inspect("dated")["Created"].as_str().unwrap().to_owned();
    let first = made(folder, &[]);
    assert_eq!(date(&first).as_str().unwrap(), format!("{}Z", &created[..19]));
    let archives = ["first", "second"].map(|_| {
        let archive = fs::read(made("type=oci", &[])).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        archive
    });
    assert!(archives[0] == archives[1], "two archives of one image differ");
    // What is no output of a build says nothing of it.
    let saved = out.path().join("saved");
    house.ok(&["save", "--format", "oci-dir", "--output", saved.to_str().unwrap(), "dated"]);
    assert_eq!(date(&saved), Value::Null);
}

#[test]
fn steps_see_it_where_they_declare_it() {
    let context = Context::dockerfile(
        "FROM busybox\nRUN echo \"[$SOURCE_DATE_EPOCH]\" > /without\nARG SOURCE_DATE_EPOCH\nRUN echo \"[$SOURCE_DATE_EPOCH]\" > /with\n",
    );
    let files = shared().files_of(&context, &["--build-arg", "SOURCE_DATE_EPOCH=7"]);
    assert_eq!((files.text("without"), files.text("with")), ("[]\n", "[7]\n"));
}

#[test]
fn a_folder_has_no_time() {
    let context = Context::dockerfile(
        "FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo \"[$SOURCE_DATE_EPOCH]\" > /seen\n",
    );
    let other = Context::new();
    other.write("f", "f\n");
    let named = format!("other={}", other.text());
    let args = ["--build-context", &named];
    assert_ne!(build(&context, Some("context"), None, &args).0, THEN);
    assert_ne!(build(&context, Some("other"), None, &args).0, THEN);
    let files = shared().files_of(&context, &["--build-arg", "SOURCE_DATE_EPOCH=context"]);
    assert_eq!(files.text("seen"), "[]\n", "as if it had not been given");
}

#[test]
fn a_stage_that_adds_a_url_has_the_time_of_the_file() {
    let server = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut buffer = [0; 4096];
            let _ = std::io::Read::read(&mut stream, &mut buffer);
            let answer = "HTTP/1.1 200 OK\r\nLast-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    let context = Context::dockerfile(&format!(
        "FROM scratch AS Source\nARG NAME=file\nADD http://127.0.0.1:{port}/$NAME /\nFROM scratch\nCOPY <<EOF /f\nx\nEOF\n"
    ));
    assert_eq!(build(&context, Some("source"), None, &[]).0, THEN);
}

#[test]
fn what_is_no_time_is_told() {
    let house = shared();
    let fails = |text: &str, value: &str, says: &[&str]| {
        let context = Context::dockerfile(text);
        let failed = house.try_build(&context, &["--build-arg", &format!("SOURCE_DATE_EPOCH={value}")]);
        assert_eq!(failed.out.code, Some(1), "{value}: {}", failed.out.stderr);
        for says in says {
            failed.out.says(says);
        }
    };
    let plain = "FROM scratch\nCOPY <<EOF /f\nx\nEOF\n";
    fails(
        plain,
        "yesterday",
        &["SOURCE_DATE_EPOCH is `yesterday`", "nor `context`, nor a named context or a stage"],
    );
    fails(plain, "-5", &["SOURCE_DATE_EPOCH is `-5`"]);
    let stage = |lines: &str| format!("FROM scratch AS s\n{lines}{plain}");
    fails(&stage("ADD f /\n"), "s", &["has one ADD of one URL", "Dockerfile:2"]);
    fails(&stage("ADD http://127.0.0.1:1/a http://127.0.0.1:1/b /\n"), "s", &["has one ADD of one URL"]);
    fails(&stage("ARG A\n"), "s", &["has one ADD of one URL"]);
    fails(&stage("LABEL a=b\n"), "s", &["nothing but ARG and ADD, and no LABEL"]);
    fails(&format!("FROM busybox AS s\n{plain}"), "S", &["stands on scratch", "Dockerfile:1"]);
}
