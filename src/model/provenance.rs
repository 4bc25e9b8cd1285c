//! What produced the results: the process, and the small files that its command names.

use serde::{Deserialize, Serialize};

use crate::model::cpu_sharing::HostCpus;
use crate::text::OsText;

/// A small file named in the command, such as `analyze.py`: there is a warning if it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFile {
    /// As the command has it.
    pub name: OsText,
    /// BLAKE3 of its content, hexadecimal.
    pub blake3: String,
}

/// A canfar-run process, with what others need to find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Host name.
    pub host: String,
    /// Distinguishes one boot of a host from the next, and two hosts with the same name. Empty if the system has none.
    #[serde(default)]
    pub boot_id: String,
    /// Process id, in its own PID namespace.
    pub pid: u32,
    /// The platform's session id, to look the container up by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// canfar-run's version.
    pub version: String,
}

impl Process {
    /// This one.
    pub fn current(session: Option<String>) -> Self {
        Self {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            pid: std::process::id(),
            session,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Whether both run on the same host, in the same boot: only then do locks and process ids mean the same.
    pub fn is_on_the_host_of(&self, other: &Self) -> bool {
        self.host == other.host && self.boot_id == other.boot_id
    }

    /// CPUs of its host; `None` where hosts of one name can't be told apart.
    pub fn host_cpus(&self, set: u32) -> Option<HostCpus> {
        let Self { host, boot_id, .. } = self;
        (!boot_id.is_empty()).then(|| HostCpus { host: host.clone(), boot_id: boot_id.clone(), set })
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "host {}, pid {}", self.host, self.pid)?;
        match &self.session {
            Some(session) => write!(out, ", session {session}"),
            None => Ok(()),
        }
    }
}
