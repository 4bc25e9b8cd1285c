//! Which launches of which replicas there are, by the names of their journals.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::exit_code::CannotGoOn;
use crate::store::layout::{Layout, parse_journal_name};

/// The launches that a replica has journals of, oldest first.
///
/// # Errors
/// When the folder can't be read.
pub fn launches_of(layout: &Layout, replica_id: u32) -> anyhow::Result<Vec<u32>> {
    Ok(all_launches(layout)?.remove(&replica_id).unwrap_or_default())
}

/// The launches of every replica that has journals.
///
/// # Errors
/// When the folder can't be read.
pub fn all_launches(layout: &Layout) -> anyhow::Result<BTreeMap<u32, Vec<u32>>> {
    let folder = layout.journals();
    let cannot = || CannotGoOn(format!("can't read the folder {}", folder.display()));
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            return Err(error).with_context(cannot);
        }
    };
    let mut launches: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in entries {
        let entry = entry.with_context(cannot)?;
        if let Some((id, launch)) = parse_journal_name(&entry.file_name()) {
            launches.entry(id).or_default().push(launch);
        }
    }
    launches.values_mut().for_each(|of_one| of_one.sort_unstable());
    Ok(launches)
}

/// The launches that there were when this was made. Those that began since are found by their names, as launches are numbered
/// one by one: a folder of thousands of journals is not listed for each of its replicas.
#[derive(Debug)]
pub struct ListedLaunches(BTreeMap<u32, Vec<u32>>);

impl ListedLaunches {
    /// Lists them.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn list(layout: &Layout) -> anyhow::Result<Self> {
        all_launches(layout).map(Self)
    }

    /// The newest one of a replica, as far as it was listed.
    pub fn last_listed(&self, replica_id: u32) -> Option<u32> {
        self.0.get(&replica_id)?.last().copied()
    }

    /// The launches that a replica has now, oldest first.
    ///
    /// # Errors
    /// When storage gives an error.
    pub fn of(&self, layout: &Layout, replica_id: u32) -> anyhow::Result<Vec<u32>> {
        let is_there = |launch: u32| {
            let path = layout.journal(replica_id, launch);
            let cannot = || CannotGoOn(format!("can't look for the journal {}", path.display()));
            path.try_exists().with_context(cannot)
        };
        let mut launches = self.0.get(&replica_id).cloned().unwrap_or_default();
        let mut last = launches.last().copied().unwrap_or(0);
        if last > 0 && !is_there(last)? {
            return launches_of(layout, replica_id);
        }
        while let Some(next) = last.checked_add(1)
            && is_there(next)?
        {
            launches.push(next);
            last = next;
        }
        Ok(launches)
    }
}

/// What changes when a journal grows, or one is added or taken away: the first 16 hexadecimal digits of the BLAKE3 of all
/// their names and lengths.
///
/// # Errors
/// When the folder can't be read.
pub fn fingerprint(layout: &Layout) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for (id, launches) in all_launches(layout)? {
        for launch in launches {
            let path = layout.journal(id, launch);
            // A file that can't be examined is reported where it is read.
            let length = std::fs::metadata(&path).map_or(0, |journal| journal.len());
            hasher.update(format!("{id} {launch} {length}\n").as_bytes());
        }
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

/// The newest launch of every replica that has journals.
///
/// # Errors
/// When the folder can't be read.
pub fn last_launches(layout: &Layout) -> anyhow::Result<BTreeMap<u32, u32>> {
    let newest = |(id, launches): (u32, Vec<u32>)| Some((id, *launches.last()?));
    Ok(all_launches(layout)?.into_iter().filter_map(newest).collect())
}
