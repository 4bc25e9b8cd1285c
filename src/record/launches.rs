//! Which launches of which replicas there are, by the names of their journals.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::record::layout::{Layout, parse_journal_name};

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
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("can't read the folder {}", folder.display()));
        }
    };
    let mut launches: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("can't read the folder {}", folder.display()))?;
        if let Some((id, launch)) = parse_journal_name(&entry.file_name()) {
            launches.entry(id).or_default().push(launch);
        }
    }
    launches.values_mut().for_each(|of_one| of_one.sort_unstable());
    Ok(launches)
}

/// The newest launch of every replica that has journals.
///
/// # Errors
/// When the folder can't be read.
pub fn last_launches(layout: &Layout) -> anyhow::Result<BTreeMap<u32, u32>> {
    let newest = |(id, launches): (u32, Vec<u32>)| Some((id, *launches.last()?));
    Ok(all_launches(layout)?.into_iter().filter_map(newest).collect())
}
