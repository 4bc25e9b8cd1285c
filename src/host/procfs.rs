//! The format of files in `/proc` (proc(5)): lines of a name and values, and lists of processes.

use std::path::{Path, PathBuf};

/// The first word after a name such as `Threads:`.
pub(crate) fn word<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    rest(text, name)?.split_whitespace().next()
}

/// Whether a signal is in the mask after a name such as `SigIgn:`; `None` where there is no such mask.
pub(crate) fn has_signal(text: &str, name: &str, signal: i32) -> Option<bool> {
    let mask = u64::from_str_radix(word(text, name)?, 16).ok()?;
    // The lowest bit is signal 1.
    Some(mask & 1_u64.checked_shl(u32::try_from(signal).ok()?.checked_sub(1)?)? != 0)
}

/// The bytes after a name such as `MemTotal:`, where the kernel counts kibibytes and calls them kB.
pub(crate) fn bytes(text: &str, name: &str) -> Option<u64> {
    let kibibytes: u64 = rest(text, name)?.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn rest<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

/// CPU time of the children that a process waited for, by the text of its `stat`.
#[cfg(target_os = "linux")]
pub(crate) fn time_of_children(stat: &[u8]) -> Option<std::time::Duration> {
    time_in(stat, 16)
}

/// CPU time of a process itself, by the text of its `stat`.
#[cfg(target_os = "linux")]
pub(crate) fn time_of_process(stat: &[u8]) -> Option<std::time::Duration> {
    time_in(stat, 14)
}

/// The time in a field of `stat`, counted from 1, and the next one: in user mode, then for it in the kernel. The second
/// field is a name in parentheses that may hold anything.
#[cfg(target_os = "linux")]
fn time_in(stat: &[u8], field: usize) -> Option<std::time::Duration> {
    let rest = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
    let mut fields = std::str::from_utf8(rest).ok()?.split_ascii_whitespace().skip(field - 3);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    Some(std::time::Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// The children of the process with this folder: every thread has its own. A process that has ended meanwhile has none.
pub(crate) fn children(process: &Path) -> Vec<i32> {
    let threads = std::fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| std::fs::read(thread.path().join("children")).ok())
        .flat_map(|list| numbers(&list))
        .collect()
}

/// A process's folder and those of its descendants. A process that changes on the way passes the change on to children
/// that it starts later: children are looked up after that.
pub(crate) fn tree(pid: i32) -> impl Iterator<Item = PathBuf> {
    let mut waiting = vec![pid];
    let mut visited: Option<PathBuf> = None;
    std::iter::from_fn(move || {
        if let Some(visited) = &visited {
            waiting.extend(children(visited));
        }
        let process = Path::new("/proc").join(waiting.pop()?.to_string());
        visited = Some(process.clone());
        Some(process)
    })
}

/// Whether the system tells which children a process has.
pub(crate) fn tells_children() -> bool {
    Path::new("/proc/thread-self/children").exists()
}

/// The states of the threads of the process whose folder this is; none where it is gone.
pub(crate) fn thread_states(process: &Path) -> impl Iterator<Item = char> + use<> {
    let threads = std::fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| state(&thread.path()))
}

/// The state of the process with this folder: `R`, `S`, `T`, ...; `None` if it is gone.
pub(crate) fn state(process: &Path) -> Option<char> {
    let stat = std::fs::read(process.join("stat")).ok()?;
    let rest = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
    rest.iter().copied().map(char::from).find(|letter| !letter.is_ascii_whitespace())
}

/// What a list of children holds.
pub(crate) fn numbers(list: &[u8]) -> Vec<i32> {
    let words = list.split(u8::is_ascii_whitespace);
    words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{bytes, has_signal, numbers, word};

    #[test]
    #[cfg(target_os = "linux")]
    fn the_time_of_children_stands_behind_ones_own() {
        let stat = b"7 (a) b) S 1 7 7 0 -1 0 1 0 0 0 11 22 300 50 20 0 1 0 99 1 1";
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(super::time_of_children(stat).map(|time| time.as_secs_f64()), Some(350.0 / ticks));
        assert_eq!(super::time_of_process(stat).map(|time| time.as_secs_f64()), Some(33.0 / ticks));
        assert_eq!(super::time_of_children(b"7 (a) S 1"), None);
    }

    #[test]
    fn values_stand_after_their_names() {
        let status = "Name:\ta: b\nVmHWM:\t   12 kB\nSigIgn:\t0000000000000001\nUid:\t7\t8\n";
        assert_eq!((word(status, "Uid:"), word(status, "SigIgn:")), (Some("7"), Some("0000000000000001")));
        assert_eq!(
            (bytes(status, "VmHWM:"), bytes(status, "Uid:"), word(status, "b:")),
            (Some(12288), None, None)
        );
        assert_eq!(
            [1, 2, 0, 65].map(|signal| has_signal(status, "SigIgn:", signal)),
            [Some(true), Some(false), None, None]
        );
        assert_eq!(has_signal(status, "SigCgt:", 1), None);
        assert_eq!(bytes("MemTotal: 99999999999999999999 kB", "MemTotal:"), None);
        assert_eq!(numbers(b"12 345 \n"), [12, 345]);
    }
}
