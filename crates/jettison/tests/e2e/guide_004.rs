//! Guide 004: a page built in a stage that is named by number or by name, and the ways before there were stages.

use crate::harness::{Context, Files, House, http_get, shared, unique};
use serde_json::json;

const HTML: &str = "usr/share/nginx/html";

fn page() -> Context {
    Context::fixture("guides/004")
}

fn is_the_page(files: &Files) {
    let html = files.text(&format!("{HTML}/index.html"));
    assert!(html.contains("<title>Сборка в два этапа</title>"), "{html}");
    assert_eq!(files.names(&format!("{HTML}/assets")).len(), 1);
    for missing in ["node_modules", "package.json", "dist", "usr/local/bin/node"] {
        assert!(!files.has(missing), "{missing} is in the final image");
    }
}

fn is_served(house: &House, image: &str) {
    let container = house.detached(&["--publish", "127.0.0.1::80"], image, &[]);
    let html = http_get(container.port(80), "/");
    assert!(html.contains("Сборка в два этапа"), "{html}");
    let script =
        html.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("the page names a script");
    assert!(http_get(container.port(80), script).contains("собрано в контейнере"));
}

#[test]
fn copy_from_a_number_with_a_relative_path() {
    let (house, context, name) = (shared(), page(), unique("page"));
    house.build(&context, &["--tag", &name]);
    is_the_page(&house.files_of(&context, &[]));
    let config = house.config(&name);
    assert_eq!(config["Cmd"], json!(["nginx", "-g", "daemon off;"]));
    is_served(house, &name);
}

#[test]
fn copy_from_a_name() {
    let (house, context, name) = (shared(), page(), unique("page"));
    let file = context.at("Dockerfile.named");
    house.build(&context, &["--file", &file, "--tag", &name]);
    is_the_page(&house.files_of(&context, &["--file", &file]));
}

#[test]
fn by_number_and_by_name_are_one_image() {
    let (house, context) = (shared(), page());
    let (number, name) = (unique("number"), unique("name"));
    house.build(&context, &["--tag", &number]);
    house.build(&context, &["--file", &context.at("Dockerfile.named"), "--tag", &name]);
    assert_eq!(house.inspect(&number)["RootFS"], house.inspect(&name)["RootFS"]);
}

#[test]
fn text_behind_the_arguments_is_no_comment() {
    // As with Docker, the words behind the arguments are sources, the last one is the destination, and the build
    // fails when it looks for them in the builder.
    let (house, context, name) = (shared(), page(), unique("comment"));
    let file = context.at("Dockerfile.comment");
    let failed = house.try_build(&context, &["--file", &file, "--tag", &name]);
    assert_eq!(failed.out.code, Some(1), "{}", failed.out.stderr);
    failed.out.says("COPY takes `комментарий` as the destination");
    failed.out.says("hint: a comment stands on a line of its own; the destination was probably meant to be `/usr/share/nginx/html`");
    failed.out.says("error: `/usr/share/nginx/html` is not in the stage `builder`");
    failed.out.says("Dockerfile.comment:9:");
    assert!(!house.has_image(&name));
}

#[test]
fn create_cp_and_rm_take_the_page_out_of_the_builder() {
    let (house, context, builder) = (shared(), page(), unique("builder"));
    house.build(&context, &["--file", &context.at("Dockerfile.builder"), "--tag", &builder]);
    let container = house.container();
    house.ok(&["create", "--name", &container.name, &builder]);
    house.ok(&["cp", &format!("{}:/dist", container.name), context.text()]);
    house.ok(&["rm", &container.name]);
    house.fails(1, &["inspect", &container.name]);
    assert!(context.read("dist/index.html").contains("Сборка в два этапа"));

    let name = unique("local");
    let file = context.at("Dockerfile.local");
    house.build(&context, &["--file", &file, "--tag", &name]);
    is_the_page(&house.files_of(&context, &["--file", &file]));
    is_served(house, &name);
}

#[test]
fn target_builder() {
    let (house, context, name) = (shared(), page(), unique("my-app"));
    let file = context.at("Dockerfile.named");
    let built = house.build(&context, &["--file", &file, "--target", "builder", "--tag", &name]);
    assert!(!built.has_step("nginx"), "{}", built.out.stderr);
    let files = house.files_of(&context, &["--file", &file, "--target", "builder"]);
    assert!(files.has("dist/index.html") && files.has("node_modules/vite-lite"));
}
