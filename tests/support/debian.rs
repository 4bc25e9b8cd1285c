//! Debian 12 with python3 and pip and nothing else, as a newcomer may have it, in containers without a network: what is to
//! be installed comes from a folder of wheels. `tests/all` makes the image.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::container::PODMAN;
use super::{Container, Dir, InTime};

/// As `tests/support/install.sh` names it.
const IMAGE: &str = "localhost/canfar-run-test/debian-with-pip:12";

/// `sh -c SCRIPT` in a fresh one, as root, in the test's folder, which is at /work. `pip install` finds `wheels` and nothing
/// else; Debian's pip wants `--break-system-packages` with it, or a venv.
pub(crate) fn debian_with_pip<'d>(dir: &'d Dir, wheels: &Path, script: &str) -> Container<'d> {
    let container = Container::of_image(dir, IMAGE, script);
    pip_from(wheels).into_iter().fold(container, Container::flag)
}

/// What has pip install from a folder and nowhere else, for `podman run` and `podman build`.
fn pip_from(wheels: &Path) -> [String; 2] {
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/pip.conf");
    [(wheels, "/wheels"), (&settings, "/etc/pip.conf")]
        .map(|(here, there)| format!("--volume={}:{there}:ro", here.display()))
}

/// What `podman build` makes of a Dockerfile. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Image(String);

impl Image {
    /// With this Debian as the argument `BASE_IMAGE`; pip finds `wheels` and nothing else.
    #[track_caller]
    pub(crate) fn build(dockerfile: &str, wheels: &Path) -> Self {
        static BUILT: AtomicU32 = AtomicU32::new(0);
        let number = BUILT.fetch_add(1, Ordering::Relaxed);
        let image = Self(format!("localhost/canfar-run-test/built-{}-{number}", std::process::id()));
        let context = Dir::new();
        let file = context.write("Dockerfile", dockerfile);
        let mut podman = Command::new("podman");
        podman.args(PODMAN).args(["build", "--network=none", "--pull=never", "--no-cache", "--force-rm"]);
        podman.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"]).args(pip_from(wheels));
        podman.arg(format!("--build-arg=BASE_IMAGE={IMAGE}")).args(["--tag", &image.0, "--file"]).arg(file);
        let output = podman.arg(context.root()).output_in_time().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{podman:?}\n{}{said}", String::from_utf8_lossy(&output.stdout));
        image
    }

    /// `sh -c SCRIPT` in a container of it, as root, in the test's folder, which is at /work.
    pub(crate) fn sh<'d>(&self, dir: &'d Dir, script: &str) -> Container<'d> {
        Container::of_image(dir, &self.0, script)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("podman").args(["rmi", "--force", &self.0]).output_in_time();
    }
}

/// Why it can't be had here; `None` when it can.
pub(super) fn why_none() -> Option<String> {
    static WHY: OnceLock<Option<String>> = OnceLock::new();
    WHY.get_or_init(|| {
        if !rustix::process::geteuid().is_root() {
            return Some("only root can start containers with all their limits".to_owned());
        }
        let dir = Dir::new();
        let trial = Container::of_image(&dir, IMAGE, "pip --version").run();
        (trial.code != Some(0)).then(|| format!("no Debian with pip (tests/all makes one):\n{trial}"))
    })
    .clone()
}
