//! A machine as the page has it: /path, /data, /results and a home on /arc beside all that this machine has.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Dir, Ended, InTime, Run, python};

/// Folders at the root that the page writes to or reads from.
const FOLDERS: [&str; 5] = ["path/to", "data/observations", "results", "arc/home/user", "programs"];

/// `ENTER ROOT WORLD COMMAND...` in mounts of its own: ROOT has what / has, and the folders of WORLD. One `mount` does all
/// that a table says, for each would take its time.
const ENTER: &str = r#"set -e
root=$1 world=$2; shift 2
mount -t tmpfs none "$root"
for entry in /*; do
    if [ -L "$entry" ]; then links="$links $entry"
    elif [ -d "$entry" ]; then folders="$folders $root$entry"; echo "$entry $root$entry none rbind"; fi
done > "$root/fstab"
for folder in path data results arc programs; do
    folders="$folders $root/$folder"; echo "$world/$folder $root/$folder none bind"
done >> "$root/fstab"
cp -P $links "$root"
mkdir -p $folders
mount --all --fstab "$root/fstab"
exec chroot "$root" /bin/sh -c 'cd "$HOME"; exec "$@"' sh "$@"
"#;

#[derive(Debug)]
pub(super) struct Place {
    dir: Dir,
}

impl Place {
    pub(super) fn new() -> Self {
        let place = Self { dir: Dir::new() };
        for folder in FOLDERS.into_iter().chain(["root"]) {
            std::fs::create_dir_all(place.dir.path(folder)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_canfar-run"), place.dir.path("programs/canfar-run"))
            .unwrap();
        let interpreter = format!("#!/bin/sh\nexec {} \"$@\"\n", interpreter());
        for name in ["python", "python3"] {
            let program = place.dir.write(format!("programs/{name}"), &interpreter);
            std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
        }
        place
    }

    /// Where a path of the page really is.
    fn name(path: &str) -> &str {
        path.strip_prefix('/').expect("an absolute path")
    }

    pub(super) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        self.dir.write(Self::name(path), content);
    }

    /// Files of a folder, each holding its own number.
    pub(super) fn add_files(&self, folder: &str, count: usize) {
        (0..count)
            .for_each(|number| self.write(&format!("{folder}/obs_{number:04}.fits"), number.to_string()));
    }

    /// Another name for a folder.
    pub(super) fn link(&self, path: &str, to: &str) {
        std::os::unix::fs::symlink(to, self.dir.path(Self::name(path))).unwrap();
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.dir.exists(Self::name(path))
    }

    /// The records of a JSON file.
    #[track_caller]
    pub(super) fn records(&self, path: &str) -> Vec<Value> {
        match self.dir.json(Self::name(path)) {
            Value::Array(records) => records,
            other => panic!("no array: {other}"),
        }
    }

    /// Empties /results, for what comes next.
    pub(super) fn clear_results(&self) {
        std::fs::remove_dir_all(self.dir.path("results")).unwrap();
        std::fs::create_dir(self.dir.path("results")).unwrap();
    }

    /// A program, started as the platform does it: in the home folder, and with nothing but these variables.
    pub(super) fn start<'a>(
        &self,
        argv: impl IntoIterator<Item = impl AsRef<OsStr>>,
        env: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Ended {
        let run = Run::of(&self.dir, "unshare")
            .args(["-m", "/bin/sh", "-c", ENTER, "enter"])
            .args([self.dir.path("root"), self.dir.root().to_owned()])
            .args(argv);
        let run = env.into_iter().fold(run, |run, (name, value)| run.env(name, value));
        run.env("HOME", "/arc/home/user").env("PATH", "/programs:/usr/bin:/bin:/usr/sbin:/sbin").run()
    }

    /// Lines of a shell, without an identity.
    pub(super) fn sh(&self, script: &str) -> Ended {
        self.start(["/bin/sh", "-ec", script], [])
    }

    /// Lines of a shell for each of these replicas.
    pub(super) fn sh_as(
        &self,
        replicas: impl IntoIterator<Item = usize>,
        count: usize,
        script: &str,
    ) -> Ended {
        let ids = replicas.into_iter().map(|id| id.to_string()).collect::<Vec<_>>().join(" ");
        self.sh(&format!(
            "export REPLICA_COUNT={count}\nfor REPLICA_ID in {ids}; do export REPLICA_ID\n{script}\ndone"
        ))
    }
}

/// Where the interpreter itself is: one found by `PATH` would be the program that calls it.
fn interpreter() -> String {
    let print = "import sys; print(sys.executable, end='')";
    let said = Command::new(python()).args(["-c", print]).output_in_time().unwrap();
    let path = String::from_utf8(said.stdout).unwrap();
    assert!(Path::new(&path).is_absolute(), "{path}");
    path
}
