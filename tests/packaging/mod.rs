//! What people install, and what they have to type for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Component, InTime, python, require, wheels};

mod aarch64;
mod contents;
mod debian;
mod venv;

/// The wheel for an architecture, where there is one; says why not otherwise.
fn wheel(architecture: &str) -> Option<PathBuf> {
    require(Component::Wheel(architecture)).then(|| wheels().unwrap().join(file_name(architecture)))
}

fn file_name(architecture: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let manylinux = format!("manylinux2014_{architecture}.manylinux_2_17_{architecture}");
    format!("canfar_run-{version}-py3-none-{manylinux}.musllinux_1_1_{architecture}.whl")
}

/// The program in a wheel, put into a folder.
fn unpack(wheel: &Path, folder: &Path) -> PathBuf {
    let script = "import os, sys, zipfile
_, wheel, name, folder = sys.argv
program = os.path.join(folder, 'canfar-run')
with zipfile.ZipFile(wheel) as archive, open(program, 'wb') as file:
    file.write(archive.read(name))
os.chmod(program, 0o755)
print(program)";
    let name = format!("canfar_run-{}.data/scripts/canfar-run", env!("CARGO_PKG_VERSION"));
    printed(Command::new(python()).args(["-c", script]).arg(wheel).arg(name).arg(folder)).trim_end().into()
}

/// Standard output of something that has to succeed.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output_in_time().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
