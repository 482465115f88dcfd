//! Guide 001: TypeScript, compiled in one stage and run by an ordinary user in another.

use crate::harness::{Context, Files, Kind, http_get, shared, unique};
use serde_json::json;

/// What the final image of either variant has and has not.
fn holds_only_what_runs(files: &Files, lock: &str) {
    let app = "home/node/app";
    assert!(files.has(&format!("{app}/dist/app.js")));
    assert!(files.has(&format!("{app}/dist/greeting.js")));
    assert!(files.has(&format!("{app}/{lock}")));
    for missing in ["src", "tsconfig.json", "docs", "node_modules/tsc-lite", "Dockerfile"] {
        assert!(!files.has(&format!("{app}/{missing}")), "{missing} is in the final image");
    }
    assert!(files.has(&format!("{app}/node_modules/express-lite/index.js")));
    // WORKDIR behind USER, COPY --chown, and what RUN made: all of it is node's.
    assert_eq!(files.owner(app), (1000, 1000));
    let strangers: Vec<&str> = files
        .below(app)
        .filter(|(_, entry)| (entry.uid, entry.gid) != (1000, 1000))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(strangers, [""; 0]);
}

#[test]
fn yarn_leaves_only_dist_in_the_final_image() {
    let (house, context, name) = (shared(), Context::fixture("guides/001"), unique("ts"));
    let built = house.build(&context, &["--tag", &name]);
    for step in ["RUN yarn build", "RUN yarn install --production"] {
        assert!(built.has_step(step), "{}", built.out.stderr);
    }
    holds_only_what_runs(&house.files_of(&context, &[]), "yarn.lock");
    let config = house.config(&name);
    assert_eq!(config["User"], "node");
    assert_eq!(config["WorkingDir"], "/home/node/app");
    assert_eq!(config["Cmd"], json!(["node", "dist/app.js"]));
    assert_eq!(config["ExposedPorts"], json!({"8080/tcp": {}}));
}

#[test]
fn npm_leaves_only_dist_in_the_final_image() {
    let (house, context) = (shared(), Context::fixture("guides/001"));
    let file = context.at("Dockerfile.npm");
    house.build(&context, &["--file", &file]);
    holds_only_what_runs(&house.files_of(&context, &["--file", &file]), "package-lock.json");
}

#[test]
fn the_ignore_file_keeps_docs_and_packages_out() {
    let (house, context) = (shared(), Context::fixture("guides/001"));
    context.write("node_modules/left-pad/index.js", "// of the host\n");
    let files = house.files_of(&context, &["--file", &context.at("Dockerfile.context")]);
    assert!(files.has("context/src/app.ts"));
    assert!(files.has("context/vendor/tsc-lite/package.json"));
    assert!(files.has("context/.dockerignore"));
    assert!(!files.has("context/docs"));
    assert!(!files.has("context/node_modules"));
    assert_eq!(files.get("context/src").kind, Kind::Folder);
}

#[test]
fn it_runs_as_node_and_answers() {
    let (house, context, name) = (shared(), Context::fixture("guides/001"), unique("ts"));
    house.build(&context, &["--tag", &name]);
    let container = house.detached(&["--publish", "127.0.0.1::8080"], &name, &[]);
    assert_eq!(http_get(container.port(8080), "/"), r#"{"text":"typed greetings","name":"world"}"#);
    assert_eq!(container.exec(&["id", "-u"]).ok().text(), "1000");
}
