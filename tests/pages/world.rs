//! A folder in which the blocks of a page are run, with the programs that they name.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::LazyLock;

use fastrand::Rng;

use super::compare::is_shown;
use super::page::root;
use super::{Block, Page};
use crate::examples::support::fits_write::{Storage, file_bytes};
use crate::examples::support::sky::draw;
use crate::support::{Component, Dir, Run, interpreter, require};

/// What pages call the folder that their blocks run in: on the platform, and on a laptop.
const PLACES: [&str; 2] = ["/arc/projects/survey", "/home/me/survey"];
const IMAGES: usize = 12;
/// The image that is cut short, and its length in bytes.
const CUT: (usize, usize) = (7, 5000);

/// Whether there is a Python with what pages import. To ask takes a second.
static PYTHON: LazyLock<bool> =
    LazyLock::new(|| require(Component::Python("astropy, sep, pandas, matplotlib")));

struct World {
    dir: Dir,
    /// Programs, where no pattern of a page finds them.
    bin: Dir,
}

/// Runs the blocks of a page, and compares what they print with what it shows.
pub(super) fn try_out(path: &str) {
    let page = Page::read(path);
    let blocks = page.blocks();
    if !blocks.iter().any(Block::is_tried) || !*PYTHON {
        return;
    }
    let world = World::new();
    let updates = std::env::var_os("CANFAR_RUN_TEST_UPDATE_PAGES").is_some();
    let mut differences = Vec::new();
    for (place, block) in blocks.iter().enumerate() {
        if !block.is_tried() {
            continue;
        }
        if let Some(name) = block.file_name() {
            world.dir.write(name, world.here(&block.content));
            continue;
        }
        let printed = world.run(&page, block);
        let Some(shown) = blocks.get(place + 1).filter(|next| next.is_output()) else { continue };
        let printed = world.as_on_page(&printed, &shown.content);
        if !is_shown(&printed, &shown.content) || updates && shown.content == "...\n" {
            differences.push((shown, printed));
        }
    }
    if updates {
        update(&page, &differences);
    } else if let Some((shown, printed)) = differences.first() {
        panic!("{path}:{}: shows\n{}\nprinted was\n{printed}", shown.line, shown.content);
    }
}

/// `data/` as every page finds it.
pub(crate) fn add_images(dir: &Dir) {
    let mut random = Rng::with_seed(1);
    for number in 1..=IMAGES {
        let mut bytes = file_bytes(&draw(&mut random, 96, 96).image, Storage::Float32, &[]);
        if number == CUT.0 {
            bytes.truncate(CUT.1);
        }
        dir.write(format!("data/obs_{number:04}.fits"), bytes);
    }
}

impl World {
    fn new() -> Self {
        let world = Self { dir: Dir::new(), bin: Dir::new() };
        add_images(&world.dir);
        symlink(env!("CARGO_BIN_EXE_canfar-run"), world.bin.path("canfar-run")).unwrap();
        let python =
            world.bin.write("python3", format!("#!/bin/sh\nexec {} \"$@\"\n", interpreter().unwrap()));
        std::fs::set_permissions(python, PermissionsExt::from_mode(0o755)).unwrap();
        // Scripts of the reader's own, of which pages print the commands alone.
        ["analyze.py", "detect.py"].iter().for_each(|script| _ = world.dir.write(script, ""));
        world
    }

    /// A text with the folder's own name.
    fn here(&self, text: &str) -> String {
        let root = self.dir.root().to_str().unwrap();
        PLACES.iter().fold(text.to_owned(), |text, place| text.replace(place, root))
    }

    /// The same the other way round, in the words of the text that it is compared with.
    fn as_on_page(&self, printed: &str, shown: &str) -> String {
        let place = PLACES.iter().rfind(|place| shown.contains(**place)).unwrap_or(&PLACES[0]);
        printed.replace(self.dir.root().to_str().unwrap(), place)
    }

    /// What the block printed.
    fn run(&self, page: &Page, block: &Block) -> String {
        let script = self.here(&block.content);
        let words = match block.language.as_str() {
            "sh" => ["sh", "-ec", &format!("exec 2>&1\n{script}")].map(str::to_owned),
            "python" => ["python3", "-c", &script].map(str::to_owned),
            other => panic!(
                "{}:{}: a block of {other:?} can't be run; say <!-- not run: why -->",
                page.path, block.line
            ),
        };
        let path = format!("{}:{}", self.bin.root().display(), std::env::var("PATH").unwrap());
        let [program, arguments @ ..] = words;
        let run = Run::of(&self.dir, program).args(arguments).env("PATH", path).env("HOME", self.bin.root());
        let ended = run.env("PYTHONDONTWRITEBYTECODE", "1").run();
        assert_eq!(ended.code, Some(block.exit_code()), "exit code of {}:{}\n{ended}", page.path, block.line);
        ended.printed()
    }
}

/// Writes what was printed into the blocks that show something else.
fn update(page: &Page, differences: &[(&Block, String)]) {
    let mut lines: Vec<&str> = page.text.lines().collect();
    for (shown, printed) in differences.iter().rev() {
        let begin = shown.line - 1;
        lines.splice(begin..begin + shown.content.lines().count(), printed.lines());
    }
    std::fs::write(root().join(&page.path), lines.join("\n") + "\n").unwrap();
}
