//! What containers of tests have for a root: canfar-run, a shell with its tools, and the programs of `tests/programs`.
//! All of it is static, so that no image has to come from anywhere.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::InTime;

/// Names the static canfar-run.
const STATIC: &str = "CANFAR_RUN_TEST_STATIC";

/// Followed by the number of the process that made it.
const PREFIX: &str = "container-";

const PROGRAMS: [&str; 2] = ["hog", "leaver"];

/// Made once for all tests; why it can't be, otherwise.
pub(super) fn container_root() -> Result<&'static Path, &'static String> {
    static ROOT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    ROOT.get_or_init(make).as_deref()
}

fn make() -> Result<PathBuf, String> {
    let Some(canfar_run) = std::env::var_os(STATIC).filter(|path| !path.is_empty()) else {
        return Err(format!("{STATIC} names no static canfar-run (tests/all builds one)"));
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    remove_those_of_earlier_tests(folder);
    let root = folder.join(format!("{PREFIX}{}", std::process::id()));
    fill(&root, canfar_run.as_ref()).map_err(|error| format!("{error:#}"))?;
    Ok(root)
}

fn remove_those_of_earlier_tests(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn fill(root: &Path, canfar_run: &Path) -> anyhow::Result<()> {
    use anyhow::Context;
    let bin = root.join("bin");
    // Where podman mounts something there has to be something.
    for folder in ["arc", "bin", "dev", "etc", "lib", "lib64", "proc", "run", "scratch", "sys", "tmp"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    // Anybody's, where something can be written to is mounted there.
    std::fs::set_permissions(root.join("tmp"), PermissionsExt::from_mode(0o1777))?;
    for (file, content) in
        [("passwd", "root:x:0:0::/:/bin/sh\n"), ("group", "root:x:0:\n"), ("canfar-run.toml", "")]
    {
        std::fs::write(root.join("etc").join(file), content)?;
    }
    std::fs::copy(canfar_run, bin.join("canfar-run")).with_context(|| canfar_run.display().to_string())?;
    let list = output(Command::new("busybox").arg("--list-full"))?;
    let busybox = output(Command::new("sh").args(["-c", "command -v busybox"]))?;
    std::fs::copy(busybox.trim_end(), bin.join("busybox")).context("busybox")?;
    for tool in list.lines().filter_map(|path| path.rsplit('/').next()).filter(|tool| *tool != "busybox") {
        symlink("busybox", bin.join(tool))?;
    }
    for name in PROGRAMS {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/programs/{name}.c"));
        output(Command::new("cc").args(["-O2", "-static", "-o"]).arg(bin.join(name)).arg(source))?;
    }
    for entry in std::fs::read_dir(&bin)? {
        let path = entry?.path();
        if !path.is_symlink() {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755))?;
        }
    }
    Ok(())
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output_in_time()?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}
