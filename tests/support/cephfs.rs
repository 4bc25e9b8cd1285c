//! A CephFS of the tests' own, with clients that can be killed and frozen, and nodes that see it under one path.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use rustix::process::{Pid, Signal, kill_process};

use super::{DEADLINE, Dir, InTime, Run, wait_until};

const PROGRAMS: [&str; 9] =
    ["monmaptool", "ceph-mon", "ceph-osd", "ceph-mds", "ceph-fuse", "ceph", "setpriv", "unshare", "awk"];

/// Up as long as this process runs, whatever ends it: the script that started it takes it down with the end of its
/// standard input.
#[derive(Debug)]
struct Cephfs {
    folder: PathBuf,
    requests: Mutex<ChildStdin>,
}

/// Why there can be none here; `None` when there can.
pub(super) fn why_none() -> Option<String> {
    let has = |program: &&str| {
        Command::new("sh")
            .args(["-c", "command -v \"$0\"", program])
            .output_in_time()
            .unwrap()
            .status
            .success()
    };
    if let Some(program) = PROGRAMS.iter().find(|program| !has(program)) {
        return Some(format!("there is no {program} (Debian has it in ceph-mds, ceph-fuse or util-linux)"));
    }
    let may_mount = ["-m", "-u", "sh", "-c", "test -c /dev/fuse && mount -t tmpfs none /mnt"];
    let tried = Command::new("unshare").args(may_mount).output_in_time().unwrap();
    let said = String::from_utf8_lossy(&tried.stderr).trim_end().to_owned();
    (!tried.status.success())
        .then(|| format!("only root, where there is /dev/fuse, can mount a CephFS: {said}"))
}

impl Cephfs {
    /// The one of all tests.
    #[track_caller]
    fn get() -> &'static Self {
        static CEPHFS: OnceLock<Cephfs> = OnceLock::new();
        CEPHFS.get_or_init(Self::start)
    }

    fn start() -> Self {
        // What the script removes at its end.
        let folder = tempfile::tempdir().unwrap().keep();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let said = tempfile::NamedTempFile::new().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/cephfs.sh");
        let stream = || File::options().append(true).open(said.path()).unwrap();
        // What ends the tests, at a terminal or as their descendants, is not to end it before it has taken all down.
        let mut child = Command::new("setsid")
            .args(["--fork", "/bin/sh"])
            .arg(script)
            .arg(&folder)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .unwrap();
        let requests = Mutex::new(child.stdin.take().unwrap());
        child.wait().unwrap();
        wait_until(DEADLINE, "CephFS is up", || {
            let text = std::fs::read_to_string(said.path()).unwrap();
            assert!(!text.contains("taken down"), "{text}");
            text.contains("ready")
        });
        Self { folder, requests }
    }
}

/// Two nodes with a client each. A test's folder is on the file system, under one path on both; the test itself sees it
/// as the second node does.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) dir: Dir,
    pub(crate) first: Client,
    pub(crate) second: Client,
}

/// One mount of the file system. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Client {
    place: PathBuf,
    pid: Pid,
}

impl Nodes {
    /// With a folder of this name, which nobody else uses.
    #[track_caller]
    pub(crate) fn new(name: &str) -> Self {
        let cephfs = Cephfs::get();
        let first = Client::mount(cephfs, name, "first");
        let second = Client::mount(cephfs, name, "arc");
        Self { dir: Dir::at(second.place.clone()), first, second }
    }

    /// canfar-run on the node of the first client.
    pub(crate) fn on_first(&self) -> Run<'_> {
        self.on_first_after(&[])
    }

    /// canfar-run on the node of the second one.
    pub(crate) fn on_second(&self) -> Run<'_> {
        self.on_second_after(&[])
    }

    /// On the first one's, after what arranges something before it executes canfar-run.
    pub(crate) fn on_first_after(&self, before: &[PathBuf]) -> Run<'_> {
        self.on("first", &self.first, before)
    }

    /// On the second one's, likewise.
    pub(crate) fn on_second_after(&self, before: &[PathBuf]) -> Run<'_> {
        self.on("second", &self.second, before)
    }

    fn on(&self, host: &str, client: &Client, before: &[PathBuf]) -> Run<'_> {
        let become_it = "hostname \"$0\"; mount --bind \"$1\" \"$2\"; cd \"$2\"; shift 2; exec \"$@\"";
        let run = Run::of(&self.dir, "unshare").args(["--mount", "--uts", "/bin/sh", "-ec", become_it, host]);
        let run = run.arg(&client.place).arg(&self.second.place).cwd("/".into());
        run.args(before).arg(env!("CARGO_BIN_EXE_canfar-run"))
    }
}

impl Client {
    #[track_caller]
    fn mount(cephfs: &Cephfs, space: &str, client: &str) -> Self {
        let place = cephfs.folder.join(space).join(client);
        writeln!(cephfs.requests.lock().unwrap(), "{space} {client}").unwrap();
        let mut pid = None;
        wait_until(DEADLINE, &format!("{} is mounted", place.display()), || {
            let text = std::fs::read_to_string(place.with_extension("pid")).unwrap_or_default();
            pid = text.trim().parse().ok().and_then(Pid::from_raw);
            let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
            pid.is_some() && device(&place) != device(place.parent().unwrap())
        });
        Self { place, pid: pid.unwrap() }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = kill_process(self.pid, Signal::KILL);
    }
}
