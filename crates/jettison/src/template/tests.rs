use super::*;
use serde_json::json;

fn image() -> Value {
    json!({
        "Id": "sha256:abc", "RepoTags": ["a:1", "b:2"], "Size": 12,
        "Config": {"Env": ["A=1", "B=2"], "Cmd": null, "User": "", "Labels": {"x.y": "z", "k": "v"}, "ExposedPorts": {"80/tcp": {}}},
        "State": {"Running": true, "ExitCode": 0}
    })
}

fn check(template: &str, expected: &str) {
    assert_eq!(render(template, &image()).unwrap(), expected, "{template}");
}

#[test]
fn what_people_write() {
    for (template, expected) in [
        ("{{.Id}}", "sha256:abc"),
        ("{{ .Config.Env }}", "[A=1 B=2]"),
        ("{{json .Config.Env}}", r#"["A=1","B=2"]"#),
        ("{{.Config.Env | json}}", r#"["A=1","B=2"]"#),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{range $i, $e := .Config.Env}}{{$i}}={{$e}};{{end}}", "0=A=1;1=B=2;"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}:{{$v}} {{end}}", "k:v x.y:z "),
        ("{{range $p, $c := .Config.ExposedPorts}}{{$p}}{{end}}", "80/tcp"),
        (r#"{{index .Config.Labels "x.y"}}"#, "z"),
        (r#"{{ index .RepoTags 1 }}"#, "b:2"),
        (r#"{{index .Config.Labels "none"}}"#, "<no value>"),
        ("{{.Config.Labels.none}}", "<no value>"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{if .Config.User}}u{{else if .State.ExitCode}}e{{else}}root{{end}}", "root"),
        (r#"{{join .RepoTags ", "}}"#, "a:1, b:2"),
        ("{{len .RepoTags}}", "2"),
        ("{{upper .Id}} {{.Id | lower}} {{title \"ab cd\"}}", "SHA256:ABC sha256:abc Ab Cd"),
        (r#"{{printf "%s-%5d|%-4s|%q" .Id .Size "x" "y"}}"#, "sha256:abc-   12|x   |\"y\""),
        (r#"{{if eq .State.ExitCode 0}}ok{{end}}"#, "ok"),
        (r#"{{if and .State.Running (gt .Size 10)}}yes{{end}}"#, "yes"),
        (r#"{{with .Config.Labels}}{{.k}}{{end}}"#, "v"),
        (r#"{{with .Config.Cmd}}x{{else}}none{{end}}"#, "none"),
        ("{{json .Config.Cmd}}", "null"),
        ("{{.Config.Cmd}}", "[]"),
        ("{{.Config.Healthcheck}}|{{.Config.StopSignal}}", "<nil>|"),
        ("{{.Config.Cmd | len}}", "0"),
        ("{{$x := .Size}}{{range .RepoTags}}{{$x}}{{$.Size}}{{end}}", "12121212"),
        ("a {{- /* no */ -}} b", "ab"),
        ("a {{- .Size -}} b", "a12b"),
        (r#"{{.Id}}\t{{.Size}}"#, "sha256:abc\t12"),
        (r#"{{"a}}b"}}"#, "a}}b"),
        ("{{(index .RepoTags 0)}}", "a:1"),
        ("{{slice .Id 7}}", "abc"),
        ("{{range .Config.Cmd}}x{{else}}empty{{end}}", "empty"),
        ("{{.Config.ExposedPorts}}", "map[80/tcp:map[]]"),
        ("plain", "plain"),
    ] {
        check(template, expected);
    }
}

#[test]
fn errors_name_the_template_and_what_is_wrong() {
    for (template, reason) in [
        ("{{.Idd}}", "no field `Idd`"),
        ("{{.Id", "not closed"),
        ("{{end}}", "too many"),
        ("{{if .Id}}x", "no `{{end}}`"),
        ("{{nope .Id}}", "`nope` is not known"),
        ("{{json}}", "takes 1 values"),
        ("{{.Id.X}}", "has no field `X`"),
        ("{{$y}}", "`$y` is not set"),
        ("{{range .Size}}{{end}}", "lists and maps"),
        ("{{index .RepoTags 7}}", "item 7"),
        ("{{}}", "empty"),
        ("{{(.Id}}", "not closed"),
        ("{{.Id)}}", "too many"),
        ("{{.Id | }}", "nothing"),
        ("{{#}}", "no meaning"),
        ("{{else}}", "without"),
    ] {
        let message = render(template, &image()).unwrap_err().message;
        assert!(message.contains(reason) && message.contains(template), "{template}: {message}");
    }
}

#[test]
fn documents_are_maps_with_keys_in_lower_case() {
    let value = json!({
        "Image": {"rootfs": {"diff_ids": ["d"]}, "os": "linux", "os.version": "10"},
        "SBOM": {"SPDX": {"SPDXID": "x", "packages": [{"SPDXID": "a", "name": "n", "versionInfo": "1"}, {"name": "m"}]}},
        "Nothing": {},
    });
    for (template, expected) in [
        ("{{.Image.RootFS.DiffIDs}} {{.Image.OSVersion}}", "[d] 10"),
        ("{{range .SBOM.SPDX.packages}}{{.name}}@{{.versionInfo}}{{println}}{{end}}", "n@1\nm@<no value>\n"),
        ("{{.SBOM.SPDX.files}} {{.Nothing.args.deep}}", "<no value> <no value>"),
        ("{{with .SBOM.SPDX.files}}some{{else}}none{{end}}", "none"),
    ] {
        assert_eq!(render(template, &value).unwrap(), expected, "{template}");
    }
    let wide = Template::parse("{{json .Image.RootFS}}").unwrap().render_wide(&value).unwrap();
    assert_eq!(wide, "{\n  \"diff_ids\": [\n    \"d\"\n  ]\n}");
    assert!(render("{{.Image.Digest}}", &value).is_err(), "fields of structs are not keys");
}

#[test]
fn mounts_have_the_fields_of_volumes() {
    let shown =
        json!({"Mounts": [{"Type": "bind", "Destination": "/b"}, {"Name": "v", "Destination": "/v"}]});
    let template = "{{range .Mounts}}{{.Name}}:{{.Destination}} {{end}}";
    assert_eq!(render(template, &shown).unwrap(), ":/b v:/v ");
}

#[test]
fn deep_nesting_ends() {
    let deep = format!("{}1{}", "{{(".to_owned() + &"(".repeat(500), ")".repeat(501) + "}}");
    assert!(render(&deep, &Value::Null).unwrap_err().message.contains("nested"));
    let blocks = format!("{}{}", "{{if 1}}".repeat(500), "{{end}}".repeat(500));
    assert!(render(&blocks, &Value::Null).unwrap_err().message.contains("nested"));
}

#[test]
fn lists_come_as_lines_and_tables() {
    let rows = [json!({"ID": "1", "Names": "one"}), json!({"ID": "22", "Names": "two"})];
    assert_eq!(
        list("json", &rows, &[]).unwrap(),
        "{\"ID\":\"1\",\"Names\":\"one\"}\n{\"ID\":\"22\",\"Names\":\"two\"}\n"
    );
    assert_eq!(list("{{.ID}}", &rows, &[]).unwrap(), "1\n22\n");
    let table = list("table {{.ID}}\\t{{.Names}}", &rows, &[("ID", "CONTAINER ID")]).unwrap();
    assert_eq!(table, "CONTAINER ID   NAMES\n1              one\n22             two\n");
}
