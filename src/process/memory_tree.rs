//! How much memory a process uses, including its descendants.

use std::path::Path;

use crate::host::procfs;

/// Bytes that a process and its descendants hold and that can't be dropped: no code, no files, no caches. What several of
/// them share is counted for each. 0 where the system does not tell, or it is gone.
pub(crate) fn bytes_of_tree(pid: i32) -> u64 {
    procfs::tree(pid).map(|process| bytes_of(&process)).sum()
}

fn bytes_of(process: &Path) -> u64 {
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    ["RssAnon:", "RssShmem:"].into_iter().filter_map(|name| procfs::bytes(&status, name)).sum()
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::bytes_of_tree;

    #[test]
    fn what_a_grandchild_holds_counts_and_what_is_gone_holds_nothing() {
        let shell =
            "exec 3<&0; (x=$(head -c 20000000 /dev/zero | tr '\\0' x); echo ready; read _ <&3) & wait";
        let mut child = Command::new("/bin/sh")
            .args(["-c", shell])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        assert!(bytes_of_tree(child.id().cast_signed()) > 20_000_000);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(bytes_of_tree(child.id().cast_signed()), 0);
    }
}
