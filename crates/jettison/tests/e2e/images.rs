//! The commands about images and the store.

use crate::harness::{Context, own_with_busybox, shared, unique};
use serde_json::Value;

/// A small image of its own.
fn image(name: &str) -> Context {
    let context = Context::dockerfile(&format!(
        "FROM busybox\nRUN echo {name} > /name\nLABEL test={name}\nCMD [\"cat\", \"/name\"]\n"
    ));
    shared().build(&context, &["--tag", name]);
    context
}

#[test]
fn images_lists_names_ids_and_sizes() {
    let (house, name) = (shared(), unique("listed"));
    image(&name);
    let table = house.ok(&["images", &name]).stdout;
    let mut lines = table.lines();
    let heading: Vec<&str> =
        lines.next().unwrap().split("  ").filter(|word| !word.is_empty()).map(str::trim).collect();
    assert_eq!(heading, ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    let row: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let id = house.inspect(&name)["Id"].as_str().unwrap().to_owned();
    assert_eq!((row[0], row[1], row[2]), (name.as_str(), "latest", &id[7..19]));
    assert!(row.last().unwrap().ends_with("MB"), "{table}");
    assert_eq!(lines.next(), None);
    assert_eq!(house.ok(&["images", "-q", "--no-trunc", &name]).text(), id);
    assert_eq!(
        house
            .ok(&[
                "image",
                "ls",
                "--format",
                "{{.Repository}}:{{.Tag}}",
                "--filter",
                &format!("label=test={name}")
            ])
            .text(),
        format!("{name}:latest")
    );
    let row: Value = serde_json::from_str(house.ok(&["images", "--format", "json", &name]).text()).unwrap();
    assert_eq!(row["Repository"], name.as_str());
    assert_eq!(house.ok(&["images", "--filter", &format!("reference={name}*"), "-q"]).text(), &id[7..19]);
    assert_eq!(house.ok(&["images", "-q", "no-such-image"]).text(), "");
    let wrong = house.run(&["images", "--filter", "no-such-filter=1"]);
    assert_ne!(wrong.code, Some(0));
    wrong.says("no-such-filter");
}

#[test]
fn inspect_formats_fields_as_templates() {
    let (house, name) = (shared(), unique("inspected"));
    image(&name);
    let format = |format: &str| house.ok(&["inspect", "--format", format, &name]).text().to_owned();
    assert_eq!(format("{{json .Config.Cmd}}"), r#"["cat","/name"]"#);
    assert_eq!(
        format("{{.Os}}/{{.Architecture}}"),
        if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" }
    );
    assert_eq!(format("{{len .RootFS.Layers}}"), "2");
    assert_eq!(format("{{range $k, $v := .Config.Labels}}{{if eq $k \"test\"}}{{$v}}{{end}}{{end}}"), name);
    assert_eq!(format("{{index .RepoTags 0}}"), format!("{name}:latest"));
    assert_eq!(format("{{join .Config.Cmd \" \"}}"), "cat /name");
    house.fails(1, &["image", "inspect", "no-such-image"]).says("no-such-image");
    house.fails(125, &["inspect", "--format", "{{.Config", &name]).says("{{.Config");
}

#[test]
fn an_image_is_found_by_name_id_and_abbreviated_id() {
    let (house, name) = (shared(), unique("found"));
    image(&name);
    let id = house.inspect(&name)["Id"].as_str().unwrap().to_owned();
    for word in
        [&name, &format!("{name}:latest"), &format!("docker.io/library/{name}"), &id, &id[7..], &id[7..19]]
            as [&str; 6]
    {
        assert_eq!(house.inspect(word)["Id"], id.as_str(), "{word}");
    }
}

#[test]
fn tag_gives_names_and_rmi_takes_them_until_none_is_left() {
    let (house, name) = (shared(), unique("tagged"));
    image(&name);
    let second = format!("{}:v2", unique("localhost:5000/team/other"));
    house.ok(&["tag", &name, &second]);
    assert_eq!(house.inspect(&second)["Id"], house.inspect(&name)["Id"]);
    let out = house.ok(&["rmi", &name]);
    assert_eq!(out.text(), format!("Untagged: {name}:latest"));
    assert!(!house.has_image(&name) && house.has_image(&second));
    let id = house.inspect(&second)["Id"].as_str().unwrap().to_owned();
    let out = house.ok(&["image", "rm", &second]);
    assert!(
        out.stdout.contains(&format!("Untagged: {second}")) && out.stdout.contains(&format!("Deleted: {id}")),
        "{}",
        out.stdout
    );
    assert!(!house.has_image(&id));
    house.fails(1, &["rmi", &second]).says(&second);
    house.fails(1, &["tag", "no-such-image", "x"]).says("no-such-image");
    house.fails(1, &["tag", "busybox", "Upper/CASE"]);
}

#[test]
fn an_image_in_use_is_kept() {
    let (house, name) = (shared(), unique("used"));
    image(&name);
    let container = house.detached(&[], &name, &["sleep", "1000"]);
    house.fails(1, &["rmi", &name]).says(&container.name);
    assert!(house.has_image(&name));
    assert_eq!(container.exec(&["cat", "/name"]).ok().text(), name);
}

#[test]
fn history_tells_sizes_and_instructions() {
    let (house, name) = (shared(), unique("history"));
    image(&name);
    let table = house.ok(&["history", &name]).stdout;
    assert!(table.starts_with("IMAGE"), "{table}");
    let rows =
        house.ok(&["image", "history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Size}}", &name]).stdout;
    let rows: Vec<&str> = rows.lines().collect();
    assert_eq!(rows[0], "CMD [\"cat\" \"/name\"]|0B");
    assert!(rows[2].starts_with("RUN /bin/sh -c echo") && !rows[2].ends_with("|0B"), "{rows:?}");
}

#[test]
fn system_df_and_prune_account_for_the_store() {
    let house = own_with_busybox();
    let context =
        Context::dockerfile("FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null\n");
    house.build(&context, &["--tag", "kept"]);
    context.replace("Dockerfile", "count=3", "count=4");
    house.build(&context, &[]);
    house.ok(&["create", "--name", "stopped", "kept"]);
    let rows = house.ok(&["system", "df", "--format", "{{.Type}}: {{.TotalCount}}"]).stdout;
    assert!(rows.contains("Images: 2") || rows.contains("Images: 3"), "{rows}");
    assert!(rows.contains("Containers: 1"), "{rows}");
    let out = house.ok(&["system", "prune", "--all", "--force"]);
    assert!(out.stdout.contains("reclaimed"), "{}", out.stdout);
    let rows = house.ok(&["system", "df", "--format", "{{.Type}}: {{.TotalCount}}"]).stdout;
    assert!(rows.contains("Images: 0") && rows.contains("Containers: 0"), "{rows}");
    // Everything is gone, and the store still works.
    let folders = std::fs::read_dir(house.root().join("layers")).unwrap().count();
    assert_eq!(folders, 0, "layers are left");
    house.ok(&["load", "--quiet", "--input", crate::harness::busybox().to_str().unwrap()]);
    house.build(&context, &["--tag", "again"]);
    assert_eq!(house.files("again").get("big").kind, crate::harness::Kind::File);
}

#[test]
fn image_prune_takes_what_has_no_name() {
    let house = own_with_busybox();
    let context = Context::dockerfile("FROM busybox\nRUN echo one > /f\n");
    house.build(&context, &["--tag", "name"]);
    let first = house.inspect("name")["Id"].as_str().unwrap().to_owned();
    context.replace("Dockerfile", "one", "two");
    house.build(&context, &["--tag", "name"]);
    // The name has moved; the first image has none.
    assert_eq!(house.ok(&["images", "-q", "--no-trunc", "--filter", "dangling=true"]).text(), first);
    house.ok(&["image", "prune", "--force"]);
    assert!(!house.has_image(&first) && house.has_image("name") && house.has_image("busybox"));
    assert_eq!(house.files("name").text("f"), "two\n");
}

#[test]
fn facts_about_the_program() {
    let house = shared();
    assert!(house.ok(&["--version"]).text().starts_with("jettison "));
    assert!(house.ok(&["version"]).stdout.contains(env!("CARGO_PKG_VERSION")));
    let info = house.ok(&["info"]).stdout;
    assert!(info.contains(house.root().to_str().unwrap()), "{info}");
    assert!(house.ok(&["--help"]).stdout.contains("build"));
    for command in ["build", "run", "images", "ps", "cp"] {
        assert!(house.ok(&[command, "--help"]).stdout.contains("Usage: jettison "), "{command}");
    }
    house.fails(125, &["no-such-command"]).says("no-such-command");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let house = shared();
    let line = format!(
        "{} images | head -n 1 > /dev/null; {} save busybox | head -c 10 > /dev/null",
        crate::harness::program().display(),
        crate::harness::program().display()
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &line]);
    house.surround(&mut command);
    let out = crate::harness::run(command, crate::harness::LIMIT).ok();
    assert_eq!(out.stderr, "");
}
