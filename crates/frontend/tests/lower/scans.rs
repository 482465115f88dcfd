//! What a file asks to look into besides the image.

use crate::support::{images, lowered, options, with_args};

const FILE: &str = "FROM scratch AS a\nCOPY a /\nFROM a AS b\nCOPY b /\nFROM scratch AS unreached\nCOPY c /\n\
                    FROM scratch\nCOPY --from=b / /\n";

#[test]
fn arguments_above_the_first_from_or_in_a_stage_ask_for_scans() {
    let names = |text: &str, options: &frontend::Options| {
        let lowered = lowered(text, options, &images());
        lowered.scans.iter().map(|scan| scan.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let stage = |value: &str| format!("ARG BUILDKIT_SBOM_SCAN_STAGE{value}\n{FILE}");
    for (text, expected) in [
        (FILE.to_owned(), ""),
        (stage("=true"), "a b"),
        (stage("=b,unreached"), "b"),
        (stage("=false"), ""),
        (stage(""), ""),
        (format!("ARG BUILDKIT_SBOM_SCAN_CONTEXT=1\n{FILE}"), "context"),
        // A stage's own argument counts for it and those that stand on it.
        (FILE.replace("COPY a /", "ARG BUILDKIT_SBOM_SCAN_STAGE=true"), "a b"),
        (stage("=true").replace("COPY b /", "ARG BUILDKIT_SBOM_SCAN_STAGE=0"), "a"),
        // The context is looked into for the target alone.
        (FILE.replace("COPY a /", "ARG BUILDKIT_SBOM_SCAN_CONTEXT=true"), ""),
    ] {
        assert_eq!(names(&text, &options()), expected, "{text}");
    }
    let given = with_args(&[("BUILDKIT_SBOM_SCAN_STAGE", "true")]);
    assert_eq!(names(&stage(""), &given), "a b", "an argument of the command line");
    assert_eq!(names(FILE, &given), "", "which nobody declared");
}

#[test]
fn no_step_sees_them() {
    let sees = |name: &str| {
        let lowered =
            lowered(&format!("FROM scratch\nARG {name}=true\nRUN [\"/a\"]\n"), &options(), &images());
        lowered.graph.nodes().iter().any(|node| format!("{:?}", node.op).contains(name))
    };
    assert!(sees("ORDINARY"));
    assert!(!sees("BUILDKIT_SBOM_SCAN_STAGE"));
    assert!(!sees("BUILDKIT_SBOM_SCAN_CONTEXT"));
}
