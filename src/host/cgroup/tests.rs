//! Made-up trees: version 2 can't be had on every machine, and no machine has all layouts.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::TempDir;

use super::Cgroup;

const GIB: u64 = 1 << 30;

/// A machine with 64 GiB, where the process is in `groups` and sees `mounts`.
struct Machine(TempDir);

impl Machine {
    fn new(groups: &str, mounts: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine
            .file("proc/self/cgroup", groups)
            .file("proc/self/mountinfo", mounts)
            .file("proc/meminfo", "MemTotal:       67108864 kB\nMemFree:         1024 kB\n")
    }

    fn v2(group: &str, shown: &str) -> Self {
        let mount = format!("30 23 0:26 {shown} /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup rw\n");
        Self::new(&format!("0::{group}\n"), &mount)
    }

    fn v1(group: &str, shown: &str) -> Self {
        let controllers = ["cpu,cpuacct", "memory", "pids", "name=systemd"];
        let groups = (1..).zip(controllers).map(|(id, names)| format!("{id}:{names}:{group}\n"));
        let mounts = controllers.map(|names| {
            format!("30 23 0:26 {shown} /sys/fs/cgroup/{names} rw - cgroup cgroup rw,{names}\n")
        });
        let groups: String = groups.collect();
        Self::new(
            &(groups + "0::/\n"),
            &(mounts.concat() + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"),
        )
        .file("sys/fs/cgroup/unified/cgroup.controllers", "")
    }

    fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn cgroup(&self) -> Cgroup {
        Cgroup::below(self.0.path())
    }

    /// CPUs, memory limit and room for processes.
    fn limits(&self) -> (Option<f64>, Option<u64>, Option<u64>) {
        let cgroup = self.cgroup();
        (cgroup.cpu_quota(), cgroup.memory().map(|memory| memory.limit()), cgroup.processes_left())
    }
}

#[test]
fn a_container_with_a_namespace_finds_its_limits_at_the_mount_point() {
    let machine = Machine::v2("/", "/")
        .file("sys/fs/cgroup/cpu.max", "800000 100000\n")
        .file("sys/fs/cgroup/memory.max", "34359738368\n")
        .file("sys/fs/cgroup/pids.max", "100\n")
        .file("sys/fs/cgroup/pids.current", "3\n");
    assert_eq!(machine.limits(), (Some(8.0), Some(32 * GIB), Some(97)));
    let machine = Machine::v1("/", "/")
        .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n")
        .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
        .file("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n")
        .file("sys/fs/cgroup/pids/pids.max", "max\n")
        .file("sys/fs/cgroup/pids/pids.current", "3\n");
    assert_eq!(machine.limits(), (Some(1.5), Some(GIB / 4), None));
}

#[test]
fn a_container_that_is_told_its_path_on_the_host_finds_its_limits_where_its_mount_shows_it() {
    let group = "/kubepods/burstable/pod0a1b/cri-9f";
    // A mount of the group itself; one of the group's parent; a part of the host that does not have the path.
    for (shown, folder) in [
        (group, ""),
        ("/kubepods/burstable/pod0a1b", "cri-9f/"),
        ("/docker/77", ""),
        ("/", "kubepods/burstable/pod0a1b/cri-9f/"),
    ] {
        let machine = Machine::v2(group, shown)
            .file(&format!("sys/fs/cgroup/{folder}memory.max"), "1073741824\n")
            .file(&format!("sys/fs/cgroup/{folder}cpu.max"), "50000 100000\n");
        assert_eq!(machine.limits(), (Some(0.5), Some(GIB), None), "{shown}");
        let machine = Machine::v1(group, shown)
            .file(&format!("sys/fs/cgroup/memory/{folder}memory.limit_in_bytes"), "1073741824\n")
            .file(&format!("sys/fs/cgroup/cpu,cpuacct/{folder}cpu.cfs_quota_us"), "50000\n")
            .file(&format!("sys/fs/cgroup/cpu,cpuacct/{folder}cpu.cfs_period_us"), "100000\n");
        assert_eq!(machine.limits(), (Some(0.5), Some(GIB), None), "{shown}");
    }
}

#[test]
fn the_group_that_sets_the_quota_is_the_one_with_the_smallest() {
    let folder = "sys/fs/cgroup/job";
    let machine = Machine::v2("/job/step/task", "/")
        .file(&format!("{folder}/cpu.max"), "200000 100000")
        .file(&format!("{folder}/step/cpu.max"), "800000 100000")
        .file(&format!("{folder}/step/task/cpu.max"), "max 100000");
    let number = std::fs::metadata(machine.0.path().join(folder)).unwrap().ino();
    assert_eq!(machine.cgroup().cpu_quota_group(), Some(number));
    let machine =
        machine.file(&format!("{folder}/cpu.max"), "max").file(&format!("{folder}/step/cpu.max"), "max");
    assert_eq!(machine.cgroup().cpu_quota_group(), None);
}

#[test]
fn of_all_levels_the_smallest_limit_counts() {
    let job = "sys/fs/cgroup/system.slice/slurmstepd.scope/job_7";
    let machine = Machine::v2("/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0", "/")
        .file(&format!("{job}/cpu.max"), "200000 100000")
        .file(&format!("{job}/memory.max"), "2147483648")
        .file(&format!("{job}/memory.current"), "700")
        .file(&format!("{job}/memory.stat"), "anon 500\nfile 200\nactive_file 50\ninactive_file 100\n")
        .file(&format!("{job}/pids.max"), "30")
        .file(&format!("{job}/pids.current"), "40")
        .file(&format!("{job}/memory.events"), "oom 9\noom_kill 9\n")
        .file(&format!("{job}/step_batch/cpu.max"), "max 100000")
        .file(&format!("{job}/step_batch/memory.max"), "3221225472")
        .file(&format!("{job}/step_batch/user/cpu.max"), "300000 100000")
        .file(&format!("{job}/step_batch/user/pids.max"), "500")
        .file(&format!("{job}/step_batch/user/pids.current"), "4")
        .file(&format!("{job}/step_batch/user/task_0/memory.max"), "max")
        .file(&format!("{job}/step_batch/user/task_0/memory.current"), "1")
        .file(&format!("{job}/step_batch/user/task_0/memory.events"), "low 0\noom 3\noom_kill 2\n");
    assert_eq!(machine.limits(), (Some(2.0), Some(2 * GIB), Some(0)));
    // Use is that of the level that binds, kills are our own.
    let memory = machine.cgroup().memory().unwrap();
    assert_eq!((memory.in_use(), memory.oom_kills()), (Some(550), 2));

    let step = "sys/fs/cgroup/memory/slurm/uid_1000/job_7/step_0";
    let machine = Machine::v1("/slurm/uid_1000/job_7/step_0", "/")
        .file(&format!("{step}/memory.limit_in_bytes"), "9223372036854771712\n")
        .file(&format!("{step}/../memory.limit_in_bytes"), "1073741824\n");
    assert_eq!(machine.limits().1, Some(GIB));
}

#[test]
fn a_limit_of_a_level_that_cannot_be_seen_is_known_from_the_statistics_of_version_1() {
    let machine = Machine::v1("/pod/container", "/pod/container")
        .file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        .file("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n")
        .file("sys/fs/cgroup/memory/memory.stat", "cache 0\nhierarchical_memory_limit 1073741824\n");
    let memory = machine.cgroup().memory().unwrap();
    assert_eq!((memory.limit(), memory.in_use()), (GIB, Some(1000)));
}

#[test]
fn what_the_kernel_can_drop_is_not_in_use_but_memory_backed_files_are() {
    let machine = Machine::v2("/", "/")
        .file("sys/fs/cgroup/memory.max", "1073741824\n")
        .file("sys/fs/cgroup/memory.current", "1000000\n")
        .file(
            "sys/fs/cgroup/memory.stat",
            "anon 300000\nfile 600000\nshmem 200000\ninactive_anon 400000\nactive_anon 100000\n\
             inactive_file 250000\nactive_file 150000\nslab_reclaimable 50000\nslab_unreclaimable 7\n",
        );
    let memory = machine.cgroup().memory().unwrap();
    assert_eq!(memory.in_use(), Some(550_000));
    // The files stay open; what they hold is read each time.
    machine.write("sys/fs/cgroup/memory.current", "2000000\n");
    assert_eq!(memory.in_use(), Some(1_550_000));
    machine.write("sys/fs/cgroup/memory.stat", "inactive_file 3000000\n");
    assert_eq!(memory.in_use(), Some(0));

    let machine = Machine::v1("/", "/")
        .file("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n")
        .file("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000000\n")
        .file(
            "sys/fs/cgroup/memory/memory.stat",
            "inactive_file 1\nactive_file 1\ntotal_shmem 200000\ntotal_inactive_file 250000\ntotal_active_file 150000\n",
        )
        .file("sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
    let memory = machine.cgroup().memory().unwrap();
    assert_eq!((memory.in_use(), memory.oom_kills()), (Some(600_000), 4));
}

#[test]
fn no_limit_is_told_in_many_ways() {
    // All the machine has, more than it, and more than there can be.
    for text in ["max", "68719476736", "99999999999999", "9223372036854771712", "18446744073709551615"] {
        let machine = Machine::v2("/", "/").file("sys/fs/cgroup/memory.max", text);
        assert_eq!(machine.limits().1, None, "{text}");
        let machine = Machine::v1("/", "/").file("sys/fs/cgroup/memory/memory.limit_in_bytes", text);
        assert_eq!(machine.limits().1, None, "{text}");
    }
    let unlimited = Machine::v2("/", "/")
        .file("proc/meminfo", "")
        .file("sys/fs/cgroup/memory.max", "9223372036854771712")
        .file("sys/fs/cgroup/cpu.max", "max 100000")
        .file("sys/fs/cgroup/pids.max", "max")
        .file("sys/fs/cgroup/pids.current", "1");
    assert_eq!(unlimited.limits(), (None, None, None));
    let unlimited = Machine::v1("/", "/")
        .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1")
        .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
    assert_eq!(unlimited.limits(), (None, None, None));
}

#[test]
fn files_that_make_no_sense_are_no_limit() {
    let garbage: [&[u8]; 8] =
        [b"", b"\n", b"\xff\xfe\x00", b"-5", b"0 0", b"1e9 x", b"100000", b"99999999999999999999999 1"];
    for bytes in garbage {
        let machine = Machine::v2("/", "/");
        for name in ["cpu.max", "memory.max", "pids.max", "pids.current"] {
            std::fs::create_dir_all(machine.0.path().join("sys/fs/cgroup")).unwrap();
            std::fs::write(machine.0.path().join("sys/fs/cgroup").join(name), bytes).unwrap();
        }
        // A lone number is a limit of memory and processes, but not of CPUs.
        let number = (bytes == b"100000").then_some(100_000);
        assert_eq!(machine.limits(), (None, number, number.map(|_| 0)), "{bytes:?}");
    }
    for (groups, mounts) in [
        ("", ""),
        ("0::/\n", ""),
        ("", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"),
        ("0:/\n::\n4:memory\n\n", "30 23 0:26 / /sys/fs/cgroup rw -\n - \n30 23\n- - - -\n"),
        ("0::/../elsewhere\n", "30 23 0:26 / /nowhere rw - cgroup2 cgroup rw\n"),
        ("\u{0}\u{fffd}", "\\777 \\0 \\"),
    ] {
        let machine = Machine::new(groups, mounts).file("sys/fs/cgroup/memory.max", "1000");
        assert_eq!(machine.limits(), (None, None, None), "{groups:?} {mounts:?}");
    }
    assert_eq!(Cgroup::below(Path::new("/nowhere")).memory().map(|memory| memory.limit()), None);
}

#[test]
fn use_that_cannot_be_told_is_not_guessed() {
    let limited = || Machine::v2("/", "/").file("sys/fs/cgroup/memory.max", "1073741824");
    let used = limited().file("sys/fs/cgroup/memory.current", "5");
    for machine in [limited(), used, limited().file("sys/fs/cgroup/memory.stat", "anon 5\n")] {
        let memory = machine.cgroup().memory().unwrap();
        assert_eq!((memory.in_use(), memory.oom_kills()), (None, 0));
    }
    let long = "inactive_file 3\n".to_owned() + &"padding_of_some_length 1\n".repeat(5000);
    let machine =
        limited().file("sys/fs/cgroup/memory.current", "5").file("sys/fs/cgroup/memory.stat", &long);
    assert_eq!(machine.cgroup().memory().unwrap().in_use(), Some(2));
}

#[test]
fn a_group_outside_of_the_namespace_is_not_looked_for_beside_the_mount() {
    let machine = Machine::v2("/../sibling", "/")
        .file("sys/fs/sibling/memory.max", "1000")
        .file("sys/fs/cgroup/memory.max", "1073741824");
    assert_eq!(machine.limits().1, Some(GIB));
}

#[test]
fn a_mount_point_with_a_blank_in_its_name_is_found() {
    let mount = "30 23 0:26 / /sys/fs/c\\040g\\134 rw - cgroup2 cgroup rw\n";
    let machine = Machine::new("0::/a:b\n", mount).file("sys/fs/c g\\/a:b/memory.max", "1073741824");
    assert_eq!(machine.limits().1, Some(GIB));
}

#[test]
fn of_two_views_of_one_hierarchy_the_one_that_shows_more_levels_is_read() {
    let own = "30 23 0:26 /a/b /mnt/own rw - cgroup2 cgroup rw\n";
    let all = "31 23 0:26 / /mnt/all rw - cgroup2 cgroup rw\n";
    for mounts in [[own, all], [all, own]] {
        let machine = Machine::new("0::/a/b\n", &mounts.concat())
            .file("mnt/own/memory.max", "max")
            .file("mnt/all/a/b/memory.max", "max")
            .file("mnt/all/a/memory.max", "1073741824");
        assert_eq!(machine.limits().1, Some(GIB));
    }
}

/// The files of the machine the tests run on can be read, whatever they say.
#[cfg(target_os = "linux")]
#[test]
fn this_process_is_read_without_harm() {
    let cgroup = Cgroup::of_this_process();
    assert!(cgroup.machine_memory().unwrap() > GIB / 16);
    assert!(cgroup.cpu_quota().is_none_or(|quota| quota > 0.0));
    if let Some(memory) = cgroup.memory() {
        assert!(memory.in_use().unwrap() > 0 && memory.limit() > 0);
    }
}
