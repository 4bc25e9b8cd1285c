//! A Slurm of a test's own: controller, four nodes and munge on 127.0.0.1, in a folder of their own.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{DEADLINE, Dir, InTime, wait_until};

const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];

/// Jobs' processes call themselves children of nobody and carry no mark of ours, but they can't leave a namespace, and all
/// in it die with its first process.
const NAMESPACE: [&str; 4] = ["--pid", "--mount-proc", "--fork", "--kill-child"];

/// An answer takes some milliseconds of the controller's time.
const LOOK: Duration = Duration::from_millis(50);

/// All of it, jobs included, is killed when dropped.
#[derive(Debug)]
pub(crate) struct Slurm {
    folder: TempDir,
    daemons: Child,
}

/// An element of an array job, or a job that is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Job {
    /// Its place in the array; `None` for a job that is none.
    pub(crate) element: Option<u32>,
    pub(crate) state: String,
    /// How its batch script ended.
    pub(crate) exit_code: Option<i32>,
}

impl Slurm {
    /// Why there can be none here.
    pub(super) fn missing() -> Option<String> {
        let programs = ["slurmctld", "slurmd", "munged", "sbatch", "srun", "unshare"];
        if let Some(program) = programs.into_iter().find(|program| find(program).is_none()) {
            return Some(format!("there is no {program} (Debian has it in slurm-wlm, munge and util-linux)"));
        }
        let own = Command::new("unshare").args(NAMESPACE).arg("true").output_in_time();
        let why = match own {
            Ok(output) if output.status.success() => return None,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
            Err(error) => error.to_string(),
        };
        Some(format!("only root, where it may have a process namespace, can start a Slurm of its own: {why}"))
    }

    #[track_caller]
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        configure(root);
        let daemons = Command::new("unshare")
            .args(NAMESPACE)
            .args(["/bin/sh", "-eu"])
            .arg(root.join("daemons.sh"))
            .env("SLURM_CONF", root.join("slurm.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(root.join("errors")).unwrap())
            .spawn()
            .unwrap();
        let slurm = Self { folder, daemons };
        let begun = std::time::Instant::now();
        while slurm.idle_nodes() < NODES.len() {
            assert!(begun.elapsed() < DEADLINE, "Slurm does not get ready:\n{}", slurm.logs());
            std::thread::sleep(LOOK);
        }
        slurm
    }

    fn idle_nodes(&self) -> usize {
        let nodes =
            self.command("sinfo").args(["--noheader", "--Node", "--format=%T"]).output_in_time().unwrap();
        String::from_utf8_lossy(&nodes.stdout).lines().filter(|state| *state == "idle").count()
    }

    fn logs(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let of_nodes = NODES.map(|node| read(&format!("{node}.log"))).concat();
        [read("errors"), read("slurmctld.log"), of_nodes].join("\n---\n")
    }

    /// One of Slurm's programs, with nothing but `PATH` in its environment, canfar-run being there.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let ours = Path::new(env!("CARGO_BIN_EXE_canfar-run")).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(ours.to_owned()).chain(std::env::split_paths(&path));
        command.env_clear().env("PATH", std::env::join_paths(path).unwrap());
        command.env("SLURM_CONF", self.folder.path().join("slurm.conf")).stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(crate) fn answer(&self, mut command: Command) -> String {
        let output = command.output_in_time().unwrap();
        let [out, error] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(output.status.success(), "{command:?}: {}\n{out}\n{error}\n{}", output.status, self.logs());
        out.trim_end().to_owned()
    }

    /// `sbatch` in a test's folder. Gives the job's id.
    #[track_caller]
    pub(crate) fn submit(&self, dir: &Dir, args: &[&str]) -> String {
        let mut sbatch = self.command("sbatch");
        sbatch.arg("--parsable").args(args).current_dir(dir.root());
        self.answer(sbatch)
    }

    /// Any other of Slurm's programs.
    #[track_caller]
    pub(crate) fn tell(&self, program: &str, args: &[&str]) {
        let mut command = self.command(program);
        command.args(args);
        self.answer(command);
    }

    /// A job's elements, in order, with what has become of them.
    #[track_caller]
    pub(crate) fn jobs(&self, id: &str) -> Vec<Job> {
        let mut squeue = self.command("squeue");
        let format = "--Format=ArrayTaskID:.20,State:.20,exit_code:.20";
        squeue.args(["--noheader", "--array", "--states=all", "--jobs", id, format]);
        let answer = self.answer(squeue);
        let job = |line: &str| {
            let mut words = line.split_whitespace();
            let [element, state, status] = std::array::from_fn(|_| words.next().unwrap_or_default());
            let status = ExitStatus::from_raw(status.parse().unwrap());
            Job { element: element.parse().ok(), state: state.to_owned(), exit_code: status.code() }
        };
        let mut jobs: Vec<Job> = answer.lines().map(job).collect();
        jobs.sort();
        jobs
    }

    /// Waits until a job, or an element of an array, is in a state.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, id: &str, state: &str) {
        wait_until(DEADLINE, &format!("{state} of job {id}"), || {
            std::thread::sleep(LOOK);
            self.jobs(id).iter().any(|job| job.state == state)
        });
    }

    /// Waits for the end of a job, or of all elements of an array.
    #[track_caller]
    pub(crate) fn wait(&self, id: &str) -> Vec<Job> {
        let is_over = |job: &Job| !["PENDING", "RUNNING", "COMPLETING"].contains(&job.state.as_str());
        let mut jobs = Vec::new();
        wait_until(DEADLINE, &format!("the end of job {id}"), || {
            std::thread::sleep(LOOK);
            jobs = self.jobs(id);
            jobs.iter().all(is_over)
        });
        jobs
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what Slurm said:\n{}", self.logs());
        }
        let _ = self.daemons.kill();
        let _ = self.daemons.wait();
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists())
}

fn configure(root: &Path) {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = name.split('.').next().unwrap_or_default();
    // Bound all at once, so that they differ, and free again at the end.
    let bound: [TcpListener; 5] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let ports = bound.map(|listener| listener.local_addr().unwrap().port());
    let folder = root.display();
    let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
    let nodes: Vec<String> = NODES
        .iter()
        .zip(&ports[1..])
        .map(|(node, port)| {
            format!(
                "NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=16000\n"
            )
        })
        .collect();
    let port = ports[0];
    write(
        "slurm.conf",
        &format!(
            "ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmdParameters=config_overrides
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
{}PartitionName=all Nodes=ALL Default=YES State=UP OverSubscribe=FORCE:4
",
            nodes.concat()
        ),
    );
    write("cgroup.conf", "CgroupPlugin=cgroup/v1\n");
    write("munge.key", &"a key that opens nothing but this test ".repeat(4));
    // munge refuses a key or a socket that others could have put there.
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    mode(&root.join("munge.key"), 0o400);
    mode(root, 0o755);
    std::fs::create_dir(root.join("state")).unwrap();
    NODES.iter().for_each(|node| std::fs::create_dir(root.join(node)).unwrap());
    write(
        "daemons.sh",
        &format!(
            "cd '{folder}'
munged --force --foreground --key-file=munge.key --socket=\"$PWD/munge.socket\" --pid-file=\"$PWD/munge.pid\" \\
    --log-file=munge.log --seed-file=\"$PWD/munge.seed\" &
while [ ! -S munge.socket ]; do sleep 0.01; done
slurmctld -D &
for node in {}; do slurmd -D -N $node & done
wait
",
            NODES.join(" ")
        ),
    );
}
