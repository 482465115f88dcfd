//! Small files, and just the rules that each is told of.

use crate::facts::{Base, Context, Facts};
use dockerfile::lint::Config;

/// The rules that fire, without the prefix, each with its line.
fn found(text: &str, facts: &Facts) -> Vec<String> {
    let parsed = dockerfile::parse(text.as_bytes(), "Dockerfile").unwrap();
    let config = Config::of(&parsed).unwrap();
    crate::check(&parsed, facts, &config)
        .iter()
        .map(|one| {
            let rule = one.rule.unwrap().strip_prefix("Jettison/").unwrap();
            format!("{} {rule}", parsed.source.line(one.span.start))
        })
        .collect()
}

fn none(text: &str) {
    assert_eq!(found(text, &Facts::default()), [""; 0], "{text}");
}

fn context(names: &[&str], texts: &[(&str, &str)], ignore: Option<&str>) -> Facts {
    let mut context = Context::default();
    for name in names {
        context.names.insert(name.trim_end_matches('/').to_owned(), name.ends_with('/'));
    }
    for (name, text) in texts {
        context.names.insert((*name).to_owned(), false);
        context.texts.insert((*name).to_owned(), (*text).to_owned());
    }
    context.ignore = ignore.map(|text| dockerfile::ignore::Patterns::parse(text).unwrap());
    Facts { context: Some(context), ..Facts::default() }
}

/// A last stage that ships and of which nothing else can be said.
const END: &str = "USER app\nCMD [\"x\"]\n";

#[test]
fn add() {
    let facts = context(&["src/", "data"], &[], None);
    let one = |line: &str| found(&format!("FROM node\n{line}\n{END}"), &facts);
    for line in [
        "ADD . /app",
        "ADD src /x",
        "ADD a.json b.txt /x/",
        "add package*.json ./",
        "ADD src/ /x",
        "ADD <<a /x\na",
    ] {
        assert_eq!(one(line), ["2 AddInsteadOfCopy"], "{line}");
    }
    for line in [
        "ADD data /x",
        "ADD a.tar.gz /x",
        "ADD https://x/y.json /x",
        "ADD $X /y",
        "ADD --checksum=sha256:aa https://x/y /z",
        "ADD rootfs.tar /",
        "ADD https://github.com/a/b.git#main /x",
        "ADD a.json b.tgz /x/",
        "ADD --unpack=false a.json /x",
        "ADD * /x",
        "ONBUILD ADD . /x",
        "COPY . /x",
    ] {
        assert_eq!(one(line), [""; 0], "{line}");
    }
    none("FROM a AS b\nADD . /x\nFROM c\n");
}

#[test]
fn copy_before_install() {
    let one = |text: &str| {
        let text = format!("FROM python AS build\n{text}\nFROM nginx\nCOPY --from=build /d /e\n");
        found(&text, &Facts::default())
    };
    for text in [
        "COPY . .\nRUN npm install",
        "WORKDIR /app\nCOPY . /app\nRUN npm ci && npm run build",
        "COPY . /app/\nRUN cd /app && yarn",
        "ADD . .\nEXPOSE 80\nRUN go mod download",
        "COPY ./ ./\nRUN pip install -r requirements.txt",
        "COPY . .\nRUN [\"npm\", \"ci\"]",
        "WORKDIR /a\nCOPY . b\nWORKDIR b\nRUN bundle install",
        "COPY . .\nRUN <<E\nset -e\nnpm ci\nE",
        "COPY . .\nRUN --mount=type=cache,target=/root/.npm npm ci",
        "COPY . .\nRUN ./gradlew --no-daemon dependencies",
        "COPY . .\nRUN dotnet restore",
        "COPY . .\nRUN uv sync --no-install-project",
    ] {
        assert!(one(text).iter().any(|found| found.contains("CopyBeforeInstall")), "{text}");
    }
    for text in [
        "COPY package*.json ./\nRUN npm ci\nCOPY . .\nRUN npm run build",
        "COPY . .\nRUN go build ./...",
        "COPY . .\nRUN poetry install",
        "COPY . .\nRUN pip install .",
        "COPY . /src\nWORKDIR /app\nRUN npm ci",
        "COPY --from=x . .\nRUN npm ci",
        "COPY src .\nRUN npm ci",
        "COPY . .\nRUN test -f x || npm ci",
        "COPY . .\nRUN cd $X && npm ci",
        "COPY . .\nRUN echo npm ci",
        "RUN npm ci\nCOPY . .",
        "SHELL [\"powershell\"]\nCOPY . .\nRUN npm ci",
        "COPY --exclude=*.md . .\nRUN npm ci",
        "COPY . .\nRUN --mount=type=bind,target=. make",
        "COPY package.json .\nRUN npm ci\nCOPY . .\nRUN npm ci",
        "COPY . .\nRUN mvn package",
        "COPY . .\nRUN composer install",
    ] {
        assert!(!one(text).iter().any(|found| found.contains("CopyBeforeInstall")), "{text}");
    }
    let elsewhere = context(&["frontend/"], &[], None);
    assert_eq!(found("FROM node AS build\nCOPY . .\nRUN npm ci\n", &elsewhere), [""; 0]);
    assert_eq!(
        found("FROM node AS build\nCOPY . .\nRUN npm ci\n", &context(&["package.json"], &[], None)),
        ["2 CopyBeforeInstall"]
    );
}

#[test]
fn development() {
    let one = |text: &str, facts: &Facts| {
        let mut found = found(&format!("{text}\nUSER app\nCMD [\"node\", \"x.js\"]\n"), facts);
        found.retain(|one| one.contains("DevDependencies"));
        found
    };
    let facts = Facts::default();
    for text in [
        "FROM node\nCOPY package.json ./\nRUN npm install",
        "FROM node\nCOPY a .\nRUN yarn --frozen-lockfile",
        "FROM python\nCOPY a .\nRUN poetry install",
        "FROM php\nCOPY a .\nRUN composer install",
        "FROM ruby\nCOPY a .\nRUN bundle install",
        "FROM node AS a\nRUN npm ci\nFROM a AS b\nRUN x",
        "FROM node AS a\nWORKDIR /w\nRUN npm ci\nFROM node\nCOPY --from=a /w/node_modules /w/node_modules",
        "FROM node AS a\nWORKDIR /w\nRUN npm ci\nFROM node\nCOPY --from=a /w /w",
    ] {
        assert_eq!(one(text, &facts).len(), 1, "{text}");
    }
    for text in [
        "FROM node\nRUN npm ci --omit=dev",
        "FROM node\nENV NODE_ENV=production\nRUN npm ci",
        "FROM node\nARG NODE_ENV\nRUN npm ci",
        "FROM node AS a\nRUN npm ci\nFROM node\nCOPY --from=a /w/dist /w",
        "FROM node\nRUN npm ci && npm run build && npm prune --omit=dev",
        "FROM node AS dev\nRUN npm ci",
        "FROM node\nRUN npm ci\nRUN npm prune --production",
        "FROM node\nRUN if [ $X = dev ]; then npm ci; else npm ci --omit=dev; fi",
        "FROM ruby\nRUN bundle config set --local without development\nRUN bundle install",
        "FROM node\nRUN npm install -g yarn",
        "FROM node AS a\nWORKDIR /w\nRUN npm ci\nRUN npm prune --production\nFROM node\nCOPY --from=a /w /w",
        "FROM node\nRUN npm install --only=dev",
    ] {
        assert_eq!(one(text, &facts), [""; 0], "{text}");
    }
    let plain = "FROM node\nRUN npm ci";
    assert_eq!(
        one(plain, &context(&[], &[("package.json", r#"{"devDependencies": {"a": "1"}}"#)], None)).len(),
        1
    );
    for text in [r#"{}"#, r#"{"devDependencies": {}}"#] {
        assert_eq!(one(plain, &context(&[], &[("package.json", text)], None)), [""; 0]);
    }
    assert_eq!(one(plain, &context(&[], &[(".npmrc", "omit = dev\n")], None)), [""; 0]);
    none("FROM node\nUSER x\nRUN npm ci --only=dev && npm cache clean --force\nCMD npm run dev\n");
    let nodemon = r#"{"scripts": {"start": "nodemon x"}, "devDependencies": {"nodemon": "1"}}"#;
    let text = "FROM node\nUSER x\nRUN npm ci && npm cache clean --force\nCMD npm start\n";
    assert_eq!(found(text, &context(&[], &[("package.json", nodemon)], None)), [""; 0]);
    assert_eq!(found(text, &Facts::default()), ["3 DevDependenciesInFinalStage"]);
    let mut bases = Facts::default();
    bases
        .bases
        .insert("node".into(), Base { environment: vec!["NODE_ENV=production".into()], ..Base::default() });
    assert_eq!(one(plain, &bases), [""; 0]);
    none("FROM node\nRUN npm ci && npm cache clean --force\n");
}

#[test]
fn ignore_entries() {
    let text = "FROM node AS build\nCOPY package.json .\nRUN npm ci\nCOPY . .\n";
    let names = ["node_modules/", ".git/", ".env", "src/"];
    assert_eq!(found(text, &context(&names, &[], None)), ["4 MissingIgnoreEntry"]);
    assert_eq!(found(text, &context(&names, &[], Some("node_modules\n.git"))), ["4 MissingIgnoreEntry"]);
    assert_eq!(found(text, &context(&names, &[], Some("node_modules\n.git\n.env*"))), [""; 0]);
    assert_eq!(found(text, &context(&["src/", ".env.example"], &[], None)), [""; 0]);
    let git = "FROM node AS build\nCOPY package.json .\nRUN npm ci\nCOPY . .\nRUN git describe\n";
    assert_eq!(found(git, &context(&[".git/"], &[], None)), [""; 0]);
    let ships_modules = "FROM node AS build\nCOPY . .\n";
    assert_eq!(found(ships_modules, &context(&["node_modules/"], &[], None)), [""; 0]);
    none(text);
    let message = {
        let parsed = dockerfile::parse(text.as_bytes(), "D").unwrap();
        crate::check(&parsed, &context(&names, &[], None), &Config::default()).remove(0)
    };
    assert_eq!(
        message.message,
        "COPY of `.` takes `node_modules`, `.git` and `.env` from the context: there is no .dockerignore"
    );
}

#[test]
fn package_caches() {
    let one = |line: &str| found(&format!("FROM debian\n{line}\n{END}"), &Facts::default());
    for line in [
        "RUN apt-get update && apt-get install -y curl",
        "RUN apt update; apt install x",
        "RUN apk add curl",
        "RUN apk update",
        "RUN dnf install -y x",
        "RUN yum -y install x",
        "RUN microdnf install x",
        "RUN zypper install -y x",
        "RUN pip install flask",
        "RUN python3 -m pip install -r r.txt",
        "RUN npm ci --omit=dev",
        "RUN npm install -g x",
        "RUN conda install -y x",
        "RUN poetry install --only main",
        "RUN composer install --no-dev",
        "RUN [\"apk\", \"add\", \"x\"]",
        "RUN sh -c 'apk add x'",
        "RUN --mount=type=cache,target=/root/.npm pip install x",
        "RUN rm -rf /var/lib/apt/lists/* && apt-get update",
    ] {
        assert_eq!(one(line), ["2 PackageCacheInLayer"], "{line}");
    }
    assert_eq!(one("RUN <<E\napk add x\nE"), ["3 PackageCacheInLayer"]);
    for line in [
        "RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*",
        "RUN apt-get install -y x",
        "RUN apk add --no-cache x",
        "RUN apk add x && rm -rf /var/cache/apk/*",
        "RUN dnf -y install x && dnf clean all",
        "RUN pip install --no-cache-dir x",
        "ENV PIP_NO_CACHE_DIR=1\nRUN pip install x",
        "RUN PIP_NO_CACHE_DIR=1 pip install x",
        "RUN --mount=type=cache,target=/root/.cache pip install x",
        "RUN --mount=type=cache,target=/var/lib/apt --mount=type=cache,target=/var/cache/apt apt-get update && apt-get install x",
        "RUN npm ci --omit=dev && npm cache clean --force",
        "RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev",
        "RUN yarn install --production",
        "RUN pnpm i -P",
        "RUN pip download x",
        "RUN npm run build",
        "RUN apt-get update && apt-get distclean",
        "RUN if x; then apk add y; fi",
        "RUN pip install x && rm -rf ~/.cache",
        "RUN pip install x && rm -rf $CACHE",
        "RUN apk add x && /clean.sh",
        "RUN --mount=type=tmpfs,target=/root pip install x",
    ] {
        assert_eq!(one(line), [""; 0], "{line}");
    }
    none(
        "FROM debian AS build\nRUN apt-get update && apt-get install -y gcc\nFROM debian\nUSER a\nCOPY --from=build /x /y\nCMD [\"x\"]\n",
    );
    none("FROM debian AS builder\nRUN apt-get update\n");
    assert_eq!(
        found("FROM debian\nRUN apt-get update && apt-get install -y x\n", &Facts::default()),
        ["2 PackageCacheInLayer"]
    );
}

#[test]
fn repeated_installs() {
    let one = |text: &str| {
        let mut found = found(&format!("{text}\n{END}"), &Facts::default());
        found.retain(|one| one.contains("InstallRepeated"));
        found
    };
    for text in [
        "FROM node AS b\nRUN npm ci\nFROM node\nCOPY --from=b /x /y\nRUN npm ci",
        "FROM node AS b\nRUN npm ci --omit=dev\nFROM node\nCOPY --from=b /x /y\nRUN npm install --production",
        "FROM python AS b\nRUN pip install -r a.txt\nFROM python\nCOPY --from=b /x /y\nRUN pip install -r a.txt",
    ] {
        assert_eq!(one(text).len(), 1, "{text}");
    }
    for text in [
        "FROM node AS b\nRUN npm ci\nFROM node\nCOPY --from=b /x /y\nRUN npm ci --omit=dev",
        "FROM node AS b\nRUN npm ci\nFROM node:alpine\nCOPY --from=b /x /y\nRUN npm ci",
        "FROM --platform=$BUILDPLATFORM node AS b\nRUN npm ci\nFROM node\nCOPY --from=b /x /y\nRUN npm ci",
        "FROM node AS b\nRUN npm ci\nFROM node\nRUN npm ci",
        "FROM node AS b\nRUN npm ci\nFROM b\nRUN npm ci",
        "FROM python AS b\nRUN pip install -r a.txt\nFROM python\nCOPY --from=b /x /y\nRUN pip install -r b.txt",
    ] {
        assert_eq!(one(text), [""; 0], "{text}");
    }
}

#[test]
fn secrets() {
    let token = "aZ9bY8cX7dW6eV5fU4gT3hS2iR1jQ0kPmNoL".to_owned();
    let one = |line: &str, facts: &Facts| found(&format!("FROM node\n{line}\n{END}"), facts);
    let facts = Facts::default();
    for line in [
        format!("ENV GITHUB_PAT=ghp_{token}"),
        format!("ARG X=npm_{token}"),
        "ENV URL=postgres://app:hunter22@db/x".into(),
        format!("RUN curl -H 'Authorization: {}' x", format_args!("glpat-{token}")),
        format!("LABEL a=ghp_{token}"),
        format!("RUN <<E\nx ghp_{token}\nE"),
    ] {
        assert_eq!(one(&line, &facts), ["2 SecretValue"], "{line}");
    }
    // BuildKit's rule tells of this one.
    assert_eq!(one(&format!("ENV NPM_TOKEN=npm_{token}"), &facts), [""; 0]);
    assert_eq!(one("ENV URL=postgres://app:$PASS@db/x\nARG X\nENV Y=1", &facts), [""; 0]);
    for line in ["COPY .env ./", "COPY id_rsa /root/.ssh/", "ADD ./.netrc /root/", "COPY keys/id_ed25519 /x"]
    {
        assert_eq!(one(line, &facts), ["2 SecretCopied"], "{line}");
    }
    for line in ["COPY .env.example ./", "COPY --from=x .env ./", "COPY .npmrc ./", "COPY id_rsa.pub /x"] {
        assert_eq!(one(line, &facts), [""; 0], "{line}");
    }
    let npmrc = context(&[], &[(".npmrc", "//r/:_authToken=abcdef\n")], None);
    assert_eq!(one("COPY .npmrc ./", &npmrc), ["2 SecretCopied"]);
    assert_eq!(one("COPY . .", &npmrc), ["2 SecretCopied"]);
    assert_eq!(one("COPY . .", &context(&["id_rsa"], &[], Some("id_*"))), [""; 0]);
    assert_eq!(one("COPY .npmrc ./", &context(&[], &[(".npmrc", "install-links=true\n")], None)), [""; 0]);
    // The value is never shown.
    let text = format!("FROM a\nENV X=ghp_{token}\n");
    let parsed = dockerfile::parse(text.as_bytes(), "D").unwrap();
    let told = crate::check(&parsed, &facts, &Config::default());
    assert!(!format!("{:?}", told).contains(&token), "{told:?}");
}

#[test]
fn users() {
    for base in [
        "node:22-alpine",
        "python",
        "debian:12-slim",
        "docker.io/library/golang:1",
        "gcr.io/distroless/static",
    ] {
        assert_eq!(
            found(&format!("FROM {base}\nCMD [\"x\"]\n"), &Facts::default()),
            ["1 NoUserInFinalStage"],
            "{base}"
        );
    }
    for text in [
        "FROM node\nUSER node\nCMD [\"x\"]\n",
        "FROM node AS a\nUSER node\nFROM a\nCMD [\"x\"]\n",
        "FROM nginx\nCMD [\"nginx\"]\n",
        "FROM gcr.io/distroless/static:nonroot\nCMD [\"x\"]\n",
        "FROM gcr.io/distroless/static-debian12:debug-nonroot\nENTRYPOINT [\"x\"]\n",
        "FROM company/base\nCMD [\"x\"]\n",
        "FROM node\n",
        "FROM scratch\nCMD [\"x\"]\n",
        "FROM debian\nCMD [\"nginx\", \"-g\", \"daemon off;\"]\n",
        "FROM debian\nENTRYPOINT [\"gosu\", \"app\", \"x\"]\n",
        "FROM alpine\nRUN apk add --no-cache su-exec\nENTRYPOINT [\"/run\"]\n",
        "FROM $BASE\nCMD [\"x\"]\n",
        "FROM debian\nENTRYPOINT [\"/docker-entrypoint.sh\"]\nCMD [\"x\"]\n",
        "FROM node\nUSER $U\nCMD [\"x\"]\n",
        "FROM php:8-apache\nCMD [\"x\"]\n",
    ] {
        none(text);
    }
    let mut facts = Facts::default();
    let base = |user: &str| Base { user: user.to_owned(), ..Base::default() };
    facts.bases.insert("company/base".into(), base(""));
    facts.bases.insert("node".into(), base("1000:1000"));
    assert_eq!(found("FROM company/base\nCMD [\"x\"]\n", &facts), ["1 NoUserInFinalStage"]);
    assert_eq!(found("FROM node\nCMD [\"x\"]\n", &facts), [""; 0]);
}

#[test]
fn whole_builders() {
    let one = |builder: &str, copy: &str| {
        let text = format!(
            "FROM node AS b\nWORKDIR /app\n{builder}\nFROM node\nWORKDIR /app\n{copy}\nUSER a\nCMD [\"x\"]\n"
        );
        let mut found = found(&text, &Facts::default());
        found.retain(|one| one.contains("WholeBuilder"));
        found
    };
    let built = "COPY package.json .\nRUN npm ci --omit=dev\nCOPY . .\nRUN npm run build";
    for copy in
        ["COPY --from=b /app /app", "COPY --from=b /app/ ./", "COPY --from=0 app .", "COPY --from=B /app/. ."]
    {
        assert_eq!(one(built, copy).len(), 1, "{copy}");
    }
    for copy in [
        "COPY --from=b /app/dist ./dist",
        "COPY --from=b / /",
        "COPY --from=b --exclude=src /app /app",
        "COPY --from=other /app /app",
    ] {
        assert_eq!(one(built, copy), [""; 0], "{copy}");
    }
    let copy = "COPY --from=b /app /app";
    for builder in [
        "COPY . .\nRUN go build -o x",
        "COPY package.json .\nRUN npm install\nCOPY . .",
        "COPY . .\nRUN cargo build --release",
    ] {
        assert_eq!(one(builder, copy).len(), 1, "{builder}");
    }
    for builder in [
        "COPY package.json .\nRUN npm ci --omit=dev",
        "COPY . .\nRUN pip install -r r.txt",
        "COPY src .\nRUN go build",
        "COPY . .",
    ] {
        assert_eq!(one(builder, copy), [""; 0], "{builder}");
    }
}

#[test]
fn skipping() {
    let text = "FROM node\nADD . /app\nRUN apk add x\nUSER a\nCMD [\"x\"]\n";
    let all = ["2 AddInsteadOfCopy", "3 PackageCacheInLayer"];
    assert_eq!(found(text, &Facts::default()), all);
    let with = |check: &str| found(&format!("# check={check}\n{text}"), &Facts::default());
    assert_eq!(with("skip=Jettison/AddInsteadOfCopy"), ["4 PackageCacheInLayer"]);
    assert_eq!(with("skip=all"), [""; 0]);
    assert_eq!(with("skip=Jettison/*;error=true"), [""; 0]);
    assert_eq!(with("skip=StageNameCasing").len(), 2);
    none("FROM node\n# check=skip=Jettison/AddInsteadOfCopy\nADD . /app\nUSER a\nCMD [\"x\"]\n");
}

#[test]
fn targets() {
    let text = "FROM node AS dev-image\nRUN npm ci\nFROM debian AS last\nRUN apk add x\n";
    let facts = Facts { target: Some("LAST".into()), ..Facts::default() };
    assert_eq!(found(text, &facts), ["4 PackageCacheInLayer"]);
    assert_eq!(found(text, &Facts { target: Some("dev-image".into()), ..Facts::default() }), [""; 0]);
}
