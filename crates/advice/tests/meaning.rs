//! A fix that must not change what a file means is lowered before and after: the same operations, the same image.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use advice::Facts;
use dockerfile::Dockerfile;
use frontend::{BaseImage, BoxError, MetaResolver, Options};
use oci::{Digest, ImageConfig, Platform};

/// Every image is there, and says little.
struct Images;

impl MetaResolver for Images {
    fn image(&self, reference: &str, _platform: &Platform) -> Result<BaseImage, BoxError> {
        let config = br#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":[]}}"#;
        Ok(BaseImage {
            reference: reference.to_owned(),
            resolved: None,
            manifest: None,
            id: Digest::of(reference.as_bytes()),
            config: ImageConfig::parse(config)?,
        })
    }
}

/// The operations with their inputs, and the image's configuration but for its history, which shows the file's words.
fn meaning(text: &str) -> Option<(String, String)> {
    let platform: Platform = "linux/amd64".parse().unwrap();
    let options = Options { platform: platform.clone(), build_platform: platform, ..Options::default() };
    let parsed: Dockerfile = dockerfile::parse(text.as_bytes(), "Dockerfile").unwrap();
    let lowered = frontend::lower(&parsed, &options, &Images).ok()?;
    let nodes: Vec<String> =
        lowered.graph.nodes().iter().map(|node| format!("{:?} of {:?}", node.op, node.inputs)).collect();
    let mut config = lowered.config;
    config.history.clear();
    Some((nodes.join("\n"), format!("{config:?}")))
}

#[track_caller]
fn keeps_its_meaning(text: &str) {
    let fixed = advice::fix("Dockerfile", text, &Facts::default(), None).unwrap();
    assert!(!fixed.changes.is_empty(), "nothing is fixed in {text}");
    let before = meaning(text).expect("the file can be lowered");
    assert_eq!(Some(before), meaning(&fixed.text), "{text}\n{}", fixed.text);
}

#[test]
fn casing_and_names() {
    keeps_its_meaning(
        "from node:22 as Build\nRUN make\nCOPY a b\nFROM build\nFROM alpine AS Last\nCOPY --from=Build /a /b\nRUN --mount=type=bind,from=Build,target=/x y\n",
    );
    keeps_its_meaning(
        "from a AS Base\nrun x\nfrom b\nCOPY --from=0 a b\ncopy --from=BASE a b\ncopy --from=Base a b\n",
    );
}

#[test]
fn pairs() {
    keeps_its_meaning(
        "FROM alpine\nENV a b\nENV c  d e  f\nENV g \"h i\"\nENV j k=l\nENV o $a q\nENV p ${c:-x y}\nLABEL k l m\nENV z \\\n  one \\\n  two\nRUN env\n",
    );
    keeps_its_meaning("# escape=`\nFROM alpine\nENV a b c\nENV d C:\\x\nENV e x` y\nRUN env\n");
}

#[test]
fn lines_platforms_and_ports() {
    keeps_its_meaning(
        "FROM --platform=$TARGETPLATFORM alpine\nRUN a \\\n\n  && b \\\n# c\n\n  && d\nEXPOSE 53/UDP 80/Tcp\n",
    );
    keeps_its_meaning("FROM scratch\nWORKDIR a\nWORKDIR b/../c\nCOPY x .\n");
}

#[test]
fn plain_copies() {
    // COPY and ADD of plain files are one operation but for whether archives are unpacked.
    let text = "FROM alpine\nADD --chown=1:2 src/ a.json /app/\n";
    let fixed = advice::fix("Dockerfile", text, &Facts::default(), None).unwrap();
    let (before, after) = (meaning(text).unwrap(), meaning(&fixed.text).unwrap());
    assert_eq!(before.0.replace("unpack: true", "unpack: false"), after.0);
    assert_eq!(before.1, after.1);
}

/// What the parser's corpus holds, with only the fixes that keep the meaning.
#[test]
fn the_corpus() {
    let changing = ["MaintainerDeprecated", "JSONArgsRecommended", "Jettison/*"];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../dockerfile/tests/corpus");
    let config = dockerfile::lint::Config::parse(&format!("skip={}", changing.join(","))).unwrap();
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(fixed) = advice::fix("Dockerfile", &text, &Facts::default(), Some(&config)) else { continue };
        if let Some(before) = meaning(&text) {
            assert_eq!(Some(before), meaning(&fixed.text), "{}\n{}", path.display(), fixed.text);
            compared += usize::from(!fixed.changes.is_empty());
        }
    }
    assert!(compared > 10, "{compared}");
}
