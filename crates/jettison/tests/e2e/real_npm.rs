//! The one test that needs the network: Express from the npm registry, behind a proxy's own authority if there is one.

use crate::harness::{Context, http_get, shared, unique};

#[test]
fn express_comes_from_npm_and_answers() {
    let (house, context, name) = (shared(), Context::bare_fixture("express"), unique("express"));
    let built = house.build(&context, &["--trust-host-ca", "--tag", &name]);
    assert!(built.has_step("RUN npm ci --omit=dev"), "{}", built.out.stderr);
    let files = house.files(&name);
    assert!(files.has("app/node_modules/express/package.json"));
    assert!(!files.has("app/node_modules/typescript"), "a development package");
    assert_eq!(files.owner("app/node_modules/express"), (1001, 1001));
    // The host's authorities leave no trace.
    let config = house.config(&name).to_string();
    for variable in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "PIP_CERT"] {
        assert!(!config.contains(variable), "{variable} is in the configuration");
    }
    let container = house.detached(&["--publish", "127.0.0.1::3000"], &name, &[]);
    assert!(http_get(container.port(3000), "/").starts_with("Hello from Express"));
    assert_eq!(container.exec(&["id", "-u"]).ok().text(), "1001");
    // With the authorities or without: the key is the same.
    house.build(&context, &[]).all_cached();
}
