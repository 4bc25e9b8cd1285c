//! Trees to look for files in: one made by hand of all that is nasty, and random ones.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// A folder `tree` in a temporary folder of its own, open to all users. It lies so deep in it that no `..` of a random
/// pattern leads out, to files that are not ours.
pub(crate) struct Tree {
    temporary: TempDir,
    closed: Vec<PathBuf>,
}

const TREE: &str = "1/2/3/4/5/6/tree";

impl Tree {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        fs::set_permissions(temporary.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(temporary.path().join(TREE)).unwrap();
        Self { temporary, closed: Vec::new() }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.temporary.path().canonicalize().unwrap().join(TREE)
    }

    pub(crate) fn at(&self, path: &[u8]) -> PathBuf {
        self.root().join(OsStr::from_bytes(path))
    }

    fn file(&self, path: &[u8]) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap();
    }

    fn link(&self, path: &[u8], target: &str) {
        symlink(target, self.at(path)).unwrap();
    }

    fn fifo(&self, path: &[u8]) {
        mknodat(CWD, self.at(path), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    }

    fn close(&mut self, path: PathBuf, mode: u32) {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        self.closed.push(path);
    }
}

impl Drop for Tree {
    /// So that the temporary folder can be removed by its owner, who need not be root.
    fn drop(&mut self) {
        for path in &self.closed {
            let _ = fs::set_permissions(path, Permissions::from_mode(0o755));
        }
    }
}

#[rustfmt::skip] // a table, not a column
const NASTY_NAMES: &[&[u8]] = &[
    b"a.fits", b"b.fits", b"B.FITS", b".hidden.fits", b"new\nline.fits", b"quo'te\".fits",
    b"$(touch pwned).fits", b"semi;colon.fits", b"-dash.fits", b"sp ace.fits", b"{a,b}.fits",
    b"obs[1].fits", b"obs1.fits", b"back\\slash.fits", b"[", b"]", b"[a", b"!x", b"^x", b"*", b"?", b"~",
    b"#", b"a&b", b"...", b"\xc3\xa9.fits", b"e\xcc\x81.fits", b"\xff.fits", b"a\xc3.fits",
    b"\xe2\x82.fits", b"\xed\xa0\x80.fits", b"\xe6\x97\xa5\xe6\x9c\xac.fits",
];

#[rustfmt::skip] // a table, not a column
const NASTY_FOLDERS: &[&[u8]] = &[
    b"night1", b"night2", b".dot", b"dir[2]", b"{x}", b"back\\dir", b"\xfe\xfd", b"sp ace", b"**",
    b"c.fits", b"m1", b"m2",
];

/// All that is nasty, and at least one of each kind.
pub(crate) fn nasty() -> Tree {
    let mut tree = Tree::new();
    for name in NASTY_NAMES {
        tree.file(name);
    }
    for folder in NASTY_FOLDERS {
        for name in
            [&b"x.fits"[..], b".y.fits", b"z.txt", b"sub/f.fits", b"sub/.g.fits", b".sub/h.fits", b"\xff"]
        {
            tree.file(&[folder, &b"/"[..], name].concat());
        }
        fs::create_dir(tree.at(&[folder, &b"/empty"[..]].concat())).unwrap();
    }
    tree.file(&[b"deep".as_slice(), &b"/d".repeat(50), b"/bottom.fits"].concat());
    links(&tree);
    tree.fifo(b"fifo.fits");
    drop(UnixListener::bind(tree.at(b"socket.fits")).unwrap());
    for (folder, mode) in [("locked", 0o000), ("noread", 0o111), ("nosearch", 0o444)] {
        for name in ["f.fits", "sub/f.fits"] {
            tree.file(format!("{folder}/{name}").as_bytes());
        }
        tree.close(tree.at(folder.as_bytes()), mode);
    }
    tree
}

fn links(tree: &Tree) {
    for (path, target) in [
        ("link.fits", "a.fits"),
        ("linkdir", "night1"),
        (".hiddenlink", "night2"),
        ("dangling.fits", "nowhere"),
        ("dangling_far", "/nowhere/at/all"),
        ("self", "self"),
        ("null.fits", "/dev/null"),
        ("locked.fits", "locked/f.fits"),
        ("lockedlink", "locked"),
        ("fifolink.fits", "fifo.fits"),
        ("through_file", "a.fits/x"),
        ("night1/up", ".."),
        ("night1/dot", "."),
        ("night1/sub/top", "../.."),
        ("night1/other", "../night2"),
        ("m1/x", "../m2"),
        ("m2/y", "../m1"),
        ("m2/out", "../m1/sub"),
        ("night2/chain", "../linkdir/sub"),
    ] {
        tree.link(path.as_bytes(), target);
    }
}

/// Names of random trees: few, so that patterns meet them, and none of them harmless.
#[rustfmt::skip] // a table, not a column
const NAMES: &[&[u8]] = &[
    b"a", b"b", b"ab", b"ba", b".a", b"..a", b"[", b"]", b"[a]", b"a]", b"!", b"-", b"{a}", b"\\", b"*",
    b"**", b"?", b"a.f", b"b.f", b".f", b"\n", b" ", b"\xc3\xa9", b"\xff", b"\xc3", b"a\xa9",
];

/// A small random tree, and how many links to folders it has.
pub(crate) fn random(rng: &mut Rng) -> (Tree, usize) {
    let mut tree = Tree::new();
    let mut folders = vec![tree.root()];
    for _ in 0..rng.usize(2..12) {
        let folder = name_in(rng, &folders);
        if fs::create_dir(&folder).is_ok() {
            folders.push(folder);
        }
    }
    let mut links = 0;
    for _ in 0..rng.usize(5..40) {
        let path = name_in(rng, &folders);
        match rng.usize(0..20) {
            0 => drop(symlink("missing", path)),
            1 => drop(mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0)),
            2 if symlink(name_in(rng, &folders), &path).is_ok() => links += usize::from(path.is_dir()),
            _ => drop(File::create_new(path)),
        }
    }
    let links = links + link_folders(rng, &folders);
    if rng.usize(0..4) == 0 {
        let folder = folders[rng.usize(0..folders.len())].clone();
        if folder != tree.root() {
            tree.close(folder, [0o000, 0o111, 0o444][rng.usize(0..3)]);
        }
    }
    (tree, links)
}

/// At most three: with more, going round every way there is takes Python forever.
fn link_folders(rng: &mut Rng, folders: &[PathBuf]) -> usize {
    let wanted = rng.usize(0..4);
    let mut made = 0;
    for _ in 0..wanted {
        let path = name_in(rng, folders);
        let target = match rng.usize(0..4) {
            0 => PathBuf::from("."),
            1 => PathBuf::from(".."),
            _ => folders[rng.usize(0..folders.len())].clone(),
        };
        made += usize::from(symlink(target, path).is_ok());
    }
    made
}

fn name_in(rng: &mut Rng, folders: &[PathBuf]) -> PathBuf {
    let folder: &Path = &folders[rng.usize(0..folders.len())];
    folder.join(OsStr::from_bytes(NAMES[rng.usize(0..NAMES.len())]))
}

#[rustfmt::skip] // a table, not a column
const MAGIC: &[&[u8]] = &[
    b"*", b"*", b"?", b"*a*", b"a*", b"*.f", b".*", b"[ab]", b"[!a]", b"[!.]*", b"[^a]", b"[a-b]*",
    b"[b-a]", b"[!b-a]", b"[", b"[]]", b"[[]*", b"[[]a]", b"??", b"*\xa9", b"[\x80-\xff]", b"[a-\xff]*",
    b"[\xc3\xa9]", b"{a,b}", b"\\*", b"***", b"a**",
];

/// A random pattern with at most two `**`, and how many it has.
pub(crate) fn random_pattern(rng: &mut Rng, root: &Path) -> (Vec<u8>, usize) {
    let mut pattern = Vec::new();
    if rng.usize(0..4) == 0 {
        pattern.extend_from_slice(root.as_os_str().as_bytes());
        pattern.push(b'/');
    }
    let mut depths = 0;
    for component in 0..rng.usize(1..5) {
        if component > 0 {
            pattern.push(b'/');
        }
        match rng.usize(0..20) {
            0..4 if depths < 2 => {
                pattern.extend_from_slice(b"**");
                depths += 1;
            }
            0..12 => pattern.extend_from_slice(MAGIC[rng.usize(0..MAGIC.len())]),
            12 => pattern.extend_from_slice(b"."),
            13 => pattern.extend_from_slice(b".."),
            14 if component > 0 => pattern.extend_from_slice(b"/."),
            _ => pattern.extend_from_slice(NAMES[rng.usize(0..NAMES.len())]),
        }
    }
    if rng.usize(0..6) == 0 {
        pattern.extend_from_slice(if rng.bool() { b"/" } else { b"//" });
    }
    let depths = pattern.split(|byte| *byte == b'/').filter(|component| *component == b"**").count();
    (pattern, depths)
}

/// Bytes that mean something to patterns, and some that are not UTF-8.
pub(crate) fn random_text(rng: &mut Rng, pieces: &[&[u8]]) -> Vec<u8> {
    (0..rng.usize(0..8)).flat_map(|_| pieces[rng.usize(0..pieces.len())].to_vec()).collect()
}
