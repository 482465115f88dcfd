//! Guide 000: one file for two environments, one stage standing on the other.

use crate::harness::{Context, http_get, shared, unique};
use serde_json::json;

#[test]
fn abc_is_the_production_image_alone() {
    let (house, context, name) = (shared(), Context::fixture("guides/000"), unique("prod"));
    let built = house.build(&context, &["--target", "abc", "--tag", &name]);
    assert!(!built.has_step("npm install --only=dev"), "{}", built.out.stderr);
    assert!(!built.has_step("xyz"), "{}", built.out.stderr);

    let files = house.files_of(&context, &["--target", "abc"]);
    assert!(files.has("app/src/index.js"));
    assert_eq!(files.names("app/node_modules"), [".package-lock.json", "express-lite"]);
    assert_eq!(files.owner("app/src/index.js"), (0, 0));

    let config = house.config(&name);
    assert_eq!(config["Cmd"], json!(["/bin/sh", "-c", "npm run start:prod"]));
    assert_eq!(config["ExposedPorts"], json!({"8000/tcp": {}}));
    assert_eq!(config["WorkingDir"], "/app");
    assert!(config["Env"].as_array().unwrap().contains(&json!("PORT=8000")), "{config}");
}

#[test]
fn xyz_adds_the_development_packages_to_abc() {
    let (house, context, name) = (shared(), Context::fixture("guides/000"), unique("dev"));
    house.build(&context, &["--target", "abc"]);
    let built = house.build(&context, &["--target", "XYZ", "--tag", &name]);
    built.cached("RUN npm install --only=prod");
    assert!(built.step("RUN npm install --only=dev").error.is_none());

    let files = house.files_of(&context, &["--target", "xyz"]);
    assert_eq!(
        files.names("app/node_modules"),
        [".bin", ".package-lock.json", "express-lite", "nodemon-lite"]
    );
    let config = house.config(&name);
    assert_eq!(config["Cmd"], json!(["/bin/sh", "-c", "npm start"]));
    assert_eq!(config["ExposedPorts"], json!({"8000/tcp": {}}));

    // The development image stands on the layers of the production image.
    let prod = unique("prod");
    house.build(&context, &["--target", "abc", "--tag", &prod]);
    let layers = |name: &str| house.inspect(name)["RootFS"]["Layers"].as_array().unwrap().clone();
    let (below, above) = (layers(&prod), layers(&name));
    assert_eq!(above[..below.len()], below[..]);
    assert_eq!(above.len(), below.len() + 1);
}

#[test]
fn port_goes_through_arg_env_and_expose() {
    let (house, context, name) = (shared(), Context::fixture("guides/000"), unique("port"));
    house.build(&context, &["--target", "abc", "--build-arg", "PORT=8123", "--tag", &name]);
    let config = house.config(&name);
    assert_eq!(config["ExposedPorts"], json!({"8123/tcp": {}}));
    assert!(config["Env"].as_array().unwrap().contains(&json!("PORT=8123")), "{config}");
}

#[test]
fn both_environments_run_and_answer() {
    let (house, context) = (shared(), Context::fixture("guides/000"));
    for target in ["abc", "xyz"] {
        let name = unique(target);
        house.build(&context, &["--target", target, "--tag", &name]);
        let container = house.detached(&["--publish", "127.0.0.1::8000"], &name, &[]);
        assert_eq!(http_get(container.port(8000), "/"), "two environments, port 8000\n", "{target}");
    }
}
