use super::*;
use crate::shell;
use crate::text::Text;
use dockerfile::Span;

fn of(text: &str) -> Option<Install> {
    of_with(text, &[])
}

fn of_with(text: &str, environment: &[(&str, Option<&str>)]) -> Option<Install> {
    let script = shell::read(&Text::fixed(text, Span::default()));
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
    install(&script.invocations[0], &environment)
}

#[test]
fn development_packages() {
    use Development::{Asked, Included, LeftOut, Unknown};
    for (text, wanted) in [
        ("npm install", Included),
        ("npm i --no-audit --loglevel error", Included),
        ("npm ci --omit=dev", LeftOut),
        ("npm ci --omit dev", LeftOut),
        ("npm ci --only=production", LeftOut),
        ("npm install --only=prod", LeftOut),
        ("npm install --only=dev", Asked),
        ("npm ci --include=dev", Asked),
        ("npm install --production", LeftOut),
        ("npm install --production=false", Asked),
        ("NODE_ENV=production npm ci", LeftOut),
        ("NODE_ENV=$X npm ci", Unknown),
        ("yarn", Included),
        ("yarn install --frozen-lockfile", Included),
        ("yarn --frozen-lockfile --production", LeftOut),
        ("pnpm install --frozen-lockfile", Included),
        ("pnpm i -P", LeftOut),
        ("bun install --production", LeftOut),
        ("pipenv install --deploy --system", LeftOut),
        ("pipenv sync --dev", Asked),
        ("poetry install", Included),
        ("poetry install --no-root --only main", LeftOut),
        ("poetry install --without=dev,test", LeftOut),
        ("uv sync --locked", Included),
        ("uv sync --no-dev", LeftOut),
        ("bundle install", Included),
        ("bundle install --without development", LeftOut),
        ("BUNDLE_WITHOUT=development:test bundle install", LeftOut),
        ("composer install --no-dev", LeftOut),
        ("php composer.phar install", Included),
        ("pip install -r requirements.txt", Unknown),
        ("go mod download", Unknown),
    ] {
        assert_eq!(of(text).map(|install| install.development), Some(wanted), "{text}");
    }
    assert_eq!(of_with("npm ci", &[("NODE_ENV", Some("production"))]).unwrap().development, LeftOut);
    assert_eq!(of_with("npm ci", &[("NODE_ENV", Some("test"))]).unwrap().development, Included);
    assert_eq!(of_with("npm ci", &[("NODE_ENV", None)]).unwrap().development, Unknown);
    assert_eq!(of_with("uv sync", &[("UV_NO_DEV", Some("1"))]).unwrap().development, LeftOut);
}

#[test]
fn what_reads_only_manifests() {
    for text in [
        "npm ci",
        "yarn",
        "pnpm i",
        "bun install",
        "pip install -r requirements.txt",
        "pip3 install --no-cache-dir -r a.txt",
        "python -m pip install -r a.txt",
        "poetry install --no-root",
        "uv sync --no-install-project",
        "uv pip sync r.txt",
        "uv pip install -r r.txt",
        "bundle install",
        "bundle",
        "go mod download -x",
        "cargo fetch --locked",
        "mvn -B dependency:go-offline",
        "./gradlew dependencies",
        "dotnet restore",
        "composer install --no-scripts",
        "pdm install --no-self",
        "mix deps.get --only prod",
        "pipenv install --deploy",
    ] {
        assert!(of(text).is_some_and(|install| install.manifests_only), "{text}");
    }
    for text in [
        "npm ci --prefix sub",
        "pip install .",
        "pip install -e . -r a.txt",
        "pip install flask",
        "poetry install",
        "uv sync",
        "composer install",
        "npm install -g yarn",
        "npm install express",
        "yarn --cwd x install",
    ] {
        assert!(of(text).is_some_and(|install| !install.manifests_only), "{text}");
    }
    for text in [
        "npm run build",
        "npm",
        "yarn build",
        "yarn --version",
        "go build",
        "cargo build",
        "mvn package",
        "pip download x",
        "poetry run x",
        "bundle exec x",
        "gradle build",
        "echo npm ci",
        "pipx install x",
    ] {
        assert_eq!(of(text), None, "{text}");
    }
}
