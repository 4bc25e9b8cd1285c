//! Replicas of one run as containers on several hosts, and what is done to them: killed or frozen with all that they
//! started, as a container is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

use super::TASK;
use crate::support::{DEADLINE, Dir, Ended, Process, Run, Running, stop_process, wait_until};

const CANFAR_RUN: &str = env!("CARGO_BIN_EXE_canfar-run");

/// Signs of life come four times as often. Long enough for a busy machine, where one may be late.
pub(crate) const TAKEOVER_AFTER: &str = "4s";

/// The name of the host on which several replicas are.
const SHARED: &str = "shared";

/// On which host a replica runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// With others: their locks tell at once that they are dead.
    Shared,
    /// One of its own: only signs of life tell.
    Own,
}

/// What was done to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Unhurt,
    Killed,
    Frozen,
}

/// A replica that was started.
#[derive(Debug)]
struct Member<'d> {
    running: Option<Running<'d>>,
    fate: Fate,
}

/// The replicas of one run.
#[derive(Debug)]
pub(crate) struct Cluster<'d> {
    pub(crate) dir: &'d Dir,
    count: usize,
    members: BTreeMap<usize, Member<'d>>,
    options: Vec<String>,
    nap: &'static str,
    task: &'static str,
}

impl<'d> Cluster<'d> {
    pub(crate) fn new(dir: &'d Dir, count: usize) -> Self {
        for folder in ["ran", "hold"] {
            std::fs::create_dir_all(dir.scratch().join(folder)).unwrap();
        }
        let options = ["-j", "2", "--takeover-after", TAKEOVER_AFTER].map(str::to_owned).into();
        Self { dir, count, members: BTreeMap::new(), options, nap: "0.0", task: TASK }
    }

    /// The replicas of one that share their work.
    pub(crate) fn sharing(dir: &'d Dir, count: usize) -> Self {
        Self::new(dir, count).options(&["--balance"])
    }

    /// Tasks take ten times as long, some third of a second.
    pub(crate) fn with_long_tasks(self) -> Self {
        Self { nap: "0.", ..self }
    }

    /// They run another task.
    pub(crate) fn task(self, task: &'static str) -> Self {
        Self { task, ..self }
    }

    /// For all that are started from now on.
    pub(crate) fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// Lets the tasks of a replica stay.
    pub(crate) fn hold(&self, replica: usize) {
        std::fs::write(self.held(replica), "").unwrap();
    }

    pub(crate) fn let_go(&self, replica: usize) {
        std::fs::remove_file(self.held(replica)).unwrap();
    }

    fn held(&self, replica: usize) -> PathBuf {
        self.dir.scratch().join(format!("hold/{replica}"))
    }

    pub(crate) fn start(&mut self, replica: usize, host: Host) {
        let run = on_host(self.dir, &name_of(replica, host));
        let run = run.env("CANFAR_RUN_TEST_HEARTBEAT", "500ms");
        self.start_as(replica, run.env("CANFAR_RUN_TEST_HEARTBEAT_TIMEOUT", "3s"));
    }

    /// As a container of its own, of whose system calls strace takes care. When a signal that strace injects has killed the
    /// replica, its first process ends, and with that all of it.
    pub(crate) fn start_traced(&mut self, replica: usize, host: Host, options: &[&str]) {
        let contain = ["--uts", "--mount", "--pid", "/bin/sh", "-c", "\"$0\" \"$@\"; exit $?"];
        let become_it = ["/bin/sh", "-c", "hostname \"$0\"; mount -t proc none /proc; \"$@\"; exit $?"];
        let run = Run::of(self.dir, "unshare").args(contain).args(become_it).arg(name_of(replica, host));
        // Not its tasks: who is traced is not always seen to end.
        let run = run.args(["strace", "-f", "-b", "execve", "-qq"]).args(options);
        self.start_as(replica, run.arg(CANFAR_RUN));
    }

    /// A replica that this command line starts, up to its options.
    pub(crate) fn start_as(&mut self, replica: usize, run: Run<'d>) {
        let run = run.args(["-i", "data/*.fits", "-o", "out"]).args(&self.options);
        let running = run
            .env("NOTES", self.dir.scratch())
            .env("NAP", self.nap)
            .replica(replica, self.count)
            .sh(self.task)
            .start();
        // What was done to an earlier launch of it still explains what is seen.
        let fate = self.fate(replica).unwrap_or(Fate::Unhurt);
        self.members.insert(replica, Member { running: Some(running), fate });
    }

    /// What was done to a replica; `None` where it was never started.
    pub(crate) fn fate(&self, replica: usize) -> Option<Fate> {
        self.members.get(&replica).map(|member| member.fate)
    }

    /// Those that run.
    pub(crate) fn living(&mut self) -> Vec<usize> {
        let runs = |member: &mut Member<'_>| member.running.as_mut().is_some_and(|one| !one.has_ended());
        self.members.iter_mut().filter_map(|(id, member)| runs(member).then_some(*id)).collect()
    }

    /// SIGKILL to it and all that it started; `false` if it had ended before.
    pub(crate) fn kill(&mut self, replica: usize) -> bool {
        let member = self.members.get_mut(&replica).unwrap();
        let Some(running) = member.running.take() else { return false };
        let runner = pid(&running);
        if kill_process(runner, Signal::STOP).is_ok() {
            let family = Process::descendants_of(runner);
            let _ = kill_process(runner, Signal::KILL);
            signal_all(&family, Signal::KILL);
        }
        let was_killed = running.wait().signal == Some(9);
        if was_killed {
            member.fate = Fate::Killed;
        }
        was_killed
    }

    /// Waits for the end of a replica that something else kills; `false` if it ended by itself.
    pub(crate) fn is_killed(&mut self, replica: usize) -> bool {
        let ended = self.wait_for(replica);
        // So says the shell that waited for it.
        if ended.code == Some(128 + 9) {
            self.members.get_mut(&replica).unwrap().fate = Fate::Killed;
            return true;
        }
        ended.exits(0);
        false
    }

    /// Notes that something else was done to a replica, after which it may be taken for dead though it was not killed.
    pub(crate) fn lost(&mut self, replica: usize) {
        self.members.get_mut(&replica).unwrap().fate = Fate::Frozen;
    }

    /// Stops it and all that it started.
    pub(crate) fn freeze(&mut self, replica: usize) {
        let member = self.members.get_mut(&replica).unwrap();
        let runner = pid(member.running.as_ref().unwrap());
        stop_process(runner);
        signal_all(&Process::descendants_of(runner), Signal::STOP);
        member.fate = Fate::Frozen;
    }

    pub(crate) fn wake(&self, replica: usize) {
        let runner = pid(self.members[&replica].running.as_ref().unwrap());
        signal_all(&Process::descendants_of(runner), Signal::CONT);
        kill_process(runner, Signal::CONT).unwrap();
    }

    /// How it ended, unless it was killed or never started.
    pub(crate) fn ended(&mut self, replica: usize) -> Option<Ended> {
        Some(self.members.get_mut(&replica)?.running.take()?.wait())
    }

    #[track_caller]
    pub(crate) fn wait_for(&mut self, replica: usize) -> Ended {
        self.members.get_mut(&replica).unwrap().running.take().unwrap().wait()
    }

    /// Waits until no replica runs; those that were not killed have ended well.
    #[track_caller]
    pub(crate) fn all_end_well(&mut self) -> Vec<Ended> {
        let running = self.members.values_mut().filter_map(|member| member.running.take());
        running.map(|running| running.wait().exits(0)).collect()
    }

    /// Finishes what is unfinished, on the host that several replicas share; tasks that were given up, too.
    #[track_caller]
    pub(crate) fn resume(&self) -> Ended {
        let run = on_host(self.dir, SHARED).args(["resume", "out", "--rerun", "all"]).quick_heartbeat();
        run.env("NOTES", self.dir.scratch()).env("NAP", self.nap).run().exits(0)
    }

    /// Waits until the list is there, and says which run it is.
    #[track_caller]
    pub(crate) fn run_id(&self) -> String {
        wait_until(DEADLINE, "the list is there", || self.dir.exists("out/inputs.jsonl"));
        let header: serde_json::Value = serde_json::from_str(&self.dir.lines("out/inputs.jsonl")[0]).unwrap();
        header["run"].as_str().unwrap().to_owned()
    }
}

/// canfar-run on a host of this name.
pub(crate) fn on_host<'d>(dir: &'d Dir, name: &str) -> Run<'d> {
    on_host_of(dir, name, &[])
}

/// The same after what arranges something before it executes canfar-run.
pub(crate) fn on_host_of<'d>(dir: &'d Dir, name: &str, before: &[String]) -> Run<'d> {
    let become_it = ["--uts", "/bin/sh", "-c", "hostname \"$0\"; exec \"$@\"", name];
    Run::of(dir, "unshare").args(become_it).args(before).arg(CANFAR_RUN)
}

fn name_of(replica: usize, host: Host) -> String {
    match host {
        Host::Shared => SHARED.to_owned(),
        Host::Own => format!("host-{replica}"),
    }
}

fn pid(running: &Running<'_>) -> Pid {
    Pid::from_raw(i32::try_from(running.pid()).unwrap()).unwrap()
}

fn signal_all(processes: &[Process], signal: Signal) {
    for process in processes {
        let _ = Pid::from_raw(process.pid).map(|pid| kill_process(pid, signal));
    }
}
