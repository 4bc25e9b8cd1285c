//! A newcomer in a fresh Debian, with python3 and pip and nothing else: README's own lines, to a picture of what was found.

use crate::pages::{Page, add_images};
use crate::support::{Component, Dir, debian_with_pip, require, wheels};

/// As `--break-system-packages`, which README names for Debian's own Python.
const PIP_MAY: &str = "export PIP_BREAK_SYSTEM_PACKAGES=1";

/// How many pixels of the picture have the colour of bars.
const COUNT_BLUE: &str = r#"python3 -c 'import matplotlib.image as i; p = i.imread("stars.png"); print(int((p[..., 2] - p[..., 0] > 0.3).sum()))'"#;

#[test]
fn five_commands_lead_from_nothing_to_a_picture_of_a_column_in_a_fresh_debian() {
    let needed = [
        Component::DebianWithPip,
        Component::Wheel(std::env::consts::ARCH),
        Component::Library("matplotlib"),
    ];
    if !needed.into_iter().all(require) {
        return;
    }
    let page = Page::read("README.md");
    let dir = Dir::new();
    add_images(&dir);
    let blocks = page.blocks();
    let function = blocks.iter().find(|block| block.file_name() == Some("analysis.py")).unwrap();
    dir.write("analysis.py", &function.content);
    let plot = blocks.iter().find(|block| block.content.contains("stars.png")).unwrap();
    dir.write("plot.py", &plot.content);
    let libraries = page.text.split('`').find(|code| code.starts_with("pip install astropy ")).unwrap();
    let typed = |start: &str| {
        let mut lines = blocks.iter().filter(|block| block.language == "sh").flat_map(|b| b.content.lines());
        lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("README has no {start}"))
    };
    // One of the files is broken, which is 1.
    let script = format!(
        "set -e\n{PIP_MAY}\n{}\n{libraries}\n{} || [ $? = 1 ]\n{} || [ $? = 1 ]\npython3 plot.py\n{COUNT_BLUE}",
        typed("pip install canfar-run"),
        typed("canfar-run -i"),
        typed("canfar-run merge -o stars.csv"),
    );
    let ended = debian_with_pip(&dir, &wheels().unwrap(), &script).run().exits(0);
    let ended = ended.says("11 of 12 files ok, 1 failed").says("none missing");
    assert_eq!(dir.lines("stars.csv").len(), 12, "{ended}");
    assert!(dir.bytes("stars.png").starts_with(b"\x89PNG"));
    let blue: usize = ended.printed().lines().last().unwrap().parse().unwrap();
    assert!(blue > 10_000, "{blue} pixels of bars:\n{ended}");
}
