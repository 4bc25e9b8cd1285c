//! Who tells of products: the closing summary, `status`, `merge` and the page.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::report::seen;
use crate::support::{Component, Dir, Run, require};

fn two_products(run: Run<'_>) -> Run<'_> {
    let run = run.args(["--product", "cat/{/.}.cat", "--product", "log=logs of all/{/.}.txt"]);
    run.sh(r#"cp "$1" "$CANFAR_TASK_OUT" && echo done > "$CANFAR_TASK_OUT_log""#)
}

#[test]
fn all_who_tell_of_a_run_tell_how_many_products_it_has_and_how_large_they_are() {
    let dir = Dir::with_inputs(12);
    let bytes: u64 = (0..12_u64).map(|number| number.to_string().len() as u64 + 5).sum();
    let expected = json!({"count": 24, "bytes": bytes});
    let words = format!("24 products, {bytes} B");
    let launched = two_products(dir.launch().arg("--json")).run().exits(0).says(&words);
    let summary: Value = launched.json();
    assert_eq!(summary["products"], expected);
    let status = || dir.canfar_run().args(["status", "out"]);
    assert!(status().run().exits(0).printed().contains(&words));
    let told: Value = status().arg("--json").run().json();
    assert_eq!((&told["totals"]["products"], &told["replicas"][0]["products"]), (&expected, &expected));
    dir.canfar_run().args(["merge", "out"]).run().exits(0).says(&words);
    assert_eq!(dir.json("out/final_summary.json")["products"], expected);
    // It is told the same by a launch that has nothing to do, and after one that made something again.
    two_products(dir.launch()).run().exits(0).says("nothing to do").says(&words);
    std::fs::remove_file(dir.path("logs of all/003.txt")).unwrap();
    two_products(dir.launch()).run().exits(0).says(&words);
    assert!(status().run().exits(0).printed().contains(&words));
}

#[test]
fn the_page_leads_to_products_whatever_they_are_called() {
    if !require(Component::Browser) {
        return;
    }
    let dir = Dir::new();
    let odd: [&[u8]; 5] =
        [b"plain.fits", b"a b#c?.fits", b"<b>&\"%41.fits", "gr\u{fc}n.fits".as_bytes(), b"\xff.fits"];
    for name in odd {
        dir.write(PathBuf::from("data").join(OsStr::from_bytes(name)), "1");
    }
    two_products(dir.launch()).run().exits(0);
    std::fs::remove_file(dir.path("cat/plain.cat")).unwrap();
    two_products(dir.launch()).run().exits(0);
    for page in ["out/report.html", "elsewhere/deep/report.html"] {
        std::fs::create_dir_all(dir.path(page).parent().unwrap()).unwrap();
        dir.canfar_run().args(["report", "out", "-o", page]).run().exits(0);
        let seen = seen(&dir.path(page), "plain");
        assert_eq!((&seen["counts"]["products"], &seen["counts"]["products_gone"]), (&10.into(), &1.into()));
        let links = seen["links"].as_array().unwrap();
        assert_eq!(links.len(), 10);
        for link in links {
            let path = link[1].as_str().unwrap().strip_prefix("file://").unwrap();
            assert!(PathBuf::from(OsStr::from_bytes(&unescaped(path))).is_file(), "{link}");
        }
        let shown: Vec<&str> = links.iter().map(|link| link[0].as_str().unwrap()).collect();
        assert!(
            shown.contains(&"<b>&\"%41.cat") && shown.contains(&"gr\u{fc}n.cat") && shown.contains(&"log")
        );
    }
}

/// The bytes that a link escapes.
fn unescaped(link: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = link.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%');
        let digits = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes
}
