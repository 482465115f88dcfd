//! Each rule's reason and example: what `docs/rules.md` shows, and what a test holds the rules to.

use crate::rule::Rule;

/// How a rule is explained.
pub(crate) struct Example {
    /// Why, and when the rule speaks.
    pub(crate) why: &'static str,
    /// What lies at the top of the build context.
    pub(crate) context: &'static [&'static str],
    /// A file that is told of by the rule.
    pub(crate) bad: &'static str,
    /// The same without any finding of ours.
    pub(crate) good: &'static str,
    /// What `--fix` does about it, or why it does nothing.
    pub(crate) fix: &'static str,
}

impl Rule {
    /// The rule's example.
    pub(crate) fn example(self) -> Example {
        match self {
            Self::AddInsteadOfCopy => ADD_INSTEAD_OF_COPY,
            Self::CopyBeforeInstall => COPY_BEFORE_INSTALL,
            Self::DevDependenciesInFinalStage => DEV_DEPENDENCIES,
            Self::InstallRepeatedInFinalStage => INSTALL_REPEATED,
            Self::MissingIgnoreEntry => MISSING_IGNORE_ENTRY,
            Self::NoUserInFinalStage => NO_USER,
            Self::PackageCacheInLayer => PACKAGE_CACHE,
            Self::SecretCopied => SECRET_COPIED,
            Self::SecretValue => SECRET_VALUE,
            Self::WholeBuilderCopied => WHOLE_BUILDER,
        }
    }
}

const ADD_INSTEAD_OF_COPY: Example = Example {
    why: "ADD also downloads addresses, clones repositories and unpacks archives, so a reader has to think about each of \
          them. COPY only copies. The rule speaks of folders, and of files whose name says that they are no archive; ADD \
          tells an archive by its content, so of other files nobody can be sure.",
    context: &["package.json", "src/"],
    bad: "\
FROM node:22-alpine
WORKDIR /app
ADD src ./src
USER node
CMD [\"node\", \"src/server.js\"]
",
    good: "\
FROM node:22-alpine
WORKDIR /app
COPY src ./src
USER node
CMD [\"node\", \"src/server.js\"]
",
    fix: "writes COPY in place of ADD.",
};

const COPY_BEFORE_INSTALL: Example = Example {
    why: "A step is run again when a file changed that it stands on. With the whole context copied before `npm ci`, every \
          changed source installs all packages again; with only the manifests before it, a changed source leaves the \
          install as it was. The rule knows the installs of npm, yarn, pnpm, bun, pip, pipenv, poetry, uv, pdm, bundler, \
          composer, go, cargo, maven, gradle, dotnet and mix that read manifests alone (`poetry install` without \
          `--no-root` reads sources too, for one), in the folder that the context was copied to.",
    context: &["package.json", "package-lock.json", "src/"],
    bad: "\
FROM node:22-alpine AS builder
WORKDIR /app
COPY . .
RUN npm ci
RUN npm run build

FROM nginx:stable-alpine
COPY --from=builder /app/dist /usr/share/nginx/html
",
    good: "\
FROM node:22-alpine AS builder
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN npm run build

FROM nginx:stable-alpine
COPY --from=builder /app/dist /usr/share/nginx/html
",
    fix: "parts the COPY, where the manifests are known to lie in the context and to reach for nothing else (no `file:` \
          packages, workspaces or install scripts; no `-e .` in requirements.txt; no `replace` by a folder in go.mod), the \
          RUN only installs, and nothing that changes files stands between. For npm, yarn, pnpm, pip, go and bundler.",
};

const DEV_DEPENDENCIES: Example = Example {
    why: "Test frameworks, compilers and linters make an image larger and easier to attack, and nothing in it needs them. \
          The rule speaks where the stage that ships installs them, or copies a folder that they were installed in. It is \
          silent where package.json has none, where NODE_ENV or a configuration leaves them out, where they are taken out \
          again, where they were asked for by name (`--only=dev`), and in images that are there to develop with: a stage \
          called `dev` or `test`, a CMD that runs a watcher.",
    context: &[],
    bad: "\
FROM node:22-alpine
WORKDIR /app
COPY package*.json ./
RUN npm ci && npm cache clean --force
COPY src ./src
USER node
CMD [\"node\", \"src/server.js\"]
",
    good: "\
FROM node:22-alpine
WORKDIR /app
COPY package*.json ./
RUN npm ci --omit=dev && npm cache clean --force
COPY src ./src
USER node
CMD [\"node\", \"src/server.js\"]
",
    fix: "nothing: a later step may need them, and then wants a stage of its own.",
};

const INSTALL_REPEATED: Example = Example {
    why: "What one stage has installed another can copy. The rule speaks where the final stage installs the same packages \
          with the same manager as a stage that it copies from, on the same base image. An install of production packages \
          alone, after a build stage that had them all, is none.",
    context: &[],
    bad: "\
FROM node:22-alpine AS deps
WORKDIR /app
COPY package*.json ./
RUN npm ci --omit=dev
COPY . .

FROM node:22-alpine
WORKDIR /app
COPY package*.json ./
RUN npm ci --omit=dev && npm cache clean --force
COPY --from=deps /app/src ./src
USER node
CMD [\"node\", \"src/server.js\"]
",
    good: "\
FROM node:22-alpine AS deps
WORKDIR /app
COPY package*.json ./
RUN npm ci --omit=dev
COPY . .

FROM node:22-alpine
WORKDIR /app
COPY --from=deps /app/node_modules ./node_modules
COPY --from=deps /app/src ./src
USER node
CMD [\"node\", \"src/server.js\"]
",
    fix: "nothing: which folders hold the result is not written anywhere.",
};

const MISSING_IGNORE_ENTRY: Example = Example {
    why: "`COPY . .` takes what lies in the folder: packages built for another system, the whole history, the settings and \
          passwords of a machine. The rule looks at the context: it speaks where `node_modules`, `.git` or `.env` are \
          there, a stage that is built copies everything, and no ignore file leaves them out. Of `node_modules` only where \
          the file installs packages by itself, of `.git` only where the stage does not ask git.",
    context: &["package.json", ".git/", ".env", "node_modules/", "src/"],
    bad: "\
FROM node:22-alpine AS builder
WORKDIR /app
COPY package*.json ./
RUN npm ci
COPY . .
RUN npm run build

FROM nginx:stable-alpine
COPY --from=builder /app/dist /usr/share/nginx/html
",
    good: "\
# The same, and beside it a file .dockerignore:
#   node_modules
#   .git
#   .env
FROM node:22-alpine AS builder
WORKDIR /app
COPY package*.json ./
RUN npm ci
COPY src ./src
RUN npm run build

FROM nginx:stable-alpine
COPY --from=builder /app/dist /usr/share/nginx/html
",
    fix: "nothing: the mend is a file of yours, `.dockerignore`, and the hint has its lines.",
};

const NO_USER: Example = Example {
    why: "A program that runs as root in a container is one flaw nearer to being root outside of it. The rule speaks where \
          the file says what runs, nobody says as whom, and the base is known to run as root: by its configuration where \
          the image is in the store, else by being one of the usual official images. Servers that give root up by \
          themselves (nginx, postgres, redis and others) and entrypoints that do so (gosu, su-exec) are left alone, as is \
          a USER that says root, and what is there to develop with.",
    context: &[],
    bad: "\
FROM python:3.13-slim
COPY app.py /app/
CMD [\"python\", \"/app/app.py\"]
",
    good: "\
FROM python:3.13-slim
RUN useradd --system app
COPY app.py /app/
USER app
CMD [\"python\", \"/app/app.py\"]
",
    fix: "nothing: which files the program must own only its author knows.",
};

const PACKAGE_CACHE: Example = Example {
    why: "What a package manager keeps for its next run stays in the layer, though there is no next run; removed in a later \
          layer, it still ships. The rule speaks of the stages that ship: the lists of apt, the caches of apk, dnf, yum, \
          zypper, pip, npm, poetry, composer and conda, unless the same RUN removes them or a cache mount holds them. yarn, \
          pnpm, bun and uv are left alone: their stores may be what runs, or share their bytes with it.",
    context: &[],
    bad: "\
FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates
COPY server /usr/local/bin/
USER 1000
CMD [\"server\"]
",
    good: "\
FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY server /usr/local/bin/
USER 1000
CMD [\"server\"]
",
    fix: "adds `--no-cache` (apk, poetry, composer) or `--no-cache-dir` (pip), or puts `rm -rf /var/lib/apt/lists/*`, \
          `npm cache clean --force` or `dnf clean all` behind commands that are joined by `&&` alone, where no later step \
          installs from apt's lists.",
};

const SECRET_COPIED: Example = Example {
    why: "A file that was copied stays in its layer, even if a later step removes it, and everyone who has the image can \
          read it. The rule speaks of files that are secrets by their names (`.env`, `id_rsa` and its kin, `.netrc`, \
          `.git-credentials`, `.pypirc`, `.aws/credentials`), and of a `.npmrc` that holds a token written out.",
    context: &[],
    bad: "\
FROM node:22-alpine
WORKDIR /app
COPY .env package*.json ./
USER node
CMD [\"node\", \"server.js\"]
",
    good: "\
FROM node:22-alpine
WORKDIR /app
COPY package*.json ./
RUN --mount=type=secret,id=env,target=/app/.env node check.js
USER node
CMD [\"node\", \"server.js\"]
",
    fix: "nothing: the step that needs it must be told how to find it.",
};

const SECRET_VALUE: Example = Example {
    why: "BuildKit's rule SecretsUsedInArgOrEnv goes by names: it tells of `ENV API_KEY=...`. This one goes by values that \
          have the shape of a key or token of a well-known service, a private key, or an address with a password, in ARG, \
          ENV, LABEL and RUN, whatever they are called. What the other rule tells is not told twice, and the value is not \
          shown in the message.",
    context: &[],
    bad: "\
FROM node:22-alpine
ENV DATABASE_URL=postgres://app:hunter22@db.internal/app
USER node
CMD [\"node\", \"server.js\"]
",
    good: "\
FROM node:22-alpine
USER node
# DATABASE_URL is given when a container starts.
CMD [\"node\", \"server.js\"]
",
    fix: "nothing: the secret must come from somewhere else, and be changed where it was given out.",
};

const WHOLE_BUILDER: Example = Example {
    why: "Several stages are worth it for what they leave behind. The rule speaks where the final stage copies the whole \
          folder of a build stage that the context was copied into, and in which something was built or development \
          packages were installed: then sources and tools ship too.",
    context: &[],
    bad: "\
FROM golang:1.25 AS builder
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -o server .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=builder /src /app
CMD [\"/app/server\"]
",
    good: "\
FROM golang:1.25 AS builder
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -o server .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=builder /src/server /app/server
CMD [\"/app/server\"]
",
    fix: "nothing: which parts run only its author knows.",
};
