//! A bucket of a service that speaks S3, on the loopback: PyPI's moto, which checks signatures with Amazon's own code.

use super::{LIMIT, Out, folder, free_port, http, run};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Makes a user who may use S3, a key of theirs, and the bucket: four actions, after which moto lets nobody in without
/// a good signature.
const SET_UP: &str = "
iam.create_user(UserName='ci')
key = iam.create_access_key(UserName='ci')['AccessKey']
everything = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': ['s3:*'], 'Resource': '*'}]}
iam.put_user_policy(UserName='ci', PolicyName='all', PolicyDocument=json.dumps(everything))
s3.create_bucket(Bucket='cache', CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})
print(key['AccessKeyId'], key['SecretAccessKey'])
";

/// A server and its one bucket, `cache` in eu-west-1; stopped when it is dropped.
pub(crate) struct Bucket {
    pub(crate) port: u16,
    /// The key's id.
    pub(crate) id: String,
    /// The key's secret.
    pub(crate) secret: String,
    process: Child,
    folder: TempDir,
}

impl Bucket {
    /// A server with an empty bucket.
    pub(crate) fn start() -> Self {
        // The port may be taken by another before the server has it; then another one is tried.
        for _ in 0..5 {
            let (folder, port) = (folder(), free_port());
            let log = File::create(folder.path().join("log")).unwrap();
            let process = Command::new(moto("moto_server"))
                .args(["-H", "127.0.0.1", "-p", &port.to_string()])
                .env("INITIAL_NO_AUTH_ACTION_COUNT", "4")
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .expect("moto is installed by `cargo xtask setup`");
            let key = String::from("-");
            let mut bucket = Self { port, id: key.clone(), secret: key, process, folder };
            if bucket.answers() {
                let made = bucket.script(SET_UP).ok().stdout;
                let (id, secret) = made.trim().split_once(' ').expect("the script prints a key");
                (bucket.id, bucket.secret) = (id.to_owned(), secret.to_owned());
                return bucket;
            }
        }
        panic!("moto's server does not start")
    }

    fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while self.process.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(60) {
            if http(self.port, "/moto-api/").is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// The attributes that lead here, but for the key: `type=s3,...`.
    pub(crate) fn place(&self) -> String {
        format!("type=s3,bucket=cache,region=eu-west-1,endpoint_url=http://127.0.0.1:{}", self.port)
    }

    /// [`Bucket::place`] with the key.
    pub(crate) fn attributes(&self) -> String {
        format!("{},access_key_id={},secret_access_key={}", self.place(), self.id, self.secret)
    }

    /// Runs Python with `s3`, a client of Amazon's own library that has the key.
    pub(crate) fn script(&self, text: &str) -> Out {
        let mut python = Command::new(moto("python"));
        let url = format!("http://127.0.0.1:{}", self.port);
        python.args(["-B", "-c"]).arg(format!(
            "import boto3, json\n\
             key = dict(endpoint_url='{url}', region_name='eu-west-1', aws_access_key_id='{}', aws_secret_access_key='{}')\n\
             iam, s3 = boto3.client('iam', **key), boto3.client('s3', **key)\n{text}",
            self.id, self.secret
        ));
        run(python, LIMIT)
    }

    /// The names of all objects.
    pub(crate) fn keys(&self) -> Vec<String> {
        let list = "for one in s3.list_objects_v2(Bucket='cache').get('Contents', []): print(one['Key'])";
        self.script(list).ok().stdout.lines().map(str::to_owned).collect()
    }

    /// The requests until now, as `METHOD /path`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        log.lines()
            .filter_map(|line| line.split('"').nth(1)?.strip_suffix(" HTTP/1.1").map(str::to_owned))
            .collect()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program of moto's environment below the target folder.
fn moto(program: &str) -> PathBuf {
    // The target folder, whatever it is called: cargo's folder for tests is in it.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    target.join("moto/bin").join(program)
}
