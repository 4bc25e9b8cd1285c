//! What is said of a first try that went wrong, and how the second one goes.

use crate::support::Dir;

#[test]
fn a_command_that_was_wrong_for_every_file_gets_the_lines_that_begin_anew() {
    let dir = Dir::with_inputs(5);
    let wrong = dir.launch().args(["--max-failures", "2", "-j", "1"]).sh("exit 3").run();
    assert!(
        wrong.stderr.contains("Nothing is ok yet") && !wrong.stderr.contains("Launch the same"),
        "{wrong:?}"
    );
    let status = dir.canfar_run().args(["status", "out"]).run().printed();
    assert!(status.contains("Nothing is ok yet"), "{status}");
    let right = "cat \"$1\"";
    for more in [&["-n"][..], &[]] {
        let refused = dir.launch().args(more).sh(right).run().exits(2);
        refused.says("No file of that run is ok yet").says("canfar-run reset ");
    }
    dir.canfar_run().args(["reset", "out"]).run().exits(0);
    dir.launch().sh(right).run().exits(0);
    assert_eq!(dir.results(1).len(), 5);
    let refused = dir.launch().sh("exit 3").run().exits(2).says("Results of two commands would be mixed");
    assert!(!refused.stderr.contains("No file of that run is ok yet"), "{refused:?}");
}

#[test]
fn what_ran_out_of_time_gets_the_line_with_twice_as_much() {
    let dir = Dir::with_inputs(1);
    let ended = dir.launch().args(["--timeout", "0.2", "--grace", "1"]).sh("sleep 600").run().exits(1);
    ended.says("canfar-run resume ").says(" --timeout 0.4s");
}

#[test]
fn a_misspelt_script_is_refused_before_anything_is_written() {
    let dir = Dir::with_inputs(1);
    dir.write("measure.py", "");
    // The commands of a dry run may be for an image that has it.
    for (more, code) in [(&[][..], 2), (&["-n"], 0)] {
        let told = dir.launch().args(more).args(["--", "python3", "mesure.py", "{}"]).run();
        told.exits(code).says("the command names the script mesure.py").says("the nearest there: measure.py");
        assert!(!dir.exists("out"));
    }
    dir.write("else/mesure.py", "");
    dir.launch().args(["--chdir", "else", "--", "python3", "mesure.py", "{}"]).run().exits(0);
}

#[test]
fn files_in_the_place_of_products_are_told_before_they_are_replaced() {
    let dir = Dir::with_inputs(3);
    dir.write("made/000.fits", "by hand");
    let launch = |script| {
        dir.launch().args(["--product", "made/{/}", "--", "sh", "-c", script, "sh", "{}", "{out}"]).run()
    };
    let told = launch("test \"$1\" = \"${1%1.fits}\" && cp \"$1\" \"$2\"").exits(1);
    let told = told.says("1 product is there already and was not made by this run, such as ");
    assert_eq!(dir.text("made/000.fits"), "0", "{told:?}");
    let again = launch("test \"$1\" = \"${1%1.fits}\" && cp \"$1\" \"$2\"").exits(1);
    assert!(!again.stderr.contains("there already"), "{again:?}");
}

#[test]
fn a_command_without_a_place_for_its_product_is_told_so() {
    let dir = Dir::with_inputs(1);
    let failed = dir.launch().args(["--product", "made/{/}", "--", "true", "{}"]).run().exits(1);
    failed.says("wrote nothing to {out} (the command has no {out})");
}

#[test]
fn an_older_run_among_the_input_is_left_out_unless_it_is_named() {
    let dir = Dir::with_inputs(2);
    let old = ["-i", "data/*.fits", "-o", "data/old", "--", "cat", "{}"];
    dir.canfar_run().args(old).run().exits(0);
    let shown = dir.canfar_run().args(["-i", "data", "-o", "new", "-n", "--", "echo", "{}"]).run().exits(0);
    assert_eq!(shown.printed().lines().count(), 2, "{shown:?}");
    shown.says("data/old is left out: it holds the results of another run");
    let named = ["-i", "data/old/*.json", "-o", "new", "-n", "--", "echo", "{}"];
    assert_eq!(dir.canfar_run().args(named).run().exits(0).printed().lines().count(), 1);
}

#[test]
fn what_is_in_the_wrong_place_is_told_where_it_goes() {
    let dir = Dir::with_inputs(1);
    dir.launch().sh("cat \"$1\"").run().exits(0);
    dir.canfar_run()
        .args(["merge", "out", "c.csv"])
        .run()
        .exits(2)
        .says("to write a table: merge out -o c.csv");
    dir.canfar_run().args(["plan", "out"]).run().exits(2).says("write: canfar-run plan -o out");
    dir.canfar_run().args(["reset", "out"]).run().exits(0);
    for reader in ["merge", "status"] {
        let said = format!(": canfar-run {reader} out/previous/");
        dir.canfar_run().args([reader, "out"]).run().exits(2).says(&said);
    }
    let braces = ["-i", "data/*.{fit,fz}", "-o", "new", "--", "true"];
    dir.canfar_run().args(braces).run().exits(2).says("braces have no meaning here: -i ").says("/*.fz");
}
