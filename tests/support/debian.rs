//! Debian 12 with python3 and pip and nothing else, as a newcomer may have it, in containers without a network: what is to
//! be installed comes from a folder of wheels. `tests/all` makes the image.

use std::path::Path;
use std::sync::OnceLock;

use super::{Container, Dir};

/// As `tests/support/install.sh` names it.
const IMAGE: &str = "localhost/canfar-run-test/debian-with-pip:12";

/// `sh -c SCRIPT` in a fresh one, as root, in the test's folder, which is at /work. `pip install` finds `wheels` and nothing
/// else; Debian's pip wants `--break-system-packages` with it, or a venv.
pub(crate) fn debian_with_pip<'d>(dir: &'d Dir, wheels: &Path, script: &str) -> Container<'d> {
    Container::of_image(dir, IMAGE, script)
        .flag(format!("--volume={}:/wheels:ro", wheels.display()))
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", "/wheels")
        .env("PIP_ROOT_USER_ACTION", "ignore")
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
