//! Damaged lists of inputs: refused, or read as they were written.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use canfar_run::testing::{
    Entries, Entry, InputList, InputSpec, Layout, Origin, Process, Settings, Share, Strategy as Sharing,
    TaskCommand, prepare_list,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::damage::{Damage, damage};
use super::hunt;

type Case = (Vec<(Vec<u8>, Option<u64>)>, Sharing, u32, Vec<Damage>);

fn case() -> impl Strategy<Value = Case> {
    let path = vec(prop_oneof![4 => b'a'..=b'z', 1 => any::<u8>()], 1..30);
    let sharing = prop::sample::select(Sharing::ALL.to_vec());
    (vec((path, any::<Option<u64>>()), 1..20), sharing, 1..5_u32, vec(damage(), 0..4))
}

fn check((entries, strategy, replica_count, damages): Case) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let entries =
        entries.iter().map(|(path, size)| Entry { size: *size, ..Entry::of(OsStr::from_bytes(path)) });
    let entries = Entries::of(entries).unwrap();
    let origin = Origin {
        parent: None,
        source: InputSpec::List { file: "-".into(), null: false },
        strategy,
        replica_count,
        balance: false,
        command: TaskCommand::Shell("true".into()),
        command_files: Vec::new(),
        products: Vec::new(),
        settings: Settings::default(),
    };
    prepare_list(&layout, origin, &entries, &[], &Process::current(None)).unwrap().publish().unwrap();
    let read = || -> anyhow::Result<_> {
        let list = InputList::open(&layout)?.unwrap();
        let all = list.entries(&Share::Range(0..list.header().count))?;
        let shares: Vec<_> =
            list.shares()?.iter().map(|share| list.entries(share)).collect::<Result<_, _>>()?;
        Ok((list.header().clone(), all, shares))
    };
    let before = read().unwrap();
    prop_assert_eq!(&before.1, &entries);
    prop_assert_eq!(before.2.iter().map(Entries::len).sum::<usize>(), entries.len());
    let mut text = std::fs::read(layout.inputs()).unwrap();
    damages.iter().for_each(|damage| damage.apply(&mut text));
    std::fs::write(layout.inputs(), &text).unwrap();
    match read() {
        Ok(after) => prop_assert_eq!(after, before),
        Err(error) => {
            let told = format!("{error:#}");
            prop_assert!(!damages.is_empty() && told.contains("inputs.jsonl can't be used"), "{}", told);
        }
    }
    Ok(())
}

#[test]
fn damaged_lists_are_refused_or_read_as_they_were_written() {
    hunt("lists", 200, &case(), check);
}
