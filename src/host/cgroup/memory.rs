//! The memory group that limits this process: its limit, its usage, and how many processes the kernel killed for it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::place::{CgroupPlace, CgroupVersion, read};

/// Longest statistics that are read, bytes; kernels write two or three thousand.
const LONGEST: usize = 8192;

/// Beyond this a number stands for no limit: version 1 writes the largest multiple of a page for it.
const UNLIMITED: u64 = 1 << 60;

/// Page cache and the kernel's caches of names: what goes before anything is killed. Memory-backed files are not in it.
const DROPPABLE_V1: &[&str] = &["total_active_file", "total_inactive_file"];
const DROPPABLE_V2: &[&str] = &["active_file", "inactive_file", "slab_reclaimable"];

/// The group with the smallest memory limit among those this process is in.
#[derive(Debug, Clone)]
pub struct MemoryGroup {
    limit: u64,
    files: Arc<Files>,
}

/// Kept open, since they are read many times a second. `None` for one that can't be read.
#[derive(Debug)]
struct Files {
    /// Bytes in use, page cache included.
    usage: Option<File>,
    /// Of what kinds they are.
    stat: Option<File>,
    /// Names in `stat` of what can be dropped.
    droppable: &'static [&'static str],
    /// How often the kernel killed, of the process's own group: those around it may hold other containers.
    events: Option<File>,
}

impl MemoryGroup {
    /// `machine` is how many bytes there are at all.
    pub(crate) fn of(place: &CgroupPlace, machine: Option<u64>) -> Option<Self> {
        let (limit, level) = smallest(place)?;
        if limit >= machine.unwrap_or(UNLIMITED).min(UNLIMITED) {
            return None;
        }
        let own = place.levels.first()?;
        let (usage, events, droppable) = match place.version {
            CgroupVersion::V1 => ("memory.usage_in_bytes", "memory.oom_control", DROPPABLE_V1),
            CgroupVersion::V2 => ("memory.current", "memory.events", DROPPABLE_V2),
        };
        let files = Files {
            usage: File::open(level.join(usage)).ok(),
            stat: File::open(level.join("memory.stat")).ok(),
            droppable,
            events: File::open(own.join(events)).ok(),
        };
        Some(Self { limit, files: Arc::new(files) })
    }

    /// Bytes that may be used: the smallest limit of all levels that can be seen, less than the machine has.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes in use without what the kernel can drop; `None` if unknown. Cheap: two reads.
    pub fn in_use(&self) -> Option<u64> {
        let mut buffer = [0; LONGEST];
        let usage: u64 = text(self.files.usage.as_ref()?, &mut buffer)?.trim_end().parse().ok()?;
        let stat = text(self.files.stat.as_ref()?, &mut buffer)?;
        let droppable = entries(stat).filter(|(name, _)| self.files.droppable.contains(name));
        Some(droppable.fold(usage, |left, (_, bytes)| left.saturating_sub(bytes)))
    }

    /// How many processes of this group the kernel has killed because of memory; 0 if unknown.
    pub fn oom_kills(&self) -> u64 {
        let mut buffer = [0; LONGEST];
        let events = self.files.events.as_ref().and_then(|file| text(file, &mut buffer));
        events.and_then(|events| value(events, "oom_kill")).unwrap_or(0)
    }
}

/// The smallest limit and the level that has it. A limit of an invisible level, which only version 1 reports, is
/// attributed to the uppermost visible one.
fn smallest(place: &CgroupPlace) -> Option<(u64, &Path)> {
    let limits = place.levels.iter().filter_map(|level| {
        let name = match place.version {
            CgroupVersion::V1 => "memory.limit_in_bytes",
            CgroupVersion::V2 => "memory.max",
        };
        Some((read(level, name)?.parse().ok()?, level.as_path()))
    });
    let unseen = place.levels.last().and_then(|top| {
        let stat = read(top, "memory.stat")?;
        Some((value(&stat, "hierarchical_memory_limit")?, top.as_path()))
    });
    limits.chain(unseen).filter(|(limit, _)| *limit > 0).min_by_key(|(limit, _)| *limit)
}

/// Lines of a name and a number.
fn entries(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (name, number) = line.split_once(' ')?;
        Some((name, number.parse().ok()?))
    })
}

fn value(text: &str, wanted: &str) -> Option<u64> {
    entries(text).find_map(|(name, number)| (name == wanted).then_some(number))
}

/// What a file of the kernel holds now.
fn text<'a>(file: &File, buffer: &'a mut [u8; LONGEST]) -> Option<&'a str> {
    let mut length = 0;
    loop {
        match file.read_at(&mut buffer[length..], length as u64) {
            Ok(0) => return std::str::from_utf8(&buffer[..length]).ok(),
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
