use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::{NotPublished, Sealing, Unpublished, seal};
use crate::model::product::{Checksum, ProductLook};
use crate::products::digest::{add_line, sha256_of_bytes};

const HASHED: Sealing<'static> =
    Sealing { checksum: Checksum::Sha256, has_out: true, should_stop: &|| false };

#[test]
fn what_is_written_while_it_is_hashed_is_seen_even_if_the_length_stays() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cat");
    fs::write(&out, "as long as before").unwrap();
    let file = fs::OpenOptions::new().write(true).open(&out).unwrap();
    let seconds = AtomicU64::new(0);
    let write = || {
        let time = Duration::from_secs(seconds.fetch_add(1, Ordering::Relaxed));
        file.set_modified(UNIX_EPOCH + time).unwrap();
        false
    };
    let how = Sealing { checksum: Checksum::Sha256, has_out: true, should_stop: &write };
    let not = seal(None, &out, Path::new("/data/cat"), &how).unwrap_err();
    let NotPublished::Failed(failure) = not else { panic!("{not:?}") };
    assert!(failure.message.ends_with("something is still writing to it"), "{}", failure.message);
}

#[test]
fn the_record_has_the_look_after_the_sync() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cat");
    fs::write(&out, "half").unwrap();
    let write = || {
        fs::write(&out, "all of it").unwrap();
        false
    };
    let how = Sealing { checksum: Checksum::None, has_out: true, should_stop: &write };
    let made = seal(None, &out, Path::new("/data/cat"), &how).unwrap().unwrap();
    assert_eq!(made.product.look(), ProductLook::of(&fs::metadata(&out).unwrap()));
}

#[test]
fn of_many_files_the_digest_is_that_of_their_lines_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    for number in 1000..1300 {
        let name = number.to_string();
        fs::write(folder.path().join(&name), &name).unwrap();
        add_line(&mut lines, &sha256_of_bytes(name.as_bytes()), name.as_ref());
    }
    let made = seal(None, folder.path(), Path::new("/data/ms"), &HASHED).unwrap().unwrap();
    assert_eq!((made.product.bytes, made.product.sha256), (1200, Some(sha256_of_bytes(&lines))));
}

#[test]
fn without_time_left_it_ends_between_files_and_between_parts_of_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large"), vec![1; 1 << 20]).unwrap();
    fs::write(folder.path().join("small"), "1").unwrap();
    for times in 0..4 {
        let asked = AtomicU64::new(0);
        let should_stop = || asked.fetch_add(1, Ordering::Relaxed) >= times;
        let how = Sealing { checksum: Checksum::Sha256, has_out: true, should_stop: &should_stop };
        let not = seal(None, folder.path(), Path::new("/data/ms"), &how).unwrap_err();
        assert!(matches!(not, NotPublished::Unpublished(Unpublished::Stopped)), "{not:?}");
    }
}
