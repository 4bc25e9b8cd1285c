//! Where the control groups of this process appear in the file system, according to `/proc/self/cgroup` and `/proc/self/mountinfo`
//! (cgroups(7), `proc_pid_mountinfo(5)`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// Which version's files a controller's folders have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CgroupVersion {
    /// A hierarchy for each controller, or a few of them.
    V1,
    /// One for all.
    V2,
}

/// The folders of one controller.
#[derive(Debug)]
pub(crate) struct CgroupPlace {
    pub(crate) version: CgroupVersion,
    /// The process's own group first, then those around it as far as they can be seen; never empty.
    pub(crate) levels: Vec<PathBuf>,
}

/// What the kernel says about groups and mounts.
pub(crate) struct Tables {
    root: PathBuf,
    groups: Vec<u8>,
    mounts: Vec<u8>,
}

impl Tables {
    /// Those of this process, with all paths below `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let read = |name| std::fs::read(root.join("proc/self").join(name)).unwrap_or_default();
        Self { root: root.to_owned(), groups: read("cgroup"), mounts: read("mountinfo") }
    }

    /// Where `controller` is: a hierarchy of its own comes first, since what is there is not in the common one.
    pub(crate) fn place(&self, controller: &str) -> Option<CgroupPlace> {
        [CgroupVersion::V1, CgroupVersion::V2].into_iter().find_map(|version| {
            let own = self.own_group(version, controller)?;
            let mounts: Vec<Mount> = lines(&self.mounts)
                .filter_map(Mount::parse)
                .filter(|mount| mount.carries(version, controller))
                .collect();
            let resolved = mounts.iter().filter_map(|mount| self.levels_up(mount, &own));
            // Of several views, the one that shows most. A container that gets its path on the host but sees only
            // its own part has that at the mount point.
            let levels = resolved
                .max_by_key(Vec::len)
                .or_else(|| mounts.first().map(|mount| vec![self.below_root(&mount.point)]))?;
            Some(CgroupPlace { version, levels })
        })
    }

    /// The path of the process's group within its hierarchy: the third field of its line.
    fn own_group(&self, version: CgroupVersion, controller: &str) -> Option<PathBuf> {
        lines(&self.groups).find_map(|line| {
            let mut fields = line.splitn(3, |byte| *byte == b':');
            let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let is_it = match version {
                CgroupVersion::V1 => has_word(controllers, controller),
                CgroupVersion::V2 => hierarchy == b"0" && controllers.is_empty(),
            };
            is_it.then(|| PathBuf::from(OsStr::from_bytes(path)))
        })
    }

    /// The folders of `own` and what is around it, if it lies in what `mount` shows.
    fn levels_up(&self, mount: &Mount, own: &Path) -> Option<Vec<PathBuf>> {
        let inner = own.strip_prefix(&mount.shows).ok()?;
        // A group outside of our namespace is shown with `..`: no path from here leads there.
        if !inner.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let top = self.below_root(&mount.point);
        let levels: Vec<PathBuf> = inner.ancestors().map(|part| top.join(part)).collect();
        levels.first().is_some_and(|own| own.is_dir()).then_some(levels)
    }

    fn below_root(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// A mounted hierarchy.
struct Mount {
    /// Which part of it is shown.
    shows: PathBuf,
    /// Where.
    point: PathBuf,
    kind: Vec<u8>,
    options: Vec<u8>,
}

impl Mount {
    /// `36 35 98:0 /shown /point rw,noatime master:1 - type source options`, with any number of fields before the dash.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let (shows, point) = (fields.nth(3)?, fields.next()?);
        let mut fields = fields.skip_while(|field| *field != b"-");
        let (kind, options) = (fields.nth(1)?, fields.nth(1)?);
        Some(Self {
            shows: unescaped(shows),
            point: unescaped(point),
            kind: kind.to_owned(),
            options: options.to_owned(),
        })
    }

    fn carries(&self, version: CgroupVersion, controller: &str) -> bool {
        match version {
            CgroupVersion::V1 => self.kind == b"cgroup" && has_word(&self.options, controller),
            CgroupVersion::V2 => self.kind == b"cgroup2",
        }
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// Whether `word` is one of those between commas.
fn has_word(list: &[u8], word: &str) -> bool {
    list.split(|byte| *byte == b',').any(|each| each == word.as_bytes())
}

/// Blanks, line ends and backslashes are written as `\040` and the like.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let (byte, after) = match rest {
            [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', after @ ..] => {
                (((high - b'0') << 6) | ((middle - b'0') << 3) | (low - b'0'), after)
            }
            _ => (*first, after),
        };
        path.push(byte);
        rest = after;
    }
    OsString::from_vec(path).into()
}

/// A small file of the kernel without its line end.
pub(crate) fn read(folder: &Path, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(name)).ok()?;
    Some(text.trim_end().to_owned())
}
