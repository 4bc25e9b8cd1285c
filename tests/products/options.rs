//! How products are declared and named, what is refused before anything runs, and exit codes that are no failure.

use serde_json::{Value, json};

use crate::support::{Dir, Ended, Run, python};

/// `canfar-run -i data/*.fits -o out --product ...`.
fn declared<'d>(dir: &'d Dir, products: &[&str]) -> Run<'d> {
    dir.launch().arg("--product").args(products)
}

/// The paths of a record's products, below the folder of the test.
fn products(dir: &Dir, record: &Value) -> Vec<String> {
    let paths = record["canfar_run"]["products"].as_array().into_iter().flatten();
    let below = |path: &Value| path.as_str()?.strip_prefix(dir.root().to_str()?).map(str::to_owned);
    paths.filter_map(|product| below(&product["path"])).collect()
}

/// Nothing was begun, and nothing is there that was not before.
fn begins_nothing(dir: &Dir, ended: Ended) -> Ended {
    assert!(!dir.exists("out"), "{ended:?}");
    ended.exits(2)
}

#[test]
fn a_command_writes_to_out_and_the_product_takes_its_place() {
    let dir = Dir::with_inputs(3);
    declared(&dir, &["made/{/:}.cat", "img=made/{/:}.png"])
        .args(["--", "sh", "-c", "cp \"$1\" \"$2\" && cp \"$1\" \"$3\"", "sh", "{}", "{out}", "{out:img}"])
        .run()
        .exits(0);
    for (index, record) in dir.results(1).iter().enumerate() {
        let made = [format!("/made/{index:03}.cat"), format!("/made/{index:03}.png")];
        assert_eq!(products(&dir, record), made);
        assert_eq!(record["canfar_run"]["products"][1]["name"], "img");
        assert_eq!(dir.text(&made[1][1..]), index.to_string());
    }
    assert_eq!(dir.names("made").len(), 6);
}

#[test]
fn names_are_given_in_variables_and_in_a_shell_command() {
    let dir = Dir::with_inputs(2);
    let script = "test \"$CANFAR_TASK_OUT\" = {out} && test \"$CANFAR_TASK_OUT_cat\" = {out} && cp {} {out:cat} && test -z \"$CANFAR_TASK_OUT_x\" && echo \"{out}\" > \"$CANFAR_TASK_OUT_log\"";
    let refused = declared(&dir, &["cat={/}.cat", "log={/}.log"]).args(["--shell", script]).run();
    begins_nothing(&dir, refused).says("{out} can't be used inside double quotes");
    declared(&dir, &["cat={/}.cat", "log={/}.log"])
        .args(["--shell", &script.replace("\"{out}\"", "{{out}} {out}")])
        .env("CANFAR_TASK_OUT_x", "of a task around this one")
        .run()
        .exits(0);
    assert_eq!(dir.text("000.fits.cat"), "0");
    let log = dir.text("000.fits.log");
    assert!(log.starts_with("{out} /") && log.ends_with("/000.fits.cat\n"), "{log}");
}

#[test]
fn the_path_is_appended_where_only_products_slot_and_replica_are_named() {
    let dir = Dir::with_inputs(1);
    let printed =
        declared(&dir, &["c/{/}"]).args(["-n", "--", "true", "{out}", "{slot}", "{replica}"]).run().exits(0);
    let [file, product] = ["data/000.fits", "c/000.fits"].map(|name| dir.path(name).display().to_string());
    printed.prints(&format!("true {product} 1 1 {file}\n"));
    assert!(!dir.exists("out") && !dir.exists("c"));
}

#[test]
fn a_worker_is_told_where_to_write() {
    let dir = Dir::with_inputs(2);
    dir.write(
        "worker.py",
        "import json, sys\nfor line in sys.stdin:\n    task = json.loads(line)\n    out = task['out']\n    for path in [out] if isinstance(out, str) else out.values():\n        open(path, 'w').write(str(task['index'] + 1))\n    print(json.dumps({'kind': type(out).__name__, 'names': sorted(out) if isinstance(out, dict) else []}), flush=True)\n",
    );
    let with = |out: &str, declared: &[&str]| {
        let run = dir.canfar_run().args(["-i", "data/*.fits", "-o", out, "--product"]).args(declared);
        run.args(["--worker", "--"]).arg(python()).arg("worker.py").run().exits(0);
        dir.json(format!("{out}/container_1_results.json"))[0].clone()
    };
    assert_eq!(with("one", &["1/{/}"])["kind"], "str");
    assert_eq!(with("named", &["cat=2/{/}"])["names"], json!(["cat"]));
    assert_eq!(with("two", &["3/{/}", "cat=3/{/}.cat"])["names"], json!(["cat", "out"]));
    assert_eq!((dir.text("1/001.fits"), dir.names("3").len()), ("2".to_owned(), 4));
    let printed = dir.launch().args(["-n", "--product", "1/{/}", "--worker", "--", "cat"]).run().exits(0);
    let out = format!("\"out\":\"{}\"", dir.path("1/000.fits").display());
    assert!(printed.printed().contains(&out), "{printed:?}");
}

#[test]
fn a_function_is_given_its_parameter_out() {
    let dir = Dir::with_inputs(2);
    dir.write(
        "an.py",
        "from pathlib import Path\nfrom typing import Dict, Optional\n\ndef text(path, out):\n    open(out, 'w').write('x')\n    return {'kind': type(out).__name__}\n\n\ndef of_path(path: str, out: Path):\n    out.write_text('x')\n    return {'kind': type(out.parent / 'x').__name__}\n\n\ndef named(path, *, out):\n    for one in out.values():\n        open(one, 'w').write('x')\n    return {'kind': ' '.join(sorted(out))}\n\n\ndef paths(path, out: 'dict[str, Path]'):\n    for one in out.values():\n        one.write_text('x')\n    return {'kind': ' '.join(sorted(type(one).__name__ for one in out.values()))}\n\n\ndef maybe(path, out: Optional[Dict[str, Path]]):\n    return paths(path, out)\n\n\nshown = named\n\n\ndef texts(path, out: Dict[str, str]):\n    return named(path, out=out)\n",
    );
    let call = |function: &str| {
        let run = dir.canfar_run().args(["-i", "data/*.fits", "-o", function]);
        run.args(["--call", &format!("an.py:{function}")]).arg("--python").arg(python())
    };
    let kind = |function: &str, products: &[&str]| {
        call(function).arg("--product").args(products).run().exits(0);
        dir.json(format!("{function}/container_1_results.json"))[1]["kind"].clone()
    };
    assert_eq!(kind("text", &["1/{/}"]), "str");
    assert_eq!(kind("of_path", &["2/{/}"]), "PosixPath");
    assert_eq!(kind("named", &["3/{/}", "img=3/{/}.png"]), "img out");
    assert_eq!(dir.names("3").len(), 4);
    for (function, kinds) in
        [("paths", "PosixPath PosixPath"), ("maybe", "PosixPath PosixPath"), ("texts", "img out")]
    {
        let place = format!("{function}.made/{{/}}");
        assert_eq!(kind(function, &[&place, &format!("img={place}.png")]), kinds);
    }
    let shown = |products: &[&str]| {
        let run = call("shown").args(["-n", "--product"]).args(products).run().exits(0);
        run.printed().lines().next().unwrap().replace(&*dir.root().to_string_lossy(), "")
    };
    assert!(shown(&["4/{/}"]).ends_with("000.fits', out='/4/000.fits')"), "{}", shown(&["4/{/}"]));
    let both = shown(&["4/{/}", "img=4/{/}.png"]);
    assert!(both.ends_with("out={'out': '/4/000.fits', 'img': '/4/000.fits.png'})"), "{both}");
    let refused = dir.launch().args(["--call", "an.py:text"]).arg("--python").arg(python()).run();
    begins_nothing(&dir, refused).says("has a parameter `out`").says("--product PATH");
}

#[test]
fn out_where_nothing_is_declared_is_refused_and_doubled_is_text() {
    let dir = Dir::with_inputs(1);
    for (command, said) in [
        (&["--", "echo", "{}", "{out}"][..], "{out} is in the command, but no --product"),
        (&["--", "echo", "{}", "{out:x}"], "add --product 'x=out/{/}' (or write {{out:x}}"),
        (&["--shell", "echo {} > {out}"], "{out} is in the command, but no --product"),
    ] {
        begins_nothing(&dir, dir.launch().args(command).run()).says(said);
    }
    let shown = dir.launch().args(["-n", "--", "echo", "{{out}}", "{{out:x}}", "{}"]).run().exits(0);
    assert!(shown.printed().contains("echo '{out}' '{out:x}' "), "{shown:?}");
    begins_nothing(
        &Dir::new(),
        Dir::with_inputs(1).launch().args(["--product", "c/{/}", "--", "x", "{out:y}"]).run(),
    )
    .says("{out:y} is not a product of this run: {out} can be used");
}

#[test]
fn a_path_that_can_not_be_a_product_is_refused() {
    for (path, said) in [
        ("x=", "--product has an empty path"),
        ("c/", "does not end with a name"),
        ("c/{/}.{slot}", "contains {slot} or {replica}"),
        ("{replica}/{/}", "contains {slot} or {replica}"),
        ("{out}.png", "contains {out}"),
    ] {
        let dir = Dir::with_inputs(1);
        begins_nothing(&dir, declared(&dir, &[path]).args(["--", "true"]).run()).says(said);
    }
    let dir = Dir::with_inputs(1);
    let two = declared(&dir, &["a/{/}", "b/{/}"]).args(["--", "true"]).run();
    begins_nothing(&dir, two).says("has no name, and neither has an earlier one");
}

#[test]
fn what_two_tasks_would_both_make_is_refused_before_anything_runs() {
    let dir = Dir::new();
    ["n1/o.fits", "n2/o.fits", "n2/x.fits"].iter().for_each(|name| _ = dir.write(name, "x"));
    let said = |options: &[&str], product: &str, expected: &str| {
        for before in [&["-n"][..], &[], &["plan"]] {
            let run = dir.canfar_run().args(before).args(["-i", "n*/*", "-o", "out"]).args(options);
            let ended = run.args(["--product", product, "--", "cp", "{}", "{out}"]).run();
            begins_nothing(&dir, ended).says(expected);
        }
    };
    let [one, other] = ["n1/o.fits", "n2/o.fits"].map(|name| dir.path(name).display().to_string());
    said(&[], "c/{/:}.cat", &format!("{one} and {other} would both make {}", dir.path("c/o.cat").display()));
    said(&[], "all.cat", "--product all.cat is the same for all 3 tasks");
    said(&[], "{}", "which is an input");
    said(&[], "n1", "is the same for all 3 tasks");
    said(&["--exclude", "x.*"], "{//}", "in which the input");
    said(&[], "out/{rel}", "the results directory is");
    dir.canfar_run()
        .args(["-n", "-i", "n1/*", "-o", "out", "--product", "all.cat", "--", "true"])
        .run()
        .exits(0);
}

#[test]
fn a_name_made_in_the_command_that_several_files_share_is_told_of() {
    let dir = Dir::new();
    ["n1/o.fits", "n2/o.fits", "n1/o.fits.gz"].iter().for_each(|name| _ = dir.write(name, "x"));
    dir.write("c/here", "");
    let (shell, expected) =
        ("cat {} > c/{/:}.txt", "{/:} in the command is the same for several files (3 of 3");
    for before in [&["-n"][..], &["plan"], &[]] {
        let run = dir.canfar_run().args(before).args(["-i", "n*/*", "-o", "out"]);
        let ended = run.args(["--shell", shell]).run().exits(0).says(expected);
        assert_eq!(ended.stderr.matches("is the same for").count(), 1, "{ended:?}");
    }
    let told_once = dir.canfar_run().args(["-i", "n*/*", "-o", "out", "--shell", shell]).run().exits(0);
    told_once.says_not("is the same for");
    let fine =
        ["-n", "-i", "n*/*", "-o", "x", "--product", "c/{rel}.txt", "--shell", "cat {} > {out} # {/:}"];
    dir.canfar_run().args(fine).run().exits(0).says_not("is the same for");
}

#[test]
fn other_products_than_the_runs_stop_a_launch_and_resume_keeps_them() {
    let dir = Dir::with_inputs(2);
    let command = ["--", "sh", "-c", "test -e ok && cp \"$1\" \"$2\"", "sh", "{}", "{out}"];
    declared(&dir, &["c/{/}"]).args(["--ok-codes", "7"]).args(command).run().exits(1);
    let other = declared(&dir, &["d/{/}"]).args(command).run().exits(2);
    other.says("this launch: 'd/{/}'").says("the run:     'c/{/}'");
    dir.launch().args(command).run().exits(2).says("but no --product says");
    dir.launch().arg("-n").args(command).run().exits(2).says("but no --product says");
    dir.canfar_run()
        .args(["resume", "out", "--product", "d/{/}"])
        .run()
        .exits(2)
        .says("has no place after `resume`");
    dir.write("ok", "");
    let printed = dir.canfar_run().args(["resume", "-n", "out"]).run().exits(0);
    assert!(
        printed.printed().contains(
            "/c/000.fits
"
        ),
        "{printed:?}"
    );
    dir.canfar_run().args(["resume", "out"]).run().exits(0);
    assert_eq!(dir.names("c"), ["000.fits", "001.fits"]);
}

#[test]
fn an_exit_code_that_is_ok_stands_in_the_record() {
    let dir = Dir::with_inputs(4);
    let script = "exit $(cat \"$1\")";
    dir.launch().args(["--ok-codes", "1, 3"]).sh(script).run().exits(1);
    let ended =
        |record: &Value| (record["canfar_run"]["status"].clone(), record["canfar_run"]["exit_code"].clone());
    let all: Vec<_> = dir.results(1).iter().map(ended).collect();
    assert_eq!(all, [0, 1, 3].map(|code| (json!("ok"), json!(code))));
    for wrong in ["256", "-1", "x", ""] {
        dir.canfar_run().args(["-i", "data/*", "-o", "x", "--ok-codes", wrong, "--", "true"]).run().exits(2);
    }
    for mode in [&["--worker", "--", "cat"][..], &["--call", "a.py:b"]] {
        let refused = dir.canfar_run().args(["-i", "data/*", "-o", "x", "--ok-codes", "1"]).args(mode).run();
        refused.exits(2).says(&format!("--ok-codes has no effect with {}", mode[0]));
    }
}

#[test]
fn an_exit_code_of_a_shell_says_which_signal_it_means_and_137_mentions_memory() {
    let dir = Dir::with_inputs(3);
    dir.write("codes/000", "");
    let script = "case \"$1\" in *000.fits) exit 137;; *001.fits) exit 139;; *) exit 200;; esac";
    let ended = dir.launch().sh(script).run().exits(1);
    let ended = ended.says(
        "exit code 137 (from a shell: its command was killed by SIGKILL (9), often because memory ran out)",
    );
    ended
        .says("exit code 139 (from a shell: its command was killed by SIGSEGV (11))")
        .says("exit code 200 (");
    let fine = dir.canfar_run().args(["-i", "data/000.fits", "-o", "fine", "--ok-codes", "137"]);
    fine.sh(script).run().exits(0).says_not("SIGKILL");
}
