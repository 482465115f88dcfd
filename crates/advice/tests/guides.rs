//! The Dockerfiles of the guides, and just what each is told. Their contexts are the folders they lie in.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use advice::{Context, Facts};
use dockerfile::ignore::Patterns;
use dockerfile::lint::Config;
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// What a folder is to the rules. The packages that tests put into it as `vendor` belong to it.
fn context(folder: &Path, dockerfile: &Path) -> Context {
    let mut context = Context::default();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        context.names.insert(name.clone(), entry.file_type().unwrap().is_dir());
        if advice::FILES.contains(&name.as_str()) {
            context.texts.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    let own = PathBuf::from(format!("{}.dockerignore", dockerfile.display()));
    let ignore = [own, folder.join(".dockerignore")].into_iter().find_map(|path| fs::read(path).ok());
    context.ignore = ignore.map(|text| Patterns::parse(text).unwrap());
    context
}

/// The rules that fire in a file, each as often as it does, without the prefix.
fn told(text: &str, facts: &Facts) -> Vec<String> {
    let parsed = dockerfile::parse(text.as_bytes(), "Dockerfile").unwrap();
    let found = advice::check(&parsed, facts, &Config::default());
    found.iter().map(|one| one.rule.unwrap().strip_prefix("Jettison/").unwrap().to_owned()).collect()
}

#[test]
fn the_files_of_the_fixtures() {
    const NO_USER: &str = "NoUserInFinalStage";
    const DEV: &str = "DevDependenciesInFinalStage";
    const CACHE: &str = "PackageCacheInLayer";
    const ORDER: &str = "CopyBeforeInstall";
    // Good files are told of nothing but that they run as root, where they do.
    let table: &[(&str, &[&str])] = &[
        // Production packages alone, by a user of its own, the parts by name.
        ("express/Dockerfile", &[]),
        ("express/Dockerfile.distroless", &[NO_USER]),
        // "Everything in one stage: the development packages and npm's cache ship too."
        ("express/Dockerfile.single", &[NO_USER, DEV, CACHE]),
        // Two environments in one file, the last for development: nodemon runs in it. The order is the one that guide
        // 003 calls inefficient.
        ("guides/000/Dockerfile", &[ORDER]),
        ("guides/001/Dockerfile", &[]),
        ("guides/001/Dockerfile.npm", &[CACHE]),
        ("guides/001/Dockerfile.context", &[]),
        ("guides/002/Dockerfile", &[]),
        ("guides/003/api/Dockerfile", &[]),
        ("guides/003/api/Dockerfile.distroless", &[NO_USER]),
        // Mistakes 1 and 3: development packages, and the whole folder of the build stage.
        ("guides/003/app/Dockerfile.basic", &[NO_USER, "WholeBuilderCopied", DEV]),
        ("guides/003/app/Dockerfile.cache-order", &[NO_USER, DEV, CACHE]),
        ("guides/003/app/Dockerfile.inefficient-order", &[NO_USER, ORDER, DEV, CACHE]),
        ("guides/003/app/Dockerfile.production", &[NO_USER]),
        ("guides/003/app/Dockerfile.single", &[NO_USER, DEV, CACHE]),
        ("guides/003/app/Dockerfile.three-stages", &[NO_USER]),
        ("guides/003/typescript/Dockerfile", &[NO_USER]),
        ("guides/004/Dockerfile", &[ORDER]),
        ("guides/004/Dockerfile.builder", &[ORDER, CACHE]),
        ("guides/004/Dockerfile.local", &[]),
        ("guides/004/Dockerfile.named", &[ORDER]),
    ];
    for (file, wanted) in table {
        let path = fixtures().join(file);
        let facts = Facts { context: Some(context(path.parent().unwrap(), &path)), ..Facts::default() };
        let mut found = told(&fs::read_to_string(&path).unwrap(), &facts);
        let mut wanted: Vec<String> = wanted.iter().map(|one| (*one).to_owned()).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{file}");
    }
    // The environment of guide 000 that ships.
    let path = fixtures().join("guides/000/Dockerfile");
    let context = Some(context(path.parent().unwrap(), &path));
    let facts = Facts { context, target: Some("abc".to_owned()), ..Facts::default() };
    assert_eq!(told(&fs::read_to_string(&path).unwrap(), &facts), [NO_USER, ORDER, CACHE]);
    // Every file is in the table, but for the one that is there to fail.
    let mut all = Vec::new();
    dockerfiles(&fixtures(), &mut all);
    let listed = |path: &PathBuf| table.iter().any(|(file, _)| fixtures().join(file) == *path);
    all.retain(|path| !listed(path));
    assert_eq!(all, [fixtures().join("guides/004/Dockerfile.comment")]);
}

fn dockerfiles(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            dockerfiles(&path, found);
        } else if path.file_name().unwrap().to_str().unwrap().starts_with("Dockerfile") {
            found.push(path);
        }
    }
}

/// The guides' snippets, in words of our own: mistakes, and how they are better.
#[test]
fn mistakes_and_their_mends() {
    let package = r#"{"dependencies": {"express": "4"}, "devDependencies": {"jest": "29"}}"#;
    let mut context = Context::default();
    for (name, folder) in
        [("src", true), ("node_modules", true), (".git", true), (".env", false), ("tests", true)]
    {
        context.names.insert(name.to_owned(), folder);
    }
    context.names.insert("package.json".to_owned(), false);
    context.texts.insert("package.json".to_owned(), package.to_owned());
    let bare = Facts { context: Some(context.clone()), ..Facts::default() };
    context.ignore = Some(Patterns::parse("node_modules\n.git\n.gitignore\n.env\n.env.*\ntests\n").unwrap());
    let ignoring = Facts { context: Some(context), ..Facts::default() };
    let end = "USER node\nCMD [\"node\", \"server.js\"]\n";
    let table = [
        // 1: development packages are left out.
        (
            "FROM node\nRUN npm ci && npm cache clean --force\n",
            &ignoring,
            &["DevDependenciesInFinalStage"][..],
        ),
        ("FROM node\nRUN npm ci --only=production && npm cache clean --force\n", &ignoring, &[]),
        // 2: an ignore file.
        (
            "FROM node AS b\nRUN npm ci\nCOPY . .\nFROM node\nCOPY --from=b /d /d\n",
            &bare,
            &["MissingIgnoreEntry"],
        ),
        ("FROM node AS b\nRUN npm ci\nCOPY . .\nFROM node\nCOPY --from=b /d /d\n", &ignoring, &[]),
        // 3: the whole folder of the build stage.
        (
            "FROM node AS builder\nWORKDIR /app\nCOPY package.json .\nRUN npm ci --omit=dev\nCOPY . .\nRUN npm run build\nFROM node\nCOPY --from=builder /app /app\n",
            &ignoring,
            &["WholeBuilderCopied"],
        ),
        (
            "FROM node AS builder\nWORKDIR /app\nCOPY package.json .\nRUN npm ci --omit=dev\nCOPY . .\nRUN npm run build\nFROM node\nCOPY --from=builder /app/dist /app/node_modules /app/\n",
            &ignoring,
            &[],
        ),
        // 4: an install in the final stage.
        (
            "FROM node AS builder\nWORKDIR /app\nCOPY package.json .\nRUN npm ci\nFROM node\nWORKDIR /app\nCOPY package.json .\nRUN npm ci && npm cache clean --force\nCOPY --from=builder /app/dist .\n",
            &ignoring,
            &["DevDependenciesInFinalStage", "InstallRepeatedInFinalStage"],
        ),
    ];
    for (text, facts, wanted) in table {
        let mut found = told(&format!("{text}{end}"), facts);
        found.sort();
        assert_eq!(found, wanted, "{text}");
    }
    // The order of a build stage alone, as the guide shows it: nothing else is told of a part of a file.
    let order = "FROM node AS builder\nWORKDIR /app\n";
    assert_eq!(told(&format!("{order}COPY . .\nRUN npm install\n"), &ignoring), ["CopyBeforeInstall"]);
    assert_eq!(
        told(&format!("{order}COPY package*.json ./\nRUN npm install\nCOPY . .\n"), &ignoring),
        [""; 0]
    );
}

/// A fix of whatever the guides and the parser's corpus hold can be read again, mends what it says, and is done once.
#[test]
fn every_file_can_be_fixed_once() {
    let mut files = Vec::new();
    dockerfiles(&fixtures(), &mut files);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dockerfile/tests/corpus");
    files.extend(fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()));
    let (mut read, mut changed) = (0, 0);
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if dockerfile::parse(text.as_bytes(), "D").is_err() {
            continue;
        }
        let facts = [
            Facts::default(),
            Facts { context: Some(context(path.parent().unwrap(), &path)), ..Facts::default() },
        ];
        for facts in &facts {
            let once = advice::fix("D", &text, facts, None).unwrap();
            let twice = advice::fix("D", &once.text, facts, None).unwrap();
            assert_eq!(once.text, twice.text, "{}", path.display());
            assert_eq!(twice.changes, [], "{}", path.display());
            assert_eq!(once.changes.is_empty(), once.text == text, "{}", path.display());
            read += 1;
            changed += usize::from(!once.changes.is_empty());
        }
    }
    assert!(read > 100 && changed > 20, "{changed} of {read}");
}
