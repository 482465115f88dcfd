//! A real registry on the loopback: pull, push, log in, mirrors.

use crate::harness::{
    Context, LIMIT, Registry, folder, free_port, own, own_with_busybox, run, run_with_input, unique,
};
use serde_json::Value;
use std::fs;
use std::process::Command;

fn image() -> Context {
    let context = Context::dockerfile(
        "FROM busybox\nCOPY f /f\nRUN echo pushed > /pushed\nCMD [\"cat\", \"/pushed\"]\n",
    );
    context.write("f", "f\n");
    context
}

#[test]
fn what_is_pushed_is_pulled_as_it_was() {
    let registry = Registry::open();
    let (here, there) = (own_with_busybox(), own());
    let name = format!("{}/team/image:v1", registry.address);
    here.build(&image(), &["--tag", &name]);
    let pushed = here.ok(&["push", &name]);
    let digest = pushed
        .stdout
        .split_whitespace()
        .chain(pushed.stderr.split_whitespace())
        .find(|word| word.starts_with("sha256:"))
        .map(str::to_owned);

    there.ok(&["pull", &name]);
    assert_eq!(there.inspect(&name)["Id"], here.inspect(&name)["Id"]);
    assert_eq!(there.ok(&["run", "--rm", &name]).stdout, "pushed\n");
    let digests = there.inspect(&name)["RepoDigests"][0].as_str().unwrap().to_owned();
    if let Some(digest) = digest {
        assert!(digests.ends_with(&digest), "{digests} {digest}");
    }
    // By its digest alone.
    let third = own();
    third.ok(&["pull", &digests]);
    assert_eq!(third.inspect(&digests)["Id"], here.inspect(&name)["Id"]);

    // A base by its digest, from the store.
    let context = Context::dockerfile(&format!("FROM {digests}\nRUN cat /pushed > /again\n"));
    assert_eq!(third.files_of(&context, &[]).text("again"), "pushed\n");

    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--tls-verify=false", &format!("docker://{name}")]);
    let seen: Value = serde_json::from_str(&run(skopeo, LIMIT).ok().stdout).unwrap();
    assert_eq!(seen["Layers"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_second_push_sends_only_what_is_missing() {
    let registry = Registry::open();
    let house = own_with_busybox();
    let name = format!("{}/again", registry.address);
    let context = image();
    house.build(&context, &["--tag", &name]);
    house.ok(&["push", &name]);
    let first = house.inspect(&name)["RepoDigests"].clone();
    house.ok(&["push", &name]);
    assert_eq!(house.inspect(&name)["RepoDigests"], first, "the same bytes");
    context.replace("Dockerfile", "pushed >", "changed >");
    house.build(&context, &["--tag", &name, "--push"]);
    let other = own();
    other.ok(&["pull", "--quiet", &name]);
    assert_eq!(other.files(&name).text("pushed"), "changed\n");
}

#[test]
fn a_layer_that_is_elsewhere_too_needs_nobody_else() {
    let (one, two, gone) = (Registry::open(), Registry::open(), Registry::open());
    let (maker, house) = (own_with_busybox(), own_with_busybox());
    let (there, base) = (format!("{}/there:1", gone.address), format!("{}/base:1", one.address));
    let context = image();
    // Layers that are the same in every store.
    let same = ["--build-arg", "SOURCE_DATE_EPOCH=1000000000"];
    for name in [&there, &base] {
        maker.build(&context, &[&same[..], &["--push", "--tag", name]].concat());
    }
    house.build(&context, &[&same[..], &["--tag", "made-here"]].concat());
    house.ok(&["pull", &there]);
    drop(gone);
    let target = format!("{}/made-here", two.address);
    house.ok(&["push", "made-here", &target]);
    let archive = folder();
    let archive = archive.path().join("saved.tar");
    house.ok(&["save", "--format", "oci-archive", "--output", archive.to_str().unwrap(), &there]);
    assert_eq!(own().ok(&["run", "--rm", &target]).stdout, "pushed\n");

    // What is nowhere but in another registry is fetched while it is pushed.
    let context = Context::dockerfile(&format!("FROM {base}\nCMD [\"cat\", \"/f\"]\n"));
    let moved = format!("{}/moved", two.address);
    own().build(&context, &["--push", "--tag", &moved]);
    assert_eq!(own().ok(&["run", "--rm", &moved]).stdout, "f\n");
}

#[test]
fn run_and_from_pull_what_is_missing() {
    let registry = Registry::open();
    let (here, there) = (own_with_busybox(), own());
    let name = format!("{}/base", registry.address);
    here.build(&image(), &["--tag", &name, "--push"]);
    assert_eq!(there.ok(&["run", "--rm", &name]).stdout, "pushed\n");
    assert!(there.has_image(&name));

    let third = own();
    let context = Context::dockerfile(&format!("FROM {name}\nRUN cat /pushed > /seen\n"));
    let files = third.files_of(&context, &[]);
    assert_eq!(files.text("seen"), "pushed\n");
    third.fails(125, &["run", "--rm", "--pull", "never", &format!("{name}:other"), "true"]).says("other");
}

#[test]
fn pull_asks_again_what_a_tag_means() {
    let registry = Registry::open();
    let (here, there) = (own_with_busybox(), own());
    let name = format!("{}/moving", registry.address);
    let context = image();
    here.build(&context, &["--tag", &name, "--push"]);
    let user = Context::dockerfile(&format!("FROM {name}\nRUN cp /pushed /seen\n"));
    assert_eq!(there.files_of(&user, &[]).text("seen"), "pushed\n");
    context.replace("Dockerfile", "echo pushed", "echo moved");
    here.build(&context, &["--tag", &name, "--push"]);
    assert_eq!(there.files_of(&user, &[]).text("seen"), "pushed\n", "what is here is used without asking");
    assert_eq!(there.files_of(&user, &["--pull"]).text("seen"), "moved\n");
}

#[test]
fn a_locked_registry_wants_a_login() {
    let registry = Registry::locked("mate", "correct horse");
    let house = own_with_busybox();
    let name = format!("{}/secret", registry.address);
    house.build(&image(), &["--tag", &name]);
    house.fails(1, &["push", &name]).says(&registry.address);
    let login = |password: &str| {
        let command = house.command(&["login", "--username", "mate", "--password-stdin", &registry.address]);
        run_with_input(command, Some(password.as_bytes()), LIMIT)
    };
    login("wrong").fails(1).says(&registry.address);
    house.fails(1, &["push", &name]);
    let done = login("correct horse\n").ok();
    assert!(done.stdout.contains("Login Succeeded") || done.stderr.contains("Login Succeeded"), "{done:?}");
    house.ok(&["push", &name]);
    house.ok(&["rmi", &name]);
    house.ok(&["pull", &name]);

    // Kept where docker and podman look, for the user alone.
    let kept = fs::read_to_string(house.home().join(".docker/config.json"))
        .or_else(|_| fs::read_to_string(house.home().join(".config/containers/auth.json")))
        .unwrap();
    assert!(kept.contains(&registry.address), "{kept}");
    house.ok(&["logout", &registry.address]);
    house.fails(1, &["pull", &name]).says(&registry.address);
    // For one command only.
    house.ok(&["pull", "--creds", "mate:correct horse", &name]);
}

#[test]
fn credentials_of_docker_and_podman_are_found() {
    let registry = Registry::locked("mate", "aye");
    let house = own_with_busybox();
    let name = format!("{}/secret", registry.address);
    house.build(&image(), &["--tag", &name]);
    let docker = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"bWF0ZTpheWU=\"}}}}}}", registry.address);
    fs::create_dir_all(house.home().join(".docker")).unwrap();
    fs::write(house.home().join(".docker/config.json"), &docker).unwrap();
    house.ok(&["push", &name]);
    fs::remove_file(house.home().join(".docker/config.json")).unwrap();
    house.fails(1, &["push", &name]);
    fs::write(house.home().join("auth.json"), &docker).unwrap();
    house.ok(&["push", "--authfile", house.home().join("auth.json").to_str().unwrap(), &name]);
}

#[test]
fn mirrors_of_registries_conf_are_asked_first() {
    let registry = Registry::open();
    let (here, there) = (own_with_busybox(), own());
    let name = unique("mirrored");
    let pushed = format!("{}/library/{name}", registry.address);
    here.build(&image(), &["--tag", &pushed, "--push"]);
    there.registries(&format!(
        "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"{}\"\ninsecure = true\n",
        registry.address
    ));
    there.ok(&["pull", &name]);
    assert!(there.inspect(&name)["RepoTags"].to_string().contains(&format!("{name}:latest")));
    assert_eq!(there.ok(&["run", "--rm", &name]).stdout, "pushed\n");
}

#[test]
fn what_is_not_there_is_said_with_its_name() {
    let registry = Registry::open();
    let house = own();
    let name = format!("{}/no/such:image", registry.address);
    house.fails(1, &["pull", &name]).says(&name);
    house.fails(125, &["run", "--rm", &name, "true"]).says(&name);
    house.fails(1, &["push", &name]).says(&name);
    let context = Context::dockerfile(&format!("FROM {name}\nRUN true\n"));
    let failed = house.try_build(&context, &[]);
    assert_eq!(failed.out.code, Some(1));
    failed.out.says(&name).says("Dockerfile:1:").says("hint: ");
    // Nobody listens there.
    let nobody = format!("127.0.0.1:{}/image", free_port());
    house.fails(1, &["pull", &nobody]).says(&nobody);
}

#[test]
fn a_layer_that_is_not_what_its_digest_says_is_refused() {
    let registry = Registry::open();
    let (here, there) = (own_with_busybox(), own());
    let name = format!("{}/damaged", registry.address);
    here.build(&image(), &["--tag", &name, "--push"]);
    registry.damage_largest_blob();
    there.fails(1, &["pull", &name]).says("sha256:");
    assert!(!there.has_image(&name), "nothing half-made is named");
}

#[test]
fn settings_that_are_not_valid_are_named() {
    let house = own();
    let name = format!("127.0.0.1:{}/image", free_port());
    for (variable, value) in [
        ("JETTISON_NETWORK_TIMEOUT", "soon"),
        ("JETTISON_NETWORK_ATTEMPTS", "0"),
        ("JETTISON_NETWORK_DELAY", "-1"),
    ] {
        let mut command = house.command(&["pull", &name]);
        command.env(variable, value);
        run(command, LIMIT).fails(1).says(variable).says(value);
    }
    // A file that may block a registry is never passed over.
    house.registries("[[registry]]\nlocation = \"127.0.0.1\"\nblocked = yes\n");
    house.fails(1, &["pull", &name]).says("registries.conf").says("blocked");
}

#[test]
fn all_tags_of_a_repository_are_pulled_and_pushed() {
    let (registry, house, there) = (Registry::open(), own(), own());
    let name = unique(&format!("{}/tagged", registry.address));
    for (tag, text) in [("1", "one"), ("2", "two"), ("latest", "two")] {
        let context = Context::dockerfile("FROM scratch\nCOPY f /\nCMD [\"/f\"]\n");
        context.write("f", text);
        house.build(&context, &["--tag", &format!("{name}:{tag}")]);
    }
    let pushed = house.ok(&["push", "--all-tags", &name]);
    assert_eq!(pushed.stdout.matches(": digest: sha256:").count(), 3, "{}", pushed.stdout);
    let pulled = there.ok(&["pull", "-a", &name]);
    // In the registry's order, which docker-registry leaves to chance.
    let mut names: Vec<&str> = pulled.stdout.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["1", "2", "latest"].map(|tag| format!("{name}:{tag}")));
    assert!(!pulled.stderr.contains("default tag"), "{}", pulled.stderr);
    assert_eq!(there.inspect(&format!("{name}:2"))["Id"], house.inspect(&name)["Id"]);
    for (command, flag) in [("pull", "-a"), ("pull", "--all-tags"), ("push", "-a")] {
        for text in
            [format!("{name}:1"), format!("{name}:latest"), format!("{name}@sha256:{}", "0".repeat(64))]
        {
            house.fails(1, &[command, flag, &text]).says("all tags of a repository").says(&name);
        }
    }
    there.fails(1, &["pull", "-a", &format!("{name}/none")]).says("none");
}
