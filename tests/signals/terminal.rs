//! Tasks have no terminal, so that none can stop them.

use super::held;
use crate::support::{Component, DEADLINE, Dir, Terminal, require, wait_until};

const TOUCH: &str = "{ stty sane < /dev/tty && echo >> touched; } 2>> errors; echo '{}'";

fn over(terminal: &Terminal) -> String {
    terminal
        .wait_until("a prompt after the summary", |screen| screen.contains("(in ") && screen.ends_with("\n$"))
}

#[test]
fn a_task_that_touches_the_terminal_gets_an_error_at_once() {
    if !require(Component::Tmux) {
        return;
    }
    let worker = "import json, subprocess, sys
for line in sys.stdin:
    subprocess.run(['sh', 'touch.sh'], stdout=subprocess.DEVNULL)
    print('{}', flush=True)
";
    for way in [
        "-- sh touch.sh {}",
        "--chdir . -- sh touch.sh {}",
        "--shell 'sh touch.sh {}'",
        "--worker -- python3 worker.py",
    ] {
        let dir = held(2);
        dir.write("touch.sh", TOUCH);
        dir.write("worker.py", worker);
        let terminal = Terminal::open(&dir, 100, 30);
        terminal.enter(&format!("canfar-run -i 'data/*.fits' -o out -j 2 {way}"));
        let screen = over(&terminal);
        assert!(screen.contains("2 of 2 files ok"), "{way}: {screen}");
        assert!(!dir.exists("touched"), "{way}");
        assert_eq!(dir.lines("errors").len(), 2, "{way}: {:?}", dir.lines("errors"));
    }
}

fn two_held() -> (Dir, Terminal) {
    let dir = held(2);
    dir.write("task.sh", super::TASK);
    let terminal = Terminal::open(&dir, 100, 30);
    (dir, terminal)
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_draws_the_bar_again() {
    if !require(Component::Tmux) {
        return;
    }
    let (dir, terminal) = two_held();
    terminal.enter("canfar-run -i 'data/*.fits' -o out -j 2 --timeout 1m -- sh task.sh {}");
    terminal.wait_for("0 of 2 done, 2 running");
    for _ in 0..2 {
        terminal.press("C-z");
        terminal.wait_until("a prompt", |screen| screen.contains("Stopped"));
        terminal.enter("clear");
        terminal.wait_until("an empty screen", |screen| screen.trim() == "$");
        terminal.enter("fg");
        terminal.wait_for("0 of 2 done, 2 running");
    }
    super::let_go(&dir);
    assert!(over(&terminal).contains("2 of 2 files ok"));
}

#[test]
fn in_the_background_of_a_terminal_that_stops_who_writes_it_goes_on() {
    if !require(Component::Tmux) {
        return;
    }
    for bar in ["bar", "plain"] {
        let (dir, terminal) = two_held();
        terminal.enter("stty tostop");
        terminal.enter(&format!(
            "canfar-run -v --progress {bar} -i 'data/*.fits' -o out -j 2 -- sh task.sh {{}} &"
        ));
        super::began(&dir, 2);
        super::let_go(&dir);
        wait_until(DEADLINE, "its end", || !dir.events_of(1, 1, "stop").is_empty());
        let screen = terminal.wait_for("2 of 2 files ok");
        assert!(!screen.contains("Stopped"), "{screen}");
    }
}
