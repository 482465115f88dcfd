//! Guide 002: a page built with Node.js and served by nginx.

use crate::harness::{Context, http_get, shared, unique};
use serde_json::json;

#[test]
fn only_the_built_page_reaches_nginx() {
    let (house, context, name) =
        (shared(), Context::fixture("guides/002"), format!("{}:prod", unique("hello-dock")));
    house.ok(&["image", "build", "--tag", &name, context.text()]);
    let files = house.files_of(&context, &[]);
    let html = "usr/share/nginx/html";
    let page = files.text(&format!("{html}/index.html"));
    assert!(page.contains("<title>hello-dock</title>"), "{page}");
    let assets = files.names(&format!("{html}/assets"));
    assert_eq!(assets.len(), 2, "{assets:?}");
    for asset in assets {
        assert!(page.contains(&format!("/assets/{asset}")), "{asset} is not named by the page");
    }
    assert!(files.has(&format!("{html}/favicon.svg")));
    // Nothing of the stage that made it.
    assert!(!files.has("app"));
    assert!(!files.has("usr/local/bin/node"));
    assert!(!files.has(&format!("{html}/src")));

    let config = house.config(&name);
    assert_eq!(config["ExposedPorts"], json!({"80/tcp": {}}));
    assert_eq!(config["Cmd"], json!(["nginx", "-g", "daemon off;"]), "the base's command");
    assert_eq!(config["Entrypoint"], json!(["/docker-entrypoint.sh"]), "the base's entrypoint");
    assert_eq!(config["StopSignal"], "SIGQUIT");
}

#[test]
fn the_page_is_served() {
    let (house, context, name) =
        (shared(), Context::fixture("guides/002"), format!("{}:prod", unique("hello-dock")));
    house.ok(&["image", "build", "--tag", &name, context.text()]);
    let container = house.container();
    let started = house.ok(&[
        "container",
        "run",
        "--rm",
        "--detach",
        "--name",
        &container.name,
        "--publish",
        "127.0.0.1::80",
        &name,
    ]);
    assert_eq!(started.text().len(), 64, "the id of the container");
    let page = http_get(container.port(80), "/");
    let script =
        page.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("the page names a script");
    assert!(script.starts_with("/assets/main-"), "{script}");
    assert!(http_get(container.port(80), script).contains("Hello from the dock"));
    house.ok(&["container", "stop", &container.name]);
    // --rm: it is gone once it has ended.
    house.ok(&["ps", "--all"]);
    assert!(!house.ok(&["ps", "--all", "--format", "{{.Names}}"]).stdout.contains(&container.name));
}
