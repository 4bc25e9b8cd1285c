//! In Debian's own Python, which belongs to Debian.

use crate::support::{Component, Dir, debian_with_pip, require};

#[test]
fn debian_s_pip_installs_nothing_into_its_python_unless_told_to() {
    if !require(Component::DebianWithPip) {
        return;
    }
    let dir = Dir::new();
    debian_with_pip(&dir, dir.root(), "pip install canfar-run")
        .run()
        .exits(1)
        .says("externally-managed-environment");
}
