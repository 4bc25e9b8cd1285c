//! How the files of `/proc` are written (proc(5)): lines of a name and values, and lists of processes.

use std::path::Path;

/// The first word after a name such as `Threads:`.
pub(super) fn word<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    rest(text, name)?.split_whitespace().next()
}

/// The bytes after a name such as `MemTotal:`, where the kernel counts kibibytes and calls them kB.
pub(super) fn bytes(text: &str, name: &str) -> Option<u64> {
    let kibibytes: u64 = rest(text, name)?.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn rest<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

/// The children of the process whose folder this is: every thread has its own. One that has ended meanwhile has none.
pub(super) fn children(process: &Path) -> Vec<i32> {
    let threads = std::fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| std::fs::read(thread.path().join("children")).ok())
        .flat_map(|list| numbers(&list))
        .collect()
}

/// What a list of children holds.
pub(super) fn numbers(list: &[u8]) -> Vec<i32> {
    let words = list.split(u8::is_ascii_whitespace);
    words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{bytes, numbers, word};

    #[test]
    fn values_stand_after_their_names() {
        let status = "Name:\ta: b\nVmHWM:\t   12 kB\nSigIgn:\t0000000000000001\nUid:\t7\t8\n";
        assert_eq!((word(status, "Uid:"), word(status, "SigIgn:")), (Some("7"), Some("0000000000000001")));
        assert_eq!(
            (bytes(status, "VmHWM:"), bytes(status, "Uid:"), word(status, "b:")),
            (Some(12288), None, None)
        );
        assert_eq!(bytes("MemTotal: 99999999999999999999 kB", "MemTotal:"), None);
        assert_eq!(numbers(b"12 345 \n"), [12, 345]);
    }
}
