//! Guide 003: the ways from one stage to several, the order of the cache, ignore files, distroless.

use crate::harness::{Context, Files, House, Kind, http_get, shared, unique};
use serde_json::json;

fn app() -> Context {
    Context::fixture("guides/003/app")
}

/// Builds the fixture's `Dockerfile.VARIANT`, with its name and files.
fn built(house: &House, context: &Context, variant: &str) -> (String, Files) {
    let (name, file) = (unique(variant), context.at(&format!("Dockerfile.{variant}")));
    house.build(context, &["--file", &file, "--tag", &name]);
    (name, house.files_of(context, &["--file", &file]))
}

fn answers(house: &House, image: &str, text: &str) {
    let container = house.detached(&["--publish", "127.0.0.1::3000"], image, &[]);
    assert_eq!(http_get(container.port(3000), "/"), text);
}

#[test]
fn a_single_stage_ships_the_development_packages_too() {
    let (house, context) = (shared(), app());
    let (name, files) = built(house, &context, "single");
    assert_eq!(
        files.names("app/node_modules"),
        [".bin", ".package-lock.json", "express-lite", "nodemon-lite"]
    );
    assert!(files.has("root/.npm"), "npm's cache is left behind");
    let config = house.config(&name);
    assert_eq!(config["Cmd"], json!(["node", "server.js"]));
    assert_eq!(config["Entrypoint"], json!(["docker-entrypoint.sh"]), "the base's entrypoint");
    assert_eq!(config["ExposedPorts"], json!({"3000/tcp": {}}));
    answers(house, &name, "Hello from a stage\n");
}

#[test]
fn two_stages_leave_npms_cache_behind() {
    let (house, context) = (shared(), app());
    let (name, files) = built(house, &context, "basic");
    assert!(files.has("app/server.js"));
    assert!(!files.has("root/.npm"));
    assert!(
        files.has("app/node_modules/nodemon-lite"),
        "the whole folder is copied, development packages too"
    );
    assert!(house.config(&name)["Env"].as_array().unwrap().contains(&json!("PORT=3000")));
    answers(house, &name, "Hello from a stage\n");
}

#[test]
fn production_takes_three_things_by_name() {
    let (house, context) = (shared(), app());
    let (name, files) = built(house, &context, "production");
    assert_eq!(files.names("app"), ["node_modules", "package.json", "server.js"]);
    assert_eq!(files.names("app/node_modules"), [".package-lock.json", "express-lite"]);
    assert_eq!(files.get("app/node_modules/express-lite").kind, Kind::Folder, "copied, not linked");
    answers(house, &name, "Hello from a stage\n");
}

#[test]
fn of_three_stages_the_target_needs_two() {
    let (house, context, name) = (shared(), app(), unique("three"));
    let file = context.at("Dockerfile.three-stages");
    let whole = house.build(&context, &["--file", &file, "--tag", &name]);
    assert!(!whole.has_step("[deps"), "nothing of `deps` is needed:\n{}", whole.out.stderr);
    let files = house.files_of(&context, &["--file", &file]);
    assert_eq!(files.names("app"), ["node_modules", "server.js"]);
    assert!(!files.has("app/node_modules/nodemon-lite"));
    answers(house, &name, "Hello from a stage\n");
}

#[test]
fn target_deps_stops_there() {
    let (house, context) = (shared(), app());
    let file = context.at("Dockerfile.three-stages");
    let deps = house.build(&context, &["--file", &file, "--target=deps"]);
    assert!(deps.has_step("[deps 5/5] RUN npm ci"), "{}", deps.out.stderr);
    assert!(!deps.has_step("[production-deps"), "{}", deps.out.stderr);
    assert!(!deps.has_step("COPY server.js"), "{}", deps.out.stderr);
    let files = house.files_of(&context, &["--file", &file, "--target=deps"]);
    assert_eq!(
        files.names("app/node_modules"),
        [".bin", ".package-lock.json", "express-lite", "nodemon-lite"]
    );
    assert!(!files.has("app/server.js"));
}

#[test]
fn typescript_ships_what_was_compiled() {
    let (house, context, name) = (shared(), Context::fixture("guides/003/typescript"), unique("typescript"));
    house.build(&context, &["--tag", &name]);
    let files = house.files_of(&context, &[]);
    assert_eq!(files.names("app"), ["dist", "node_modules", "package.json"]);
    assert_eq!(files.names("app/dist"), ["server.js"]);
    assert!(!files.has("app/node_modules/tsc-lite"), "the compiler stays behind");
    let sources: Vec<&str> =
        files.below("app").map(|(path, _)| path).filter(|path| path.ends_with(".ts")).collect();
    assert_eq!(sources, [""; 0]);
    answers(house, &name, "Hello from TypeScript\n");
}

#[test]
fn the_api_is_owned_and_run_by_a_user_of_its_own() {
    let (house, context, name) = (shared(), Context::fixture("guides/003/api"), unique("api"));
    house.build(&context, &["--tag", &name]);
    let files = house.files_of(&context, &[]);
    assert_eq!(files.names("app"), ["node_modules", "package.json", "src"]);
    assert!(files.text("etc/passwd").contains("nodejs:x:1001:"), "{}", files.text("etc/passwd"));
    assert!(files.text("etc/group").contains("nodejs:x:1001:"), "{}", files.text("etc/group"));
    let group = files.owner("app/package.json").1;
    assert_eq!(group, 1001);
    assert!(files.below("app").all(|(_, entry)| (entry.uid, entry.gid) == (1001, 1001)));
    assert_eq!(files.owner("app"), (0, 0), "WORKDIR before USER is root's");
    let config = house.config(&name);
    assert_eq!(config["User"], "nodejs");
    assert!(config["Env"].as_array().unwrap().contains(&json!("NODE_ENV=production")));

    let container = house.detached(&["--publish", "127.0.0.1::3000"], &name, &[]);
    assert_eq!(http_get(container.port(3000), "/"), "Hello from the API\n");
    let items: serde_json::Value = serde_json::from_str(&http_get(container.port(3000), "/items")).unwrap();
    assert_eq!(items["uid"], 1001);
    assert_eq!(items["environment"], "production");
}

#[test]
fn distroless_has_no_shell_and_runs_the_script() {
    let (house, context, name) = (shared(), Context::fixture("guides/003/api"), unique("distroless"));
    let file = context.at("Dockerfile.distroless");
    house.build(&context, &["--file", &file, "--tag", &name]);
    let files = house.files_of(&context, &["--file", &file]);
    for missing in ["bin/sh", "usr/bin/sh", "bin/bash", "usr/local/bin/npm"] {
        assert!(!files.has(missing), "{missing} is in the distroless image");
    }
    assert_eq!(files.names("app"), ["node_modules", "src"]);
    let config = house.config(&name);
    assert_eq!(config["Entrypoint"], json!(["/nodejs/bin/node"]));
    assert_eq!(config["Cmd"], json!(["src/server.js"]));
    answers(house, &name, "Hello from the API\n");
    // The script is an argument of the entrypoint, and so is what takes its place.
    let other = house.ok(&["run", "--rm", &name, "--print", "6*7"]);
    assert_eq!(other.text(), "42");
}

#[test]
fn a_changed_source_leaves_npm_install_a_hit() {
    let (house, context) = (shared(), app());
    // A package of this test alone, so that no other test has run this step.
    context.replace(
        "package.json",
        "\"version\": \"1.0.0\"",
        &format!("\"version\": \"1.0.0\", \"test\": \"{}\"", unique("order")),
    );
    let file = context.at("Dockerfile.cache-order");
    let first = house.build(&context, &["--file", &file]);
    first.ran("RUN npm install");
    house.build(&context, &["--file", &file]).all_cached();

    context.replace("server.js", "Hello", "Good morning");
    let changed = house.build(&context, &["--file", &file]);
    changed.cached("RUN npm install");
    let copy = changed.ran("COPY . .");
    assert_eq!(copy.reason(), "runs because 1 file changed: server.js");
}

#[test]
fn a_changed_package_json_runs_npm_install_and_is_named_as_the_reason() {
    let (house, context) = (shared(), app());
    let salt = unique("package");
    context.replace(
        "package.json",
        "\"version\": \"1.0.0\"",
        &format!("\"version\": \"1.0.0\", \"test\": \"{salt}\""),
    );
    let file = context.at("Dockerfile.cache-order");
    house.build(&context, &["--file", &file]).ran("RUN npm install");

    context.replace("package.json", &salt, &format!("{salt}-changed"));
    let changed = house.build(&context, &["--file", &file]);
    assert_eq!(changed.ran("COPY package*.json").reason(), "runs because 1 file changed: package.json");
    let install = changed.ran("RUN npm install");
    assert_eq!(install.notes, [""; 0], "the reason is told once, at the first step of the chain");
}

#[test]
fn with_everything_copied_first_any_change_runs_npm() {
    let (house, context) = (shared(), app());
    context.write("salt.txt", &unique("inefficient"));
    let file = context.at("Dockerfile.inefficient-order");
    house.build(&context, &["--file", &file]).ran("RUN npm install");
    context.replace("server.js", "Hello", "Good evening");
    let changed = house.build(&context, &["--file", &file]);
    assert_eq!(changed.ran("COPY . .").reason(), "runs because 1 file changed: server.js");
    changed.ran("RUN npm install");
}

#[test]
fn target_builder_is_the_stage_with_everything_in_it() {
    let (house, context, name) = (shared(), app(), unique("test"));
    let file = context.at("Dockerfile.basic");
    let built = house.build(&context, &["--file", &file, "--target", "builder", "--tag", &name]);
    assert!(!built.has_step("COPY --from=builder"), "{}", built.out.stderr);
    let config = house.config(&name);
    assert!(config["ExposedPorts"].is_null(), "EXPOSE stands in the other stage: {config}");
    assert_eq!(config["Cmd"], json!(["node"]), "the base's command");
}

#[test]
fn mistake_two_the_ignore_file_keeps_secrets_and_tests_out() {
    let (house, context) = (shared(), app());
    context.write(".git/config", "[core]\n");
    context.write(".env.production", "KEY=also-secret\n");
    context.write("sub/.env", "KEY=not-at-the-root\n");
    context.write("sub/util.test.js", "// not at the root either\n");
    let (_, files) = built(house, &context, "basic");
    for missing in [
        ".git",
        ".gitignore",
        ".env",
        ".env.local",
        ".env.production",
        "tests",
        "server.test.js",
        "coverage",
        ".vscode",
    ] {
        assert!(!files.has(&format!("app/{missing}")), "{missing} is in the image");
    }
    assert!(!files.has("app/node_modules/left-behind"));
    assert!(files.has("app/server.js") && files.has("app/.dockerignore"));
    // Patterns are anchored at the root, as moby's are.
    assert!(files.has("app/sub/.env") && files.has("app/sub/util.test.js"));
    // No file of the host's node_modules came along.
    let hosts: Vec<_> = std::fs::read_dir(context.path().join("node_modules"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(!hosts.is_empty());
    for host in hosts {
        assert!(!files.has(&format!("app/node_modules/{}", host.to_str().unwrap())), "{host:?}");
    }
}
