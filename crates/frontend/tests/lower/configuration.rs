//! The instructions that make no layer, WORKDIR, and the history of all.

use crate::support::*;
use frontend::Options;
use insta::assert_snapshot;

#[test]
fn everything_at_once() {
    let text = r#"FROM alpine
MAINTAINER Someone <a@b.example>
LABEL a="b c" 'd e'=f
ENV OLD way of it
USER 1000:1000
WORKDIR /app
WORKDIR sub
WORKDIR /
EXPOSE 80 443/TCP 8008-8010/udp
VOLUME /data /more
VOLUME ["/json"]
STOPSIGNAL SIGQUIT
SHELL ["/bin/bash", "-c"]
ENTRYPOINT ["node", "a \"b\""]
CMD run me
HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f http://localhost/
ONBUILD RUN echo child
"#;
    assert_snapshot!(dump(text), @r#"
     0 image alpine linux/amd64  [1/4] FROM alpine
     1 file on 0: mkdir /app 755 owner=1000:1000  [2/4] WORKDIR /app
    *2 file on 1: mkdir /app/sub 755 owner=1000:1000  [3/4] WORKDIR sub
    User: "1000:1000"
    ExposedPorts: {"443/tcp":{},"80/tcp":{},"8008/udp":{},"8009/udp":{},"8010/udp":{}}
    Env: ["PATH=/usr/bin:/bin","OLD=way of it"]
    Entrypoint: ["node","a \"b\""]
    Cmd: ["/bin/bash","-c","run me"]
    Healthcheck: {"Test":["CMD-SHELL","curl -f http://localhost/"],"Interval":90000000000,"Retries":3}
    Volumes: {"/data":{},"/json":{},"/more":{}}
    WorkingDir: "/"
    OnBuild: ["RUN echo child"]
    Labels: {"a":"b c","d e":"f"}
    StopSignal: "SIGQUIT"
    Shell: ["/bin/bash","-c"]
    author: Someone <a@b.example>
    - MAINTAINER Someone <a@b.example>
    - LABEL a=b c d e=f
    - ENV OLD=way of it
    - USER 1000:1000
    + WORKDIR /app
    + WORKDIR /app/sub
    - WORKDIR /
    - EXPOSE [443/tcp 80/tcp 8008/udp 8009/udp 8010/udp]
    - VOLUME [/data /more]
    - VOLUME [/json]
    - STOPSIGNAL SIGQUIT
    - SHELL [/bin/bash -c]
    - ENTRYPOINT ["node" "a \"b\""]
    - CMD ["/bin/bash" "-c" "run me"]
    - HEALTHCHECK {Test:[CMD-SHELL curl -f http://localhost/] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}
    MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label
    LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format
    ExposeProtoCasing: Defined protocol '443/TCP' in EXPOSE instruction should be lowercase
    "#);
}

#[test]
fn expose_takes_lists_from_variables() {
    let text = "FROM alpine\nENV LIST=\"9000 53/UDP\" P=80\nEXPOSE $LIST 127.0.0.1:8080:$P\n";
    assert_snapshot!(dump(text), @r#"
    *0 image alpine linux/amd64  [1/1] FROM alpine
    ExposedPorts: {"53/udp":{},"80/tcp":{},"9000/tcp":{}}
    Env: ["PATH=/usr/bin:/bin","LIST=9000 53/UDP","P=80"]
    Cmd: ["/bin/sh"]
    - ENV LIST=9000 53/UDP P=80
    - EXPOSE [9000/tcp 53/udp 80/tcp]
    ExposeProtoCasing: Defined protocol '53/UDP' in EXPOSE instruction should be lowercase
    ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:8080:80'
    "#);
    assert_snapshot!(error("FROM alpine\nEXPOSE ${P:-http}\n"), @r"
    error: `http` in `http` is no port or range of ports from 0 to 65535
     --> Dockerfile:2:8
      |
    2 | EXPOSE ${P:-http}
      |        ^^^^^^^^^^
    ");
}

#[test]
fn an_entrypoint_clears_the_cmd_of_the_base_only() {
    let images = images().with_config("app", r#"{"Cmd":["old"],"Entrypoint":["old"]}"#);
    let config = |text: &str| {
        let config = lowered(text, &options(), &images).config.config;
        format!("{:?} {:?}", config.entrypoint, config.cmd)
    };
    assert_snapshot!(config("FROM app\n"), @r#"Some(["old"]) Some(["old"])"#);
    assert_snapshot!(config("FROM app\nENTRYPOINT [\"new\"]\n"), @r#"Some(["new"]) None"#);
    assert_snapshot!(config("FROM app\nCMD [\"new\"]\nENTRYPOINT [\"new\"]\n"), @r#"Some(["new"]) Some(["new"])"#);
    assert_snapshot!(config("FROM app AS a\nCMD [\"stage\"]\nFROM a\nENTRYPOINT [\"new\"]\n"), @r#"Some(["new"]) None"#);
    assert_snapshot!(config("FROM app\nCMD []\nENTRYPOINT []\n"), @"None None");
    assert_snapshot!(config("FROM app\nENTRYPOINT exec top -b\n"), @r#"Some(["/bin/sh", "-c", "exec top -b"]) None"#);
}

#[test]
fn health_checks() {
    let text =
        "FROM alpine\nHEALTHCHECK --timeout=500ms --start-period=1h CMD [\"a\", \"b\"]\nHEALTHCHECK NONE\n";
    assert_snapshot!(dump(text), @r#"
    *0 image alpine linux/amd64  [1/1] FROM alpine
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    Healthcheck: {"Test":["NONE"]}
    - HEALTHCHECK {Test:[CMD a b] Interval:0s Timeout:500ms StartPeriod:1h0m0s StartInterval:0s Retries:0}
    - HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}
    MultipleInstructionsDisallowed: Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used
    "#);
}

#[test]
fn labels_of_the_command_line_win_and_leave_no_history() {
    let labels = vec![("a".to_owned(), "given".to_owned()), ("b".to_owned(), String::new())];
    let options = Options { labels, ..options() };
    assert_snapshot!(dump_with("FROM alpine\nLABEL a=written c=d\n", &options, &images()), @r#"
    *0 image alpine linux/amd64  [1/1] FROM alpine
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    Labels: {"a":"given","b":"","c":"d"}
    - LABEL a=written c=d
    "#);
}

#[test]
fn directories_stand_on_the_one_before() {
    let images = images().with_config("app", r#"{"WorkingDir":"/srv","User":"node"}"#);
    let text = "FROM app\nENV D=deep/er\nWORKDIR $D\nWORKDIR ../x/\nRUN y\nWORKDIR $NONE\nRUN z\n";
    assert_snapshot!(dump_with(text, &options(), &images), @r#"
     0 image app linux/amd64  [1/6] FROM app
     1 file on 0: mkdir /srv/deep/er 755 owner=node  [2/6] WORKDIR deep/er
     2 file on 1: mkdir /srv/deep/x 755 owner=node  [3/6] WORKDIR ../x/
     3 run on 2: ["/bin/sh", "-c", "y"] D=deep/er in /srv/deep/x as node  [4/6] RUN y
     4 file on 3: mkdir /srv/deep/x 755 owner=node  [5/6] WORKDIR $NONE
    *5 run on 4: ["/bin/sh", "-c", "z"] D=deep/er in /srv/deep/x as node  [6/6] RUN z
    User: "node"
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","D=deep/er"]
    WorkingDir: "/srv/deep/x"
    - ENV D=deep/er
    + WORKDIR /srv/deep/er
    + WORKDIR /srv/deep/x
    + RUN /bin/sh -c y # buildkit
    + WORKDIR /srv/deep/x
    + RUN /bin/sh -c z # buildkit
    WorkdirRelativePath: Relative workdir "deep/er" can have unexpected results if the base image changes
    UndefinedVar: Usage of undefined variable '$NONE'
    "#);
}

#[test]
fn signals_are_checked_and_kept_as_written() {
    assert_snapshot!(dump("FROM alpine\nSTOPSIGNAL 9\n"), @r#"
    *0 image alpine linux/amd64  [1/1] FROM alpine
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    StopSignal: "9"
    - STOPSIGNAL 9
    "#);
    assert_snapshot!(error("FROM alpine\nENV S=SIGNOPE\nSTOPSIGNAL $S\n"), @r"
    error: `SIGNOPE` is no signal
     --> Dockerfile:3:12
      |
    3 | STOPSIGNAL $S
      |            ^^
      |
      = hint: signals are numbers or names such as SIGTERM and SIGQUIT
    ");
    assert_snapshot!(error("FROM alpine\nVOLUME $NOTHING\n"), @r"
    error: a volume's path is empty
     --> Dockerfile:2:8
      |
    2 | VOLUME $NOTHING
      |        ^^^^^^^^
    ");
}
