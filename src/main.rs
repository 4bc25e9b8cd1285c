//! The process: passes its arguments to the library and exits with the returned code.

use std::io::Write;

use canfar_run::{Environment, ExitCode};

fn main() {
    let code = match Environment::of_this_process() {
        Ok(environment) => {
            let argv: Vec<_> = std::env::args_os().collect();
            canfar_run::run(&argv, &environment, &mut std::io::stdout())
        }
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "canfar-run: error: can't determine the working directory: {error}. Was it removed? Start in another one"
            );
            ExitCode::Usage
        }
    };
    std::process::exit(code.number());
}
