//! Launches through the real client: its command line and its Python package, up to the requests that they send.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::platform::{Container, Refused, container};
use crate::support::{InTime, python};

/// The requests of one launch, in the order of the replicas.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    requests: Vec<Request>,
}

#[derive(Debug, Clone)]
struct Request {
    query: Vec<(String, String)>,
    /// Bytes of its URL.
    length: u64,
}

impl Launch {
    fn new(mut requests: Vec<Request>) -> Self {
        requests.sort_by_key(Request::replica);
        Self { requests }
    }

    /// What the platform starts for it.
    pub(crate) fn containers(&self, home: &str) -> Vec<Result<Container, Refused>> {
        self.requests.iter().map(|request| container(&request.query, home)).collect()
    }

    /// Bytes of the longest URL.
    pub(crate) fn longest(&self) -> u64 {
        self.requests.iter().map(|request| request.length).max().unwrap_or(0)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let query = &self.requests[0].query;
        query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Request {
    fn replica(&self) -> u32 {
        let replica = self.query.iter().find_map(|(_, value)| value.strip_prefix("REPLICA_ID="));
        replica.and_then(|replica| replica.parse().ok()).unwrap_or(0)
    }
}

impl From<&Value> for Request {
    fn from(noted: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pairs = noted["query"].as_array().unwrap().iter();
        Self {
            query: pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
            length: noted["length"].as_u64().unwrap(),
        }
    }
}

fn client() -> Command {
    let helper = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/launch_client.py");
    let mut command = Command::new(python());
    command.arg(helper);
    command
}

fn noted(command: &mut Command, input: &str) -> Vec<Value> {
    let output = command.output_given(input.as_bytes()).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    let lines = str::from_utf8(&output.stdout).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a program launches that calls `canfar` or imports it.
pub(crate) fn launched_by(program: &[&str], folder: &Path) -> Launch {
    let noted = noted(client().args(program).current_dir(folder), "");
    Launch::new(noted.iter().map(Request::from).collect())
}

/// What each of these lines launches, as words after `canfar`. One client does all, so that it is started once.
pub(crate) fn typed(lines: &[Vec<String>]) -> Vec<Launch> {
    let lines: Vec<Value> = lines.iter().map(|words| Value::from(words.clone())).collect();
    launches(&lines)
}

/// What each of these programs in Python launches, likewise.
pub(crate) fn programmed(programs: &[String]) -> Vec<Launch> {
    let lines: Vec<Value> = programs.iter().map(|program| Value::from(program.as_str())).collect();
    launches(&lines)
}

fn launches(lines: &[Value]) -> Vec<Launch> {
    let input: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    let noted = noted(client().arg("--lines"), &input.concat());
    let mut launches = Vec::new();
    let mut requests = Vec::new();
    for value in &noted {
        match value {
            Value::Null => launches.push(Launch::new(std::mem::take(&mut requests))),
            request => requests.push(Request::from(request)),
        }
    }
    assert_eq!(launches.len(), lines.len());
    launches
}
