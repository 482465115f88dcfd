//! A bucket of a service that speaks S3, on the loopback: PyPI's moto, which checks signatures with Amazon's own code.

use super::server::{Server, tool};
use super::{LIMIT, Out, http, run};
use std::process::Command;

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

/// A server and its one bucket, `cache` in eu-west-1.
pub(crate) struct Bucket {
    server: Server,
    /// The key's id.
    pub(crate) id: String,
    /// The key's secret.
    pub(crate) secret: String,
}

impl Bucket {
    /// A server with an empty bucket.
    pub(crate) fn start() -> Self {
        let command = |port: u16| {
            let mut command = Command::new(tool("moto/bin/moto_server"));
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", "4");
            command
        };
        let server = Server::start(command, |port| http(port, "/moto-api/").is_ok());
        let mut bucket = Self { server, id: "-".to_owned(), secret: "-".to_owned() };
        let made = bucket.script(SET_UP).ok().stdout;
        let (id, secret) = made.trim().split_once(' ').expect("the script prints a key");
        (bucket.id, bucket.secret) = (id.to_owned(), secret.to_owned());
        bucket
    }

    /// The URL of the service.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// The attributes that lead here, but for the key: `type=s3,...`.
    pub(crate) fn place(&self) -> String {
        format!("type=s3,bucket=cache,region=eu-west-1,endpoint_url={}", self.url())
    }

    /// [`Bucket::place`] with the key.
    pub(crate) fn attributes(&self) -> String {
        format!("{},access_key_id={},secret_access_key={}", self.place(), self.id, self.secret)
    }

    /// Runs Python with `s3`, a client of Amazon's own library that has the key.
    pub(crate) fn script(&self, text: &str) -> Out {
        let mut python = Command::new(tool("moto/bin/python"));
        let url = self.url();
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
        let log = self.server.log();
        log.lines()
            .filter_map(|line| line.split('"').nth(1)?.strip_suffix(" HTTP/1.1").map(str::to_owned))
            .collect()
    }
}
